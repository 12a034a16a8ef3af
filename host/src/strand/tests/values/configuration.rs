//! Arbitrary rows that managers write: configs and overrides.

use cashier_core::approval::{Approval, ApprovalState};
use cashier_core::ids::{ApprovalId, ManagerId};

use super::*;

fn secret() -> BoxedStrategy<Secret> {
    text().prop_map(|text| Secret::new(&text)).boxed()
}

pub(super) fn approval() -> BoxedStrategy<Approval> {
    let states = select(&[ApprovalState::Open, ApprovalState::Approved, ApprovalState::Rejected][..]);
    let about = (option::of(0..40_u64), option::of(money()));
    ((id(), text(), id(), text(), id(), secret()), (text(), id(), time(), time()), (states, id(), time()), about)
        .prop_map(|((id, command, config, brand, ground, request), asked, decided, (transaction, amount))| {
            let transaction_id = TransactionId(transaction.unwrap_or_default());
            let (fields, asked_by, asked_time, expires_time) = asked;
            let (state, decided_by, decided_time) = decided;
            Approval {
                id: ApprovalId(id),
                command,
                config_id: ConfigId(config),
                brand,
                ground,
                transaction_id,
                amount,
                request,
                unreadable: None,
                fields,
                asked_by: ManagerId(asked_by),
                asked_time,
                expires_time,
                state,
                decided_by: ManagerId(decided_by),
                decided_time,
            }
        })
        .boxed()
}

pub(super) fn config() -> BoxedStrategy<ProviderConfig> {
    let replaced = (secret(), time()).prop_map(|(secret, until)| ReplacedSecret { secret, until });
    (
        (id(), text(), text(), text(), text(), text(), text(), text()),
        (secret(), secret(), vec(replaced, 0..3), text(), secret()),
        (
            limit(),
            limit(),
            any::<bool>(),
            any::<bool>(),
            any::<i64>(),
            (time(), time(), time()),
            id(),
            vec(text(), 0..3),
        ),
    )
        .prop_map(|((id, provider, brand, method, country, currency, merchant_id, public_key), secrets, rest)| {
            let (secret_key, webhook_secret, replaced_webhook_secrets, settings_json, config_json) = secrets;
            let (min_amount, max_amount, sandbox, enabled, sort_index, times, version, unapproved) = rest;
            let (created_time, updated_time, deleted_time) = times;
            ProviderConfig {
                id: ConfigId(id),
                provider,
                brand,
                method,
                country,
                currency,
                merchant_id,
                public_key,
                secret_key,
                webhook_secret,
                replaced_webhook_secrets,
                settings_json,
                config_json,
                min_amount,
                max_amount,
                sandbox,
                enabled,
                sort_index,
                created_time,
                updated_time,
                terms_version: version / 2,
                version,
                account_marks: unapproved.clone(),
                unapproved,
                deleted_time,
                unreadable: Vec::new(),
            }
        })
        .boxed()
}

pub(super) fn customer_override() -> BoxedStrategy<CustomerOverride> {
    (
        (id(), id(), text(), id(), text(), text(), select(&[OverrideMode::Allow, OverrideMode::Deny][..])),
        (limit(), limit(), any::<bool>(), text(), text(), time(), time(), time()),
    )
        .prop_map(|((id, customer, brand, config, provider, method, mode), rest)| {
            let (min_amount, max_amount, enabled, reason, comment, expires_time, created_time, updated_time) = rest;
            CustomerOverride {
                id: OverrideId(id),
                customer_id: CustomerId(customer),
                brand,
                provider_config_id: ConfigId(config),
                provider,
                method,
                mode,
                min_amount,
                max_amount,
                enabled,
                reason,
                comment,
                expires_time,
                created_time,
                updated_time,
            }
        })
        .boxed()
}
