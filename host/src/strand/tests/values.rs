//! Arbitrary domain values, for property tests. Typical ones are in `plain`.

mod configuration;

use cashier_core::change::Change;
use cashier_core::conversion::{Conversion, RATE_DECIMALS_MAX, RATE_MANTISSA_MAX, Rate};
use cashier_core::customer_override::{CustomerOverride, OverrideMode};
use cashier_core::facts::{Facts, MismatchKind, PersonFact, ProviderFact, Recorded, ReviewHold};
use cashier_core::ids::*;
use cashier_core::money::{Currency, Limit, Money};
use cashier_core::notice::{DisputeStatement, ProviderEvent, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::operation::BalanceOperation;
use cashier_core::provider_config::{ProviderConfig, ReplacedSecret, Secret};
use cashier_core::reason::{Reason, ReasonCode};
use cashier_core::refs::{ProviderRef, Refs};
use cashier_core::status::*;
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction, Transaction};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use self::configuration::{approval, config, customer_override};

/// The highest id of arbitrary rows, and the value of the tests' counters.
pub(super) const ID_MOST: u64 = ID_MAX;

/// Quotes, controls, other scripts, NUL, and nothing at all.
fn text() -> BoxedStrategy<Box<str>> {
    prop_oneof![Just(String::new()), "[a-z0-9_]{1,20}", any::<String>(), Just("\0\"\\'\u{7f}\u{10ffff}€".to_owned())]
        .prop_map(String::into_boxed_str)
        .boxed()
}

fn id() -> BoxedStrategy<u64> {
    prop_oneof![1..=40_u64, Just(ID_MOST)].boxed()
}

fn time() -> BoxedStrategy<UnixTime> {
    prop_oneof![Just(0), any::<i64>(), 1_779_270_000..1_779_300_000_i64].prop_map(UnixTime).boxed()
}

fn currency() -> BoxedStrategy<Currency> {
    select(&["USD", "JPY", "KWD", "BTC", "USDT", "DOGE"][..])
        .prop_map(|code| Currency::from_code(code).unwrap())
        .boxed()
}

fn money() -> BoxedStrategy<Money> {
    (any::<i64>(), currency()).prop_map(|(minor, currency)| Money::new(minor, currency)).boxed()
}

fn limit() -> BoxedStrategy<Limit> {
    prop_oneof![Just("0".to_owned()), "[1-9][0-9]{0,14}", "[0-9]{1,14}\\.[0-9]{1,8}"]
        .prop_map(|text| Limit::parse(&text).unwrap())
        .boxed()
}

fn reference() -> BoxedStrategy<Reference> {
    any::<u128>().prop_map(Reference::from_random).boxed()
}

fn provider_ref() -> BoxedStrategy<ProviderRef> {
    ("[a-z_]{1,32}", "[ -~]{1,255}").prop_map(|(kind, value)| ProviderRef::new(&kind, &value)).boxed()
}

fn review_hold() -> BoxedStrategy<ReviewHold> {
    prop_oneof![
        Just(ReviewHold::OutcomeUnknown),
        text().prop_map(|payment| ReviewHold::AmountUnstated { payment }),
        (select(MismatchKind::ALL), text(), text(), option::of(any::<i64>()), text()).prop_map(
            |(what, expected, stated, stated_minor, payment)| {
                ReviewHold::Mismatch { what, expected, stated, stated_minor, payment }
            }
        ),
        text().prop_map(|status| ReviewHold::Requested { status }),
        (text(), text()).prop_map(|(payment, owner)| ReviewHold::PaymentReused { payment, owner }),
        Just(ReviewHold::NotStored),
        text().prop_map(|deposit| ReviewHold::Beside { deposit }),
        text().prop_map(|deposit| ReviewHold::ReturnBeside { deposit }),
        (text(), text()).prop_map(|(payment, owner)| ReviewHold::Misplaced { payment, owner }),
        (text(), text()).prop_map(|(payment, order)| ReviewHold::CountedElsewhere { payment, order }),
        text().prop_map(|status| ReviewHold::InReview { status }),
    ]
    .boxed()
}

fn provider_fact() -> BoxedStrategy<ProviderFact> {
    prop_oneof![
        Just(ProviderFact::Accepted),
        Just(ProviderFact::Unanswered),
        text().prop_map(|event| ProviderFact::AdvanceWanted { event }),
        (text(), any::<i64>()).prop_map(|(payment, minor)| ProviderFact::Confirmed { payment, minor }),
        text().prop_map(|reason| ProviderFact::Declined { reason }),
        select(ReasonCode::ALL).prop_map(|reason| ProviderFact::Cancelled { reason }),
        (text(), text(), any::<i64>()).prop_map(|(id, payment, minor)| ProviderFact::Refund { id, payment, minor }),
        (text(), any::<i64>()).prop_map(|(payment, minor)| ProviderFact::RefundedTotal { payment, minor }),
        (text(), text(), any::<i64>()).prop_map(|(id, payment, minor)| ProviderFact::Chargeback { id, payment, minor }),
        (text(), text()).prop_map(|(id, payment)| ProviderFact::ChargebackReversed { id, payment }),
        review_hold().prop_map(ProviderFact::ReviewHold),
        (text(), text(), any::<i64>()).prop_map(|(id, payment, minor)| ProviderFact::RefundFailed {
            id,
            payment,
            minor
        }),
        (text(), text()).prop_map(|(id, requested)| ProviderFact::RefundOfRequest { id, requested }),
    ]
    .boxed()
}

fn person_fact() -> BoxedStrategy<PersonFact> {
    prop_oneof![
        select(TransactionStatus::ALL).prop_map(PersonFact::Held),
        Just(PersonFact::Released),
        Just(PersonFact::Approved),
        Just(PersonFact::Rejected),
        any::<i64>().prop_map(|minor| PersonFact::Resolved { minor }),
        Just(PersonFact::Retried),
        (text(), text(), any::<i64>()).prop_map(|(id, payment, minor)| PersonFact::RefundRequested {
            id,
            payment,
            minor
        }),
        text().prop_map(|id| PersonFact::RefundRefused { id }),
        (text(), text()).prop_map(|(id, refund)| PersonFact::RefundDone { id, refund }),
        (text(), text(), text()).prop_map(|(id, key, reason)| PersonFact::RefundReason { id, key, reason }),
        (text(), any::<i64>(), any::<i64>()).prop_map(|(id, terms, before)| PersonFact::RefundSent {
            id,
            terms,
            before
        }),
        text().prop_map(|id| PersonFact::RefundCrashed { id }),
        (text(), text()).prop_map(|(id, refund)| PersonFact::RefundAccepted { id, refund }),
        text().prop_map(|id| PersonFact::RefundInTotal { id }),
        (text(), text(), text()).prop_map(|(id, by, reason)| PersonFact::RefundRefusal { id, by, reason }),
        Just(PersonFact::ReversalsWait),
        id().prop_map(|by| PersonFact::Entered { by: ManagerId(by) }),
        Just(PersonFact::CancelledByCustomer),
        text().prop_map(|words| PersonFact::Explained { words }),
        id().prop_map(|by| PersonFact::CommentWritten { by: ManagerId(by) }),
        id().prop_map(|by| PersonFact::MetadataWritten { by: ManagerId(by) }),
        id().prop_map(|deposit| PersonFact::EnteredBeside { deposit: TransactionId(deposit) }),
    ]
    .boxed()
}

fn recorded<F: std::fmt::Debug>(fact: impl Strategy<Value = F>) -> impl Strategy<Value = Recorded<F>> {
    (id(), time(), fact).prop_map(|(seq, at, fact)| Recorded { seq: Seq(seq), at, fact })
}

pub(super) fn facts() -> BoxedStrategy<Facts> {
    (vec(recorded(provider_fact()), 0..6), vec(recorded(person_fact()), 0..4))
        .prop_map(|(provider, persons)| Facts { provider, persons })
        .boxed()
}

pub(super) fn refs() -> BoxedStrategy<Refs> {
    vec(provider_ref(), 0..=16_usize).prop_map(Refs::from_iter).boxed()
}

fn server() -> impl Strategy<Value = ServerName> {
    "[a-z0-9_-]{0,32}".prop_filter_map("the embedded one", |name| ServerName::read(&name))
}

/// Of few rows.
fn conversion() -> impl Strategy<Value = Option<Box<Conversion>>> {
    let rate = (1..=RATE_MANTISSA_MAX, 0..=RATE_DECIMALS_MAX).prop_map(|(digits, decimals)| Rate::of(digits, decimals));
    let conversion = (rate, time(), text())
        .prop_map(|(rate, time, source)| rate.map(|rate| Box::new(Conversion { rate, time, source })));
    prop_oneof![Just(None), conversion]
}

pub(super) fn transaction() -> BoxedStrategy<Transaction> {
    let published = (
        (id(), id(), id()),
        (select(TransactionType::ALL), select(Source::ALL), text(), text(), text(), text()),
        (money(), currency(), conversion(), select(TransactionStatus::ALL), select(ReasonCode::ALL), text()),
        (text(), any::<bool>(), any::<u32>()),
        (any::<u64>(), time(), any::<u64>(), time(), text(), time(), time()),
    );
    let internal = (
        (
            id(),
            text(),
            text(),
            (any::<bool>(), server()),
            reference(),
            select(&[KeySpace::Customer, KeySpace::Manager][..]),
            time(),
        ),
        (refs(), facts(), select(FirstAnswer::ALL), select(NextAction::ALL), (id(), id()), any::<u32>()),
    );
    (published, internal)
        .prop_map(|(published, internal)| {
            let ((id, customer, login), (kind, source, provider, method, requested_method, payment), sums, texts, done) =
                published;
            let (amount, account_currency, conversion, status, code, detail) = sums;
            let (idempotency_key, has_texts, stored_bytes) = texts;
            let (approved_by, approved_time, processed_by, processed_time, reject_reason, created_time, updated_time) =
                done;
            let ((config, brand, country, (sandbox, server), reference, key_space, expires_time), state) = internal;
            let (refs, facts, first_answer, next_action, (refused, wanted), version) = state;
            Transaction {
                id: TransactionId(id),
                customer_id: CustomerId(customer),
                login: Login(login),
                kind,
                source,
                provider,
                method,
                requested_method,
                provider_payment_id: payment,
                amount,
                account_currency,
                conversion,
                status,
                reason: Reason { code, detail },
                idempotency_key,
                has_texts,
                stored_bytes,
                approved_by: ManagerId(approved_by),
                approved_time,
                processed_by: ManagerId(processed_by),
                processed_time,
                reject_reason,
                created_time,
                updated_time,
                config_id: ConfigId(config),
                brand,
                country,
                sandbox,
                server,
                reference,
                key_space,
                expires_time,
                refs,
                facts,
                first_answer,
                next_action,
                refused_seq: Seq(refused),
                query_wanted: Seq(wanted),
                version,
            }
        })
        .boxed()
}

pub(super) fn operation() -> BoxedStrategy<BalanceOperation> {
    (
        (id(), id(), any::<u32>(), id(), (any::<u64>(), any::<u64>())),
        (select(OperationCmd::ALL), money(), select(OperationReason::ALL), select(OperationStatus::ALL)),
        (text(), time(), time()),
    )
        .prop_map(
            |(
                (id, transaction, ordinal, login, (trade_order, request_order)),
                (cmd, amount, reason, status),
                (failure, created, updated),
            )| {
                BalanceOperation {
                    id: OperationId(id),
                    transaction_id: TransactionId(transaction),
                    ordinal,
                    login: Login(login),
                    trade_order,
                    request_order,
                    cmd,
                    amount,
                    reason,
                    status,
                    failure_reason: failure,
                    created_time: created,
                    updated_time: updated,
                }
            },
        )
        .boxed()
}

fn stated() -> BoxedStrategy<StatedAmount> {
    prop_oneof![money().prop_map(StatedAmount::Exact), text().prop_map(StatedAmount::Unreadable)].boxed()
}

pub(super) fn update() -> BoxedStrategy<Update> {
    let refund = (text(), stated(), select(&[Reach::Delta, Reach::TotalSoFar][..]), text())
        .prop_map(|(id, amount, reach, requested)| RefundStatement { id, amount, reach, requested });
    let dispute = (text(), option::of(stated())).prop_map(|(id, amount)| DisputeStatement { id, amount });
    (
        (text(), option::of(reference()), vec(provider_ref(), 0..4), select(ProviderStatus::ALL), text()),
        (option::of(stated()), option::of(refund), option::of(dispute)),
        (text(), text(), option::of(any::<bool>()), any::<bool>(), any::<bool>()),
    )
        .prop_map(|((event_id, reference, refs, status, payment_id), (amount, refund, dispute), rest)| {
            let (raw_status, reason, sandbox, mode_conflict, advance) = rest;
            Update {
                event_id,
                reference,
                refs,
                status,
                payment_id,
                amount,
                refund,
                dispute,
                raw_status,
                reason,
                sandbox,
                mode_conflict,
                advance,
            }
        })
        .boxed()
}

pub(super) fn event() -> BoxedStrategy<ProviderEvent> {
    (
        (id(), id(), id(), text(), text(), id()),
        (text(), select(SignatureStatus::ALL), select(ProcessingStatus::ALL), text()),
        (option::of(update()), text(), vec(id().prop_map(ConfigId), 0..3), time(), time()),
    )
        .prop_map(
            |((id, notice, config, provider, brand, transaction), (payment, signature, processing, failure), rest)| {
                let (update, module_hash, also_verified_by, created_time, processed_time) = rest;
                ProviderEvent {
                    id: EventId(id),
                    notice_id: NoticeId(notice),
                    config_id: ConfigId(config),
                    provider,
                    brand,
                    // One provider event is one row: the row's id makes it distinct.
                    event_id: format!("evt_{id}").into(),
                    transaction_id: TransactionId(transaction),
                    provider_payment_id: payment,
                    signature_status: signature,
                    processing_status: processing,
                    failure_reason: failure,
                    update,
                    module_hash,
                    also_verified_by: also_verified_by.into(),
                    created_time,
                    processed_time,
                }
            },
        )
        .boxed()
}

pub(super) fn change() -> BoxedStrategy<Change> {
    prop_oneof![
        transaction().prop_map(|row| Change::Transaction(Box::new(row))),
        operation().prop_map(|row| Change::Operation(Box::new(row))),
        event().prop_map(|row| Change::Event(Box::new(row))),
        config().prop_map(|row| Change::Config(Box::new(row))),
        config().prop_map(|row| Change::ConfigDeleted(row.id)),
        customer_override().prop_map(|row| Change::Override(Box::new(row))),
        approval().prop_map(|row| Change::Approval(Box::new(row))),
    ]
    .boxed()
}
