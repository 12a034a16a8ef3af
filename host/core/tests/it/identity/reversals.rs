//! What went back of a payment is taken from the transaction that it was confirmed for, whatever else the statement names.

use cashier_core::duty::ProviderQuery;
use cashier_core::refs::Refs;

use super::*;

/// Transactions 1 and 2 under these configs, paid by `pi_1` and `pi_2`, of 100.00 each.
fn both_paid(configs: [u64; 2]) -> Ledger {
    let mut ledger = Ledger::with(&configs);
    for (id, config) in (1..).zip(configs) {
        ledger.file(config, vec![with_ref(paid(&format!("paid {id}"), id, &format!("pi_{id}")), &format!("pi_{id}"))]);
    }
    ledger.restart();
    ledger
}

/// Statements about `pi_1` that name the reference of transaction 2, with what is owed to transaction 1 after each.
fn misnamed() -> Vec<(&'static str, Update, i64)> {
    let base = |update: Update| Update { reference: Some(reference(2)), payment_id: "pi_1".into(), ..update };
    let disputed = |status, minor| {
        let amount = Some(StatedAmount::Exact(usd(minor)));
        let dispute = Some(DisputeStatement { id: "du_1".into(), amount });
        base(Update { dispute, amount: None, ..named("d", 2, status) })
    };
    let total = |minor| {
        let refund = refunded("", minor).refund.map(|refund| RefundStatement { reach: Reach::TotalSoFar, ..refund });
        base(Update { refund, ..refunded("t", minor) })
    };
    vec![
        ("one refund", base(refunded("re_1", 4_000)), 6_000),
        ("the total", total(7_000), 3_000),
        ("everything", base(Update { amount: None, ..named("r", 2, S::Refunded) }), 0),
        ("a dispute", disputed(S::Chargeback, 10_000), 0),
        ("a dispute that was reversed", disputed(S::ChargebackReversed, 10_000), 10_000),
        ("a refund that failed", base(Update { status: S::RefundFailed, ..refunded("re_1", 4_000) }), 10_000),
    ]
}

fn owed(ledger: &Ledger, id: u64) -> i64 {
    ledger.aggregate(id).standing().owed_minor
}

#[test]
fn what_went_back_of_a_payment_is_taken_from_its_own_transaction_and_not_from_the_one_that_is_named() {
    for configs in [[1, 1], [1, 2], [2, 1]] {
        for by_id in [false, true] {
            for (label, reversal, left) in misnamed() {
                let mut ledger = both_paid(configs);
                let untouched = ledger.aggregate(2);
                let reversal = if by_id { with_ref(reversal, "pi_1") } else { reversal };
                let others = vec![gateway(configs[0]), gateway(3 - configs[1])];
                let notice = VerifiedNotice::assertion(gateway(configs[1]), vec![reversal]);
                ledger.notice(&notice.also_verified_by(others));
                let event = ledger.events().pop().unwrap();
                assert_eq!(
                    (event.processing_status, event.transaction_id, owed(&ledger, 1)),
                    (ProcessingStatus::Processed, TransactionId(1), left),
                    "{label} {configs:?} {by_id}: {}",
                    event.failure_reason
                );
                assert_eq!(ledger.aggregate(2), untouched, "{label} {configs:?} {by_id}");
                let reviewed = ledger.standing(1).2 == ReasonCode::RefundFailed;
                assert_eq!(reviewed, label == "a refund that failed");
            }
        }
    }
}

#[test]
fn a_dispute_and_its_end_under_the_other_reference_give_the_credit_back() {
    let mut ledger = both_paid([1, 1]);
    let [.., opened, lifted, _] = &misnamed()[..] else { unreachable!() };
    for (order, owed_then) in [(&opened.1, 0), (&lifted.1, 10_000)] {
        ledger.file(1, vec![Update { event_id: format!("{owed_then}").into(), ..order.clone() }]);
        assert_eq!((owed(&ledger, 1), owed(&ledger, 2)), (owed_then, 10_000));
    }
}

#[test]
fn under_a_config_that_does_not_authorise_it_nothing_moves_and_the_payments_own_provider_is_queried() {
    for (label, reversal, _) in misnamed() {
        let mut ledger = both_paid([1, 2]);
        let before = [1, 2].map(|id| ledger.aggregate(id));
        let filed = ledger.file(2, vec![reversal]);
        let event = ledger.events().pop().unwrap();
        assert!(event.failure_reason.starts_with("PROVIDER_CONFIG_MISMATCH"), "{label}: {}", event.failure_reason);
        assert_eq!(filed.queries, [(TransactionId(1), ProviderQuery::Status)], "{label}");
        let first = ledger.aggregate(1);
        assert!(first.transaction.query_wanted > Seq(0), "{label}");
        // No provider may be able to say more of it: a person looks.
        let shown = "REVERSAL_MISPLACED: money of payment pi_1 went back, as was stated with transaction 2: it does not count here";
        assert!(first.transaction.reason.to_string().starts_with(shown), "{label}: {}", first.transaction.reason);
        assert_eq!((owed(&ledger, 1), first.operations), (10_000, before[0].operations.clone()), "{label}");
        assert_eq!(ledger.aggregate(2), before[1], "{label}");
    }
}

#[test]
fn a_reversal_beside_a_second_confirmation_is_taken_from_the_first_and_the_second_is_a_review_naming_both() {
    for status in [S::Confirmed, S::ManualReview, S::InReview] {
        for by_answer in [false, true] {
            let mut ledger = Ledger::with(&[1, 1]);
            ledger.file(1, vec![with_ref(paid("e1", 1, "pi_1"), "pi_1")]);
            let mut stated = with_ref(paid("e2", 2, "pi_1"), "pi_1");
            stated.refund = refunded("re_1", 4_000).refund;
            let amount = Some(StatedAmount::Exact(usd(1_000)));
            stated.dispute = Some(DisputeStatement { id: "du_1".into(), amount });
            let stated = Update { status, ..stated };
            if by_answer {
                let applied = ledger.decide(|draft| inbox::apply_answer(draft, &gateway(1), TransactionId(2), &stated));
                assert_eq!(applied, AppliedAnswer::Applied { found_payment: false, found_advance: false });
            } else {
                ledger.file(1, vec![stated]);
            }
            assert_eq!((owed(&ledger, 1), owed(&ledger, 2)), (5_000, 0), "{status:?} {by_answer}");
            let second = ledger.aggregate(2).transaction;
            let reused = |fact: &ProviderFact| matches!(fact, ProviderFact::ReviewHold(ReviewHold::PaymentReused { payment, owner }) if **payment == *"pi_1" && **owner == *"1");
            assert!(second.facts.any(reused) && second.refs == Refs::default(), "{status:?} {by_answer}");
            assert_eq!(second.status.number(), 9);
        }
    }
}

#[test]
fn an_answer_about_one_transaction_that_states_what_went_back_of_anothers_payment_reaches_it_or_is_a_review() {
    for (configs, left) in [([1, 1], 6_000), ([1, 2], 10_000)] {
        for created in [false, true] {
            let mut ledger = Ledger::with(&configs);
            ledger.file(configs[0], vec![with_ref(paid("e1", 1, "pi_1"), "pi_1")]);
            let answer = with_ref(misnamed().swap_remove(0).1, "pi_1");
            let receiver = gateway(configs[1]);
            if created {
                let ending = CreateEnding::Accepted(NextAction::None);
                let stated = CreateAnswerStated { ending: &ending, update: Some(&answer), refs: &answer.refs };
                ledger.decide(|draft| inbox::end_create(draft, &receiver, TransactionId(2), &stated)).unwrap();
            } else {
                ledger.decide(|draft| inbox::apply_answer(draft, &receiver, TransactionId(2), &answer));
            }
            assert_eq!((owed(&ledger, 1), owed(&ledger, 2)), (left, 0), "{configs:?} {created}");
            assert_eq!(ledger.standing(2), (9, 0, ReasonCode::PaymentIdReused), "{configs:?} {created}");
            let queried = ledger.aggregate(1).transaction.query_wanted > Seq(0);
            assert_eq!(queried, configs[0] != configs[1], "the first's own provider is asked");
            assert!(ledger.aggregate(2).transaction.refs.is_empty(), "the id stays with the first");
        }
    }
}

#[test]
fn a_reversal_with_a_reference_that_nobody_has_is_taken_from_its_payment() {
    let mut ledger = both_paid([1, 1]);
    for reference in [Some(reference(77)), None] {
        let event_id = format!("{reference:?}");
        ledger.file(1, vec![Update { reference, payment_id: "pi_1".into(), ..refunded(&event_id, 1_000) }]);
    }
    assert_eq!((owed(&ledger, 1), owed(&ledger, 2)), (8_000, 10_000));
    // Also where it came before the confirmation.
    let mut ledger = Ledger::with(&[1]);
    let early = Update { reference: Some(reference(77)), payment_id: "pi_1".into(), ..refunded("re_1", 1_000) };
    ledger.file(1, vec![with_ref(early, "pi_1")]);
    ledger.file(1, vec![with_ref(paid("e1", 1, "pi_1"), "pi_1")]);
    assert_eq!(owed(&ledger, 1), 9_000);
}

#[test]
fn a_payment_that_an_earlier_version_credited_twice_is_taken_from_the_one_that_is_named() {
    let mut ledger = both_paid([1, 1]);
    let confirmed = ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
    ledger.decide(|draft| {
        let known = draft.aggregate(TransactionId(2)).unwrap();
        let (changes, _) = known.record(&gateway(1), &[confirmed], &[], draft.context());
        draft.add(changes);
    });
    ledger.file(1, vec![misnamed().swap_remove(0).1]);
    let refunds =
        |id: u64| ledger.aggregate(id).transaction.facts.any(|fact| matches!(fact, ProviderFact::Refund { .. }));
    assert_eq!([refunds(1), refunds(2)], [false, true]);
}

#[test]
fn a_payment_that_nobody_confirmed_and_one_of_another_merchant_account_follow_the_reference() {
    for (configs, payment) in [([1, 1], "pi_9"), ([3, 1], "pi_1")] {
        let mut ledger = both_paid(configs);
        let reversal = Update { reference: Some(reference(2)), payment_id: payment.into(), ..refunded("re_1", 4_000) };
        ledger.file(configs[1], vec![reversal]);
        assert_eq!(ledger.events().pop().unwrap().transaction_id, TransactionId(2), "{configs:?}");
        assert_eq!(owed(&ledger, 1), 10_000);
    }
}
