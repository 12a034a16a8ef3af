//! Which facts an update establishes: config, mode, brand, currency and amount are compared first.

use cashier_core::facts::{MismatchKind, ProviderFact, ReviewHold};
use cashier_core::ids::ConfigId;
use cashier_core::inbox::verify;
use cashier_core::money::Money;
use cashier_core::notice::{DisputeStatement, Reach, ReceivingConfig, RefundStatement, StatedAmount, Update};
use cashier_core::reason::ReasonCode;
use cashier_core::status::ProviderStatus as S;
use cashier_core::transaction::Transaction;

use crate::samples::*;

fn eur(minor: i64) -> StatedAmount {
    StatedAmount::Exact(Money::new(minor, currency("EUR")))
}

fn exact(minor: i64) -> Option<StatedAmount> {
    Some(StatedAmount::Exact(usd(minor)))
}

fn refund(id: &str, amount: StatedAmount, reach: Reach) -> Update {
    Update {
        refund: Some(RefundStatement { id: id.into(), amount, reach, requested: "".into() }),
        ..update(S::Refunded)
    }
}

fn dispute(status: S, amount: Option<StatedAmount>) -> Update {
    Update { dispute: Some(DisputeStatement { id: "dp_1".into(), amount }), ..update(status) }
}

fn mismatch(what: MismatchKind, expected: &str, stated: &str, stated_minor: Option<i64>) -> ProviderFact {
    ProviderFact::ReviewHold(ReviewHold::Mismatch {
        what,
        expected: expected.into(),
        stated: stated.into(),
        stated_minor,
        payment: "pi_123".into(),
    })
}

fn failed_refund(id: &str, amount: StatedAmount, reach: Reach, own: &str) -> Update {
    let refund = RefundStatement { id: id.into(), amount, reach, requested: own.into() };
    Update { refund: Some(refund), ..update(S::RefundFailed) }
}

fn requested(mut stated: Update) -> Update {
    if let Some(refund) = &mut stated.refund {
        refund.requested = "own".into();
    }
    stated
}

fn failed(id: &str, minor: i64) -> ProviderFact {
    ProviderFact::RefundFailed { id: id.into(), payment: "pi_123".into(), minor }
}

fn own_refund(id: &str) -> ProviderFact {
    ProviderFact::RefundOfRequest { id: id.into(), requested: "own".into() }
}

fn in_review(status: &str) -> ProviderFact {
    ProviderFact::ReviewHold(ReviewHold::InReview { status: status.into() })
}

fn requested_review(status: &str) -> ProviderFact {
    ProviderFact::ReviewHold(ReviewHold::Requested { status: status.into() })
}

#[test]
fn an_update_establishes_the_listed_facts() {
    let confirmed = || ProviderFact::Confirmed { payment: "pi_123".into(), minor: 10_000 };
    let table: Vec<(Update, Vec<ProviderFact>)> = vec![
        (update(S::Unknown), vec![]),
        (update(S::Pending), vec![ProviderFact::Accepted]),
        (update(S::Confirmed), vec![confirmed()]),
        (
            Update { payment_id: "".into(), ..update(S::Confirmed) },
            vec![ProviderFact::Confirmed { payment: "".into(), minor: 10_000 }],
        ),
        (
            Update { amount: exact(9_000), ..update(S::Confirmed) },
            vec![mismatch(MismatchKind::Amount, "100.0 USD", "90.0 USD", Some(9_000))],
        ),
        (
            Update { amount: exact(10_001), ..update(S::Confirmed) },
            vec![mismatch(MismatchKind::Amount, "100.0 USD", "100.01 USD", Some(10_001))],
        ),
        (
            Update { amount: Some(eur(10_000)), ..update(S::Confirmed) },
            vec![mismatch(MismatchKind::Currency, "100.0 USD", "100.0 EUR", None)],
        ),
        (
            Update { amount: Some(StatedAmount::Unreadable("1e2".into())), ..update(S::Confirmed) },
            vec![mismatch(MismatchKind::Amount, "100.0 USD", "1e2", None)],
        ),
        (
            Update { amount: None, ..update(S::Confirmed) },
            vec![ProviderFact::ReviewHold(ReviewHold::AmountUnstated { payment: "pi_123".into() })],
        ),
        (update(S::Failed), vec![ProviderFact::Declined { reason: "raw".into() }]),
        (
            Update { reason: "no funds".into(), ..update(S::Failed) },
            vec![ProviderFact::Declined { reason: "no funds".into() }],
        ),
        (Update { amount: exact(1), ..update(S::Failed) }, vec![ProviderFact::Declined { reason: "raw".into() }]),
        (update(S::Cancelled), vec![ProviderFact::Cancelled { reason: ReasonCode::Cancelled }]),
        (
            Update { raw_status: "session.expired".into(), ..update(S::Cancelled) },
            vec![ProviderFact::Cancelled { reason: ReasonCode::Expired }],
        ),
        (
            refund("re_1", StatedAmount::Exact(usd(3_000)), Reach::Delta),
            vec![ProviderFact::Refund { id: "re_1".into(), payment: "pi_123".into(), minor: 3_000 }],
        ),
        (
            refund("", StatedAmount::Exact(usd(3_000)), Reach::Delta),
            vec![ProviderFact::Refund { id: "evt_1".into(), payment: "pi_123".into(), minor: 3_000 }],
        ),
        (
            Update { event_id: "".into(), ..refund("", StatedAmount::Exact(usd(3_000)), Reach::Delta) },
            vec![requested_review("refund without an id")],
        ),
        (
            refund("", StatedAmount::Exact(usd(3_000)), Reach::TotalSoFar),
            vec![ProviderFact::RefundedTotal { payment: "pi_123".into(), minor: 3_000 }],
        ),
        (
            refund("re_1", eur(3_000), Reach::Delta),
            vec![mismatch(MismatchKind::Currency, "100.0 USD", "30.0 EUR", None)],
        ),
        (update(S::Refunded), vec![ProviderFact::RefundedTotal { payment: "pi_123".into(), minor: 10_000 }]),
        (
            Update { amount: exact(2_000), ..update(S::Refunded) },
            vec![ProviderFact::RefundedTotal { payment: "pi_123".into(), minor: 2_000 }],
        ),
        (
            Update { amount: None, ..update(S::Refunded) },
            vec![ProviderFact::RefundedTotal { payment: "pi_123".into(), minor: 10_000 }],
        ),
        (
            dispute(S::Chargeback, exact(4_000)),
            vec![ProviderFact::Chargeback { id: "dp_1".into(), payment: "pi_123".into(), minor: 4_000 }],
        ),
        (
            dispute(S::Chargeback, None),
            vec![ProviderFact::Chargeback { id: "dp_1".into(), payment: "pi_123".into(), minor: 10_000 }],
        ),
        (dispute(S::Chargeback, Some(eur(1))), vec![mismatch(MismatchKind::Currency, "100.0 USD", "0.01 EUR", None)]),
        (
            update(S::Chargeback),
            vec![ProviderFact::Chargeback { id: "pi_123".into(), payment: "pi_123".into(), minor: 10_000 }],
        ),
        (
            dispute(S::ChargebackReversed, None),
            vec![ProviderFact::ChargebackReversed { id: "dp_1".into(), payment: "pi_123".into() }, confirmed()],
        ),
        (
            update(S::ChargebackReversed),
            vec![ProviderFact::ChargebackReversed { id: "pi_123".into(), payment: "pi_123".into() }],
        ),
        // The answer to a query states at once what notices state one by one.
        (
            Update { status: S::Confirmed, ..refund("", StatedAmount::Exact(usd(3_000)), Reach::TotalSoFar) },
            vec![confirmed(), ProviderFact::RefundedTotal { payment: "pi_123".into(), minor: 3_000 }],
        ),
        (
            Update { status: S::Confirmed, ..refund("re_1", StatedAmount::Exact(usd(3_000)), Reach::Delta) },
            vec![confirmed(), ProviderFact::Refund { id: "re_1".into(), payment: "pi_123".into(), minor: 3_000 }],
        ),
        (
            Update { status: S::Confirmed, ..refund("", eur(3_000), Reach::TotalSoFar) },
            vec![confirmed(), mismatch(MismatchKind::Currency, "100.0 USD", "30.0 EUR", None)],
        ),
        (
            Update {
                amount: exact(9_000),
                status: S::Confirmed,
                ..refund("", StatedAmount::Exact(usd(1)), Reach::TotalSoFar)
            },
            vec![
                mismatch(MismatchKind::Amount, "100.0 USD", "90.0 USD", Some(9_000)),
                ProviderFact::RefundedTotal { payment: "pi_123".into(), minor: 1 },
            ],
        ),
        (
            Update { amount: exact(10_000), ..dispute(S::Confirmed, exact(4_000)) },
            vec![confirmed(), ProviderFact::Chargeback { id: "dp_1".into(), payment: "pi_123".into(), minor: 4_000 }],
        ),
        (
            Update {
                dispute: dispute(S::Chargeback, exact(4_000)).dispute,
                status: S::Chargeback,
                ..refund("", StatedAmount::Exact(usd(3_000)), Reach::TotalSoFar)
            },
            vec![
                ProviderFact::Chargeback { id: "dp_1".into(), payment: "pi_123".into(), minor: 4_000 },
                ProviderFact::RefundedTotal { payment: "pi_123".into(), minor: 3_000 },
            ],
        ),
        // A reversed dispute leaves the payment paid, where the whole amount is stated.
        (
            Update {
                refund: refund("", StatedAmount::Exact(usd(3_000)), Reach::TotalSoFar).refund,
                ..dispute(S::ChargebackReversed, exact(4_000))
            },
            vec![
                ProviderFact::ChargebackReversed { id: "dp_1".into(), payment: "pi_123".into() },
                confirmed(),
                ProviderFact::RefundedTotal { payment: "pi_123".into(), minor: 3_000 },
            ],
        ),
        (
            Update { amount: exact(4_000), ..dispute(S::ChargebackReversed, exact(4_000)) },
            vec![ProviderFact::ChargebackReversed { id: "dp_1".into(), payment: "pi_123".into() }],
        ),
        (
            Update { amount: None, ..dispute(S::ChargebackReversed, exact(4_000)) },
            vec![ProviderFact::ChargebackReversed { id: "dp_1".into(), payment: "pi_123".into() }],
        ),
        (update(S::ManualReview), vec![requested_review("raw")]),
        (
            Update { amount: exact(9_000), ..update(S::ManualReview) },
            vec![mismatch(MismatchKind::Amount, "100.0 USD", "90.0 USD", Some(9_000))],
        ),
        (
            Update {
                dispute: dispute(S::ManualReview, exact(4_000)).dispute,
                status: S::ManualReview,
                ..refund("re_1", StatedAmount::Exact(usd(3_000)), Reach::Delta)
            },
            vec![
                requested_review("raw"),
                ProviderFact::Refund { id: "re_1".into(), payment: "pi_123".into(), minor: 3_000 },
                ProviderFact::Chargeback { id: "dp_1".into(), payment: "pi_123".into(), minor: 4_000 },
            ],
        ),
        // The review ends by itself, so an amount beside it decides nothing.
        (Update { amount: exact(9_000), ..update(S::InReview) }, vec![in_review("raw")]),
        (Update { reason: "fraud check".into(), ..update(S::InReview) }, vec![in_review("fraud check")]),
        (
            Update { status: S::InReview, ..refund("", StatedAmount::Exact(usd(3_000)), Reach::TotalSoFar) },
            vec![in_review("raw"), ProviderFact::RefundedTotal { payment: "pi_123".into(), minor: 3_000 }],
        ),
        (
            Update {
                dispute: dispute(S::Refunded, exact(4_000)).dispute,
                ..refund("re_1", StatedAmount::Exact(usd(3_000)), Reach::Delta)
            },
            vec![
                ProviderFact::Refund { id: "re_1".into(), payment: "pi_123".into(), minor: 3_000 },
                ProviderFact::Chargeback { id: "dp_1".into(), payment: "pi_123".into(), minor: 4_000 },
            ],
        ),
        (failed_refund("re_1", StatedAmount::Exact(usd(3_000)), Reach::Delta, ""), vec![failed("re_1", 3_000)]),
        (failed_refund("re_1", StatedAmount::Exact(usd(3_000)), Reach::TotalSoFar, ""), vec![failed("re_1", 0)]),
        (failed_refund("re_1", eur(3_000), Reach::Delta, ""), vec![failed("re_1", 0)]),
        (failed_refund("", StatedAmount::Exact(usd(3_000)), Reach::Delta, ""), vec![failed("evt_1", 3_000)]),
        (update(S::RefundFailed), vec![failed("evt_1", 0)]),
        (Update { event_id: "".into(), ..update(S::RefundFailed) }, vec![requested_review("refund without an id")]),
        (
            failed_refund("re_1", StatedAmount::Exact(usd(3_000)), Reach::Delta, "own"),
            vec![failed("re_1", 3_000), own_refund("re_1")],
        ),
        (
            requested(refund("re_1", StatedAmount::Exact(usd(3_000)), Reach::Delta)),
            vec![
                ProviderFact::Refund { id: "re_1".into(), payment: "pi_123".into(), minor: 3_000 },
                own_refund("re_1"),
            ],
        ),
        // A total names no refund that could be ours.
        (
            requested(refund("re_1", StatedAmount::Exact(usd(3_000)), Reach::TotalSoFar)),
            vec![ProviderFact::RefundedTotal { payment: "pi_123".into(), minor: 3_000 }],
        ),
        (
            Update { status: S::Confirmed, ..requested(refund("re_1", StatedAmount::Exact(usd(3_000)), Reach::Delta)) },
            vec![
                confirmed(),
                ProviderFact::Refund { id: "re_1".into(), payment: "pi_123".into(), minor: 3_000 },
                own_refund("re_1"),
            ],
        ),
        (
            Update { advance: true, ..update(S::Pending) },
            vec![ProviderFact::Accepted, ProviderFact::AdvanceWanted { event: "evt_1".into() }],
        ),
    ];
    for (place, (update, expected)) in table.into_iter().enumerate() {
        assert_eq!(verify(&deposit(15), &receiver(), &update), Ok(expected), "line {place}: {update:?}");
    }
}

#[test]
fn a_money_statement_of_another_mode_or_brand_is_held_for_review_and_other_facts_are_recorded() {
    let money = [S::Confirmed, S::Refunded, S::RefundFailed, S::Chargeback, S::ChargebackReversed];
    type Change = fn(&mut Transaction, &mut ReceivingConfig, &mut Update);
    let changes: [(MismatchKind, Change); 5] = [
        (MismatchKind::Mode, |_, _, update| update.mode_conflict = true),
        (MismatchKind::Mode, |_, _, update| update.sandbox = Some(true)),
        (MismatchKind::Mode, |_, receiver, _| receiver.sandbox = true),
        (MismatchKind::Mode, |transaction, _, _| transaction.sandbox = true),
        (MismatchKind::Brand, |_, receiver, _| receiver.brand = "other".into()),
    ];
    for (what, change) in changes {
        for status in [S::Pending, S::Failed, S::Cancelled].into_iter().chain(money) {
            let (mut transaction, mut receiver, mut update) = (deposit(15), receiver(), update(status));
            change(&mut transaction, &mut receiver, &mut update);
            let facts = verify(&transaction, &receiver, &update).unwrap();
            let is_hold = |fact: &ProviderFact| matches!(fact, ProviderFact::ReviewHold(ReviewHold::Mismatch { what: found, .. }) if *found == what);
            assert_eq!(facts.len(), 1, "{status:?}");
            assert_eq!(facts.iter().all(is_hold), money.contains(&status), "{what:?} {status:?}: {facts:?}");
        }
    }
    let generic = ReceivingConfig { brand: "".into(), ..receiver() };
    assert_eq!(
        verify(&deposit(15), &generic, &update(S::Confirmed)),
        verify(&deposit(15), &receiver(), &update(S::Confirmed))
    );
    let sandboxed = Transaction { sandbox: true, ..deposit(15) };
    let sandbox = ReceivingConfig { sandbox: true, ..receiver() };
    let silent = verify(&sandboxed, &sandbox, &update(S::Confirmed));
    assert!(matches!(silent.as_deref(), Ok([ProviderFact::Confirmed { .. }])));
}

#[test]
fn an_update_received_under_another_config_establishes_nothing() {
    let other = ReceivingConfig { config_id: ConfigId(2), ..receiver() };
    for status in S::ALL {
        let reason = verify(&deposit(15), &other, &update(*status)).unwrap_err();
        assert!(reason.to_string().starts_with("PROVIDER_CONFIG_MISMATCH: received under config 2"), "{reason}");
    }
}

#[test]
fn each_mismatch_has_a_stored_name_and_a_reason_of_its_own() {
    use cashier_core::facts::MismatchKind as K;
    use cashier_core::reason::ReasonCode as R;
    let table = [
        (K::Amount, "amount", R::AmountMismatch),
        (K::Brand, "brand", R::BrandMismatch),
        (K::Currency, "currency", R::CurrencyMismatch),
        (K::Mode, "mode", R::ModeMismatch),
    ];
    assert_eq!(K::ALL, table.map(|(kind, ..)| kind));
    for (kind, name, reason) in table {
        assert_eq!((kind.name(), kind.reason(), K::from_name(name)), (name, reason, Some(kind)));
    }
    assert_eq!(K::from_name("colour"), None);
}
