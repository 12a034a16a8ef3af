//! Packed rows: every field of a transaction and of its operations comes back as it was written.

use cashier_core::conversion::{Conversion, RATE_DECIMALS_MAX, RATE_MANTISSA_MAX, Rate};
use cashier_core::facts::{MismatchKind, PersonFact, ProviderFact, Recorded, ReviewHold};
use cashier_core::money::Money;
use cashier_core::reason::{Reason, ReasonCode};
use cashier_core::refs::Refs;
use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction};
use proptest::prelude::*;

use super::*;
use crate::standing::any_fact;

fn any_text() -> impl Strategy<Value = Box<str>> {
    prop_oneof![Just("".to_string()), Just("pi_123456789".to_string()), "[a-z]{1,6}", "\\PC{0,40}"].prop_map(Into::into)
}

fn any_time() -> impl Strategy<Value = UnixTime> {
    prop_oneof![
        Just(UnixTime::UNSET),
        (0_i64..1_000).prop_map(|seconds| NOW.plus(seconds)),
        any::<i64>().prop_map(UnixTime),
    ]
}

fn any_money() -> impl Strategy<Value = Money> {
    let minor = prop_oneof![0_i64..100_000, any::<i64>()];
    (minor, prop::sample::select(vec!["USD", "EUR", "JPY", "BTC", "KWD"]))
        .prop_map(|(minor, code)| Money::new(minor, currency(code)))
}

fn any_person_fact() -> impl Strategy<Value = PersonFact> {
    prop_oneof![
        prop::sample::select(TransactionStatus::ALL).prop_map(PersonFact::Held),
        Just(PersonFact::Released),
        Just(PersonFact::Approved),
        Just(PersonFact::Rejected),
        any::<i64>().prop_map(|minor| PersonFact::Resolved { minor }),
        Just(PersonFact::Retried),
        (any_text(), any_text(), any::<i64>()).prop_map(|(id, payment, minor)| PersonFact::RefundRequested {
            id,
            payment,
            minor
        }),
        any_text().prop_map(|id| PersonFact::RefundRefused { id }),
        (any_text(), any_text()).prop_map(|(id, refund)| PersonFact::RefundDone { id, refund }),
        (any_text(), any_text(), any_text()).prop_map(|(id, key, reason)| PersonFact::RefundReason { id, key, reason }),
        (any_text(), any::<i64>(), any::<i64>()).prop_map(|(id, terms, before)| PersonFact::RefundSent {
            id,
            terms,
            before
        }),
        any_text().prop_map(|id| PersonFact::RefundCrashed { id }),
        (any_text(), any_text()).prop_map(|(id, refund)| PersonFact::RefundAccepted { id, refund }),
        any_text().prop_map(|id| PersonFact::RefundInTotal { id }),
        (any_text(), any_text(), any_text()).prop_map(|(id, by, reason)| PersonFact::RefundRefusal { id, by, reason }),
    ]
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let mismatch = (prop::sample::select(MismatchKind::ALL), any_text(), any_text(), any::<Option<i64>>()).prop_map(
        |(what, expected, stated, minor)| {
            ProviderFact::ReviewHold(ReviewHold::Mismatch {
                what,
                expected,
                stated,
                stated_minor: minor,
                payment: "".into(),
            })
        },
    );
    let provider = prop_oneof![any_fact(), mismatch];
    let provider = prop::collection::vec((any::<u64>(), any_time(), provider), 0..5);
    let persons = prop::collection::vec((any::<u64>(), any_time(), any_person_fact()), 0..4);
    (provider, persons).prop_map(|(provider, persons)| Facts {
        provider: provider.into_iter().map(|(seq, at, fact)| Recorded { seq: Seq(seq), at, fact }).collect(),
        persons: persons.into_iter().map(|(seq, at, fact)| Recorded { seq: Seq(seq), at, fact }).collect(),
    })
}

fn any_operation() -> impl Strategy<Value = BalanceOperation> {
    let numbers = (any::<u64>(), any::<u32>(), any::<u64>(), (any::<u64>(), any::<u64>()), any_money());
    let words = (
        prop::sample::select(OperationCmd::ALL),
        prop::sample::select(OperationReason::ALL),
        prop::sample::select(OperationStatus::ALL),
    );
    (numbers, words, any_text(), any_time(), any_time()).prop_map(
        |(
            (id, ordinal, login, (trade_order, request_order), amount),
            (cmd, reason, status),
            failure_reason,
            created_time,
            updated_time,
        )| {
            BalanceOperation {
                id: OperationId(id),
                transaction_id: TransactionId(15),
                ordinal,
                login: Login(login),
                trade_order,
                request_order,
                cmd,
                amount,
                reason,
                status,
                failure_reason,
                created_time,
                updated_time,
            }
        },
    )
}

fn any_server() -> impl Strategy<Value = ServerName> {
    "[a-z0-9_-]{0,32}".prop_filter_map("the embedded one", |name| ServerName::read(&name))
}

/// Of few rows.
fn any_conversion() -> impl Strategy<Value = Option<Box<Conversion>>> {
    let rate = (1..=RATE_MANTISSA_MAX, 0..=RATE_DECIMALS_MAX).prop_map(|(digits, decimals)| Rate::of(digits, decimals));
    let conversion = (rate, any_time(), any_text())
        .prop_map(|(rate, time, source)| rate.map(|rate| Box::new(Conversion { rate, time, source })));
    prop_oneof![Just(None), conversion]
}

/// A transaction with any value in every field.
fn any_transaction() -> impl Strategy<Value = Transaction> {
    let texts = prop::collection::vec(any_text(), 11);
    let times = prop::collection::vec(any_time(), 5);
    let numbers =
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<(u64, u64)>(), any::<u32>());
    let words = (
        prop::sample::select(TransactionType::ALL),
        prop::sample::select(Source::ALL),
        prop::sample::select(TransactionStatus::ALL),
        prop::sample::select(FirstAnswer::ALL),
        prop::sample::select(NextAction::ALL),
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(ReasonCode::ALL),
    );
    let refs = prop::collection::vec(("[a-z]{1,5}", "\\PC{1,20}"), 0..4);
    (
        texts,
        times,
        numbers,
        words,
        refs,
        any_facts(),
        (any_money(), any_money(), any_conversion(), any::<u128>(), (any::<(bool, u32)>(), any_server())),
    )
        .prop_map(
            |(
                texts,
                times,
                numbers,
                words,
                refs,
                facts,
                (amount, account, conversion, bits, ((has_texts, stored_bytes), server)),
            )| {
                let mut texts = texts.into_iter();
                let mut text = || texts.next().unwrap();
                let mut times = times.into_iter();
                let mut time = || times.next().unwrap();
                let (customer, login, approver, processor, config, (refused, wanted), version) = numbers;
                let (kind, source, status, first_answer, next_action, sandbox, by_manager, code) = words;
                Transaction {
                    id: TransactionId(15),
                    customer_id: CustomerId(customer),
                    login: Login(login),
                    kind,
                    source,
                    provider: text(),
                    method: text(),
                    requested_method: text(),
                    provider_payment_id: text(),
                    amount,
                    account_currency: account.currency,
                    conversion,
                    status,
                    reason: Reason { code, detail: text() },
                    idempotency_key: text(),
                    has_texts,
                    stored_bytes,
                    approved_by: ManagerId(approver),
                    approved_time: time(),
                    processed_by: ManagerId(processor),
                    processed_time: time(),
                    reject_reason: text(),
                    created_time: time(),
                    updated_time: time(),
                    config_id: ConfigId(config),
                    brand: text(),
                    country: text(),
                    sandbox,
                    server,
                    reference: Reference::from_random(bits),
                    key_space: if by_manager { KeySpace::Manager } else { KeySpace::Customer },
                    expires_time: time(),
                    refs: refs.iter().map(|(kind, value)| ProviderRef::new(kind, value)).collect::<Refs>(),
                    facts,
                    first_answer,
                    next_action,
                    refused_seq: Seq(refused),
                    query_wanted: Seq(wanted),
                    version,
                }
            },
        )
}

proptest! {
    #[test]
    fn every_field_survives_packing(
        transaction in any_transaction(),
        operations in prop::collection::btree_map(any::<u64>(), any_operation(), 0..4),
    ) {
        let operations: Vec<BalanceOperation> =
            operations.into_iter().map(|(id, known)| BalanceOperation { id: OperationId(id), ..known }).collect();
        let mut changes = vec![row(transaction.clone())];
        changes.extend(operations.iter().map(|known| Change::Operation(Box::new(known.clone()))));
        let expected = Some(Aggregate { transaction, operations });

        let mut books = Books::new();
        books.apply(&commit(7, changes.clone()));
        prop_assert_eq!(&books.aggregate(TransactionId(15)), &expected);
        prop_assert_eq!(books.touched(TransactionId(15)), Seq(7));

        let mut backwards = Books::new();
        for change in changes.into_iter().rev() {
            backwards.load(change);
        }
        prop_assert_eq!(&backwards.aggregate(TransactionId(15)), &expected);
    }
}
