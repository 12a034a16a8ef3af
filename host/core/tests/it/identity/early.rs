//! What went back of a payment is taken from its transaction, whether it came before or after the confirmation, and whatever it
//! names.

use super::*;

#[test]
fn a_payment_that_was_given_up_and_whose_transaction_appears_then_has_no_reason_of_a_failure() {
    let mut ledger = Ledger::with(&[1]);
    let early = with_ref(Update { reference: None, ..paid("e1", 1, "pi_1") }, "pi_1");
    ledger.file(1, vec![early.clone()]);
    ledger.decide(|draft| inbox::give_up(draft, [EventId(1)]));
    let event = ledger.events().remove(0);
    assert_eq!((event.processing_status, &*event.failure_reason), (ProcessingStatus::Failed, "TRANSACTION_NOT_FOUND"));
    let ending = CreateEnding::Accepted(NextAction::Redirect);
    let stated = CreateAnswerStated { ending: &ending, update: None, refs: &early.refs };
    ledger.decide(|draft| inbox::end_create(draft, &gateway(1), TransactionId(1), &stated)).unwrap();
    let event = ledger.events().remove(0);
    assert_eq!((event.processing_status, &*event.failure_reason), (ProcessingStatus::Processed, ""));
    assert_eq!(ledger.standing(1), (2, 10_000, ReasonCode::None));
}

fn owed(ledger: &Ledger, id: u64) -> i64 {
    ledger.aggregate(id).standing().owed_minor
}

/// Statements about what went back of `pi_1`, without a reference or ids, and what is owed of 100.00 after each.
fn reversals() -> Vec<(&'static str, Update, i64)> {
    let base = |update: Update| Update { reference: None, refs: Vec::new(), payment_id: "pi_1".into(), ..update };
    let disputed = |event: &str, status, minor| {
        let amount = Some(StatedAmount::Exact(usd(minor)));
        let dispute = Some(DisputeStatement { id: "du_1".into(), amount });
        base(Update { dispute, amount: None, ..named(event, 1, status) })
    };
    let total = refunded("", 7_000).refund.map(|refund| RefundStatement { reach: Reach::TotalSoFar, ..refund });
    vec![
        ("one refund", base(refunded("re_1", 4_000)), 6_000),
        ("the total", base(Update { refund: total, ..refunded("t", 7_000) }), 3_000),
        ("everything", base(Update { amount: None, ..named("r", 1, S::Refunded) }), 0),
        ("a dispute", disputed("d", S::Chargeback, 10_000), 0),
        ("a dispute that was lifted", disputed("w", S::ChargebackReversed, 10_000), 10_000),
        ("a refund that failed", base(Update { status: S::RefundFailed, ..refunded("f", 4_000) }), 10_000),
    ]
}

/// Every order of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let insert = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, last);
        order
    };
    orders(last).iter().flat_map(|order| (0..count).map(|at| insert(order, at)).collect::<Vec<_>>()).collect()
}

#[test]
fn m21_a_reversal_that_names_the_payment_alone_is_applied_in_any_order() {
    for (label, reversal, left) in reversals() {
        for order in orders(2) {
            for (restarts, given_up) in [(false, false), (true, false), (true, true)] {
                let mut ledger = Ledger::with(&[1]);
                for step in &order {
                    let update = [with_ref(paid("e1", 1, "pi_1"), "pi_1"), reversal.clone()];
                    ledger.file(1, vec![update[*step].clone()]);
                    if given_up && order[0] == 1 && *step == 1 {
                        let waiting = ledger.events()[0].id;
                        ledger.decide(|draft| inbox::give_up(draft, [waiting]));
                    }
                    if restarts {
                        ledger.restart();
                    }
                }
                assert_eq!(owed(&ledger, 1), left, "{label} {order:?} {restarts} {given_up}");
                let done = |event: &ProviderEvent| event.processing_status == ProcessingStatus::Processed;
                assert!(ledger.events().iter().all(done), "{label} {order:?}: {:?}", ledger.events());
            }
        }
    }
}

#[test]
fn m21_an_early_reversal_of_the_payment_alone_follows_the_confirmation_in_the_same_notice_and_in_an_answer() {
    for (label, reversal, left) in reversals() {
        let mut ledger = Ledger::with(&[1]);
        ledger.file(1, vec![reversal.clone(), with_ref(paid("e1", 1, "pi_1"), "pi_1")]);
        assert_eq!(owed(&ledger, 1), left, "{label}");
        for created in [false, true] {
            let mut ledger = Ledger::with(&[1]);
            ledger.file(1, vec![reversal.clone()]);
            let answer = Update { event_id: "".into(), ..paid("", 1, "pi_1") };
            answered(&mut ledger, 1, 1, &answer, created);
            assert_eq!(owed(&ledger, 1), left, "{label} {created}");
        }
    }
}

#[test]
fn m21_another_payment_or_another_account_has_nothing_to_do_with_an_early_reversal() {
    for (config, payment) in [(1, "pi_2"), (3, "pi_1")] {
        let mut ledger = Ledger::with(&[config]);
        ledger.file(1, vec![reversals().swap_remove(0).1]);
        ledger.file(config, vec![with_ref(paid("e1", 1, payment), payment)]);
        assert_eq!(owed(&ledger, 1), 10_000);
        assert_eq!(ledger.events()[0].processing_status, ProcessingStatus::Pending);
    }
}

#[test]
fn m18_a_reversal_of_the_payment_alone_under_another_config_has_the_own_provider_queried_at_once_in_any_order() {
    for order in orders(2) {
        for by_id in [false, true] {
            let mut ledger = Ledger::with(&[1]);
            let reversal = reversals().swap_remove(0).1;
            let reversal = if by_id { with_ref(reversal, "pi_1") } else { reversal };
            let mut queries = Vec::new();
            for step in &order {
                let filed = match step {
                    0 => ledger.file(1, vec![with_ref(paid("e1", 1, "pi_1"), "pi_1")]),
                    _ => ledger.file(2, vec![reversal.clone()]),
                };
                queries.extend(filed.queries.into_iter().map(|(id, _)| id.0));
            }
            let wanted = ledger.aggregate(1).transaction.query_wanted > Seq(0);
            assert_eq!((wanted, owed(&ledger, 1), queries), (true, 10_000, vec![1]), "{order:?} {by_id}");
        }
    }
}

/// A query or create answer about a transaction.
fn answered(ledger: &mut Ledger, config: u64, id: u64, answer: &Update, created: bool) {
    let (receiver, id) = (gateway(config), TransactionId(id));
    if created {
        let ending = CreateEnding::Accepted(NextAction::None);
        let stated = CreateAnswerStated { ending: &ending, update: Some(answer), refs: &answer.refs };
        ledger.decide(|draft| inbox::end_create(draft, &receiver, id, &stated)).unwrap();
    } else {
        let applied = ledger.decide(|draft| inbox::apply_answer(draft, &receiver, id, answer));
        assert!(matches!(applied, AppliedAnswer::Applied { .. }), "{applied:?}");
    }
}

/// How transaction 1 is reported to be paid by `pi_1`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reported {
    Event,
    Query,
    Create,
}

/// Transactions 1 and 2 under these configs after the steps in this order: 0 pays 1 by `pi_1`, 1 pays 2 by `pi_9`, 2 states
/// what went back of `pi_1` under the reference of 2, verified by the config of 2.
fn misnamed(configs: [u64; 2], order: &[usize], reversal: &Update, reported: Reported, restarts: bool) -> Ledger {
    let mut ledger = Ledger::with(&configs);
    let reversal = Update { reference: Some(reference(2)), ..with_ref(reversal.clone(), "pi_1") };
    for step in order {
        let confirmed = with_ref(paid("e1", 1, "pi_1"), "pi_1");
        match (step, reported) {
            (0, Reported::Event) => drop(ledger.file(configs[0], vec![confirmed])),
            (0, Reported::Query) => answered(&mut ledger, configs[0], 1, &confirmed, false),
            (0, Reported::Create) => answered(&mut ledger, configs[0], 1, &confirmed, true),
            (1, _) => drop(ledger.file(configs[1], vec![with_ref(paid("e2", 2, "pi_9"), "pi_9")])),
            _ => drop(ledger.file(configs[1], vec![reversal.clone()])),
        }
        if restarts {
            ledger.restart();
        }
    }
    ledger
}

/// What does not depend on when it was recorded.
fn state(ledger: &Ledger, id: u64) -> (Vec<ProviderFact>, Vec<ProviderRef>, String, i64, bool) {
    let known = ledger.aggregate(id);
    let mut facts: Vec<_> = known.transaction.facts.provider.iter().map(|known| known.fact.clone()).collect();
    facts.sort();
    let refs = known.transaction.refs.iter().cloned().collect();
    let payment = known.transaction.provider_payment_id.to_string();
    (facts, refs, payment, known.standing().owed_minor, known.transaction.query_wanted > Seq(0))
}

#[test]
fn what_went_back_under_another_reference_ends_at_its_payment_in_any_order() {
    for configs in [[1, 1], [1, 2], [2, 1]] {
        for (label, reversal, left) in reversals() {
            for reported in [Reported::Event, Reported::Query, Reported::Create] {
                let expected = misnamed(configs, &[0, 1, 2], &reversal, reported, false);
                let expected = [state(&expected, 1), state(&expected, 2)];
                assert_eq!(expected[0].3, if configs[0] == configs[1] { left } else { 10_000 }, "{label}");
                assert_eq!(expected[1].3, 10_000, "{label}");
                for order in orders(3) {
                    for restarts in [false, true] {
                        let ledger = misnamed(configs, &order, &reversal, reported, restarts);
                        let rest = [state(&ledger, 1), state(&ledger, 2)];
                        assert_eq!(rest, expected, "{label} {configs:?} {order:?} {reported:?} {restarts}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_moved_to_its_payment_is_not_counted_again_and_its_ids_lead_there() {
    let reversal = reversals().swap_remove(0).1;
    let mut ledger = misnamed([1, 1], &[2, 1, 0], &reversal, Reported::Event, true);
    // The same statement again, under either reference, and the next one by the id alone.
    for (event, own) in [("again 1", Some(1)), ("again 2", Some(2)), ("again 3", None)] {
        let again = Update { event_id: event.into(), reference: own.map(reference), ..reversal.clone() };
        ledger.file(1, vec![with_ref(again, "pi_1")]);
        assert_eq!((owed(&ledger, 1), owed(&ledger, 2)), (6_000, 10_000), "{event}");
    }
    ledger.file(1, vec![with_ref(refunded("re_2", 1_000), "pi_1")]);
    assert_eq!((owed(&ledger, 1), owed(&ledger, 2)), (5_000, 10_000));
    assert!(ledger.events().iter().all(|event| event.processing_status == ProcessingStatus::Processed));
}

#[test]
fn a_reversal_and_the_confirmation_for_another_reference_in_one_notice_end_at_the_payment() {
    let mut ledger = Ledger::with(&[1, 1]);
    ledger.file(1, vec![with_ref(paid("e2", 2, "pi_9"), "pi_9")]);
    let reversal = Update { reference: Some(reference(2)), ..with_ref(reversals().swap_remove(0).1, "pi_1") };
    let failed = Update { event_id: "d".into(), reference: None, ..with_ref(named("d", 1, S::Failed), "pi_1") };
    ledger.file(1, vec![reversal, with_ref(paid("e1", 1, "pi_1"), "pi_1"), failed]);
    assert_eq!((owed(&ledger, 1), owed(&ledger, 2)), (6_000, 10_000));
    assert_eq!(ledger.events().last().unwrap().transaction_id, TransactionId(1), "the id leads to its transaction");
}

#[test]
fn a_confirmation_that_is_held_for_review_takes_nothing_leaves_the_ids_and_both_orders_show_what_went_back() {
    let reversal = reversals().swap_remove(0).1;
    let mut ledger = misnamed([1, 1], &[2], &reversal, Reported::Event, false);
    let short = Update { amount: Some(StatedAmount::Exact(usd(1))), ..with_ref(paid("e1", 1, "pi_1"), "pi_1") };
    let before = ledger.aggregate(2);
    ledger.file(1, vec![short]);
    let shown = |id| ledger.aggregate(id).transaction.reason.to_string();
    assert_eq!(
        shown(1),
        "AMOUNT_MISMATCH: expected 100.0 USD, the provider states 0.01 USD; also stated: refunded 40.0 USD"
    );
    assert_eq!(
        shown(2),
        "REVERSAL_MISPLACED: money of payment pi_1 went back, as was stated with this order, where it counts: the payment is \
         stated as paid for transaction 1; also stated: refunded 40.0 USD"
    );
    assert_eq!((ledger.standing(2).0, &ledger.aggregate(2).operations), (9, &before.operations));
    assert_eq!(ledger.aggregate(2).transaction.refs, before.transaction.refs);
    assert!(ledger.aggregate(1).transaction.refs.is_empty());
    // Exactly confirmed, it has them.
    ledger.file(1, vec![with_ref(paid("e3", 1, "pi_1"), "pi_1")]);
    assert_eq!((owed(&ledger, 1), ledger.aggregate(1).transaction.refs.len()), (6_000, 1));
    assert!(ledger.aggregate(2).transaction.refs.is_empty());
    assert_eq!(ledger.standing(2), (0, 0, ReasonCode::None), "nothing of it is left to look at");
}

#[test]
fn whatever_names_the_payments_own_reference_is_applied_beside_a_misplaced_reversal() {
    for status in [S::Pending, S::Failed, S::Cancelled, S::InReview, S::ManualReview, S::Confirmed] {
        for payment in ["pi_1", ""] {
            let reversal = reversals().swap_remove(0).1;
            let mut ledger = misnamed([1, 1], &[2], &reversal, Reported::Event, false);
            let stated = Update { payment_id: payment.into(), ..named("own", 1, status) };
            ledger.file(1, vec![with_ref(stated, "pi_1")]);
            let event = ledger.events().pop().unwrap();
            assert_eq!(event.processing_status, ProcessingStatus::Processed, "{status:?}: {}", event.failure_reason);
            assert_eq!(event.transaction_id, TransactionId(1));
        }
    }
}

#[test]
fn an_id_that_another_transaction_has_by_any_other_statement_contradicts_a_confirmation() {
    let mut ledger = Ledger::with(&[1, 1]);
    ledger.file(1, vec![with_ref(named("p", 2, S::Pending), "pi_1")]);
    ledger.file(1, vec![with_ref(paid("e1", 1, "pi_1"), "pi_1")]);
    assert!(ledger.events()[1].failure_reason.starts_with("PROVIDER_REF_MISMATCH"));
    assert_eq!(owed(&ledger, 1), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_order_of_what_is_stated_of_two_payments_shows(
        stated in prop::collection::vec((0_usize..6, 0_usize..4, any::<bool>(), any::<bool>()), 1..4),
        first in Just((0..5).collect::<Vec<usize>>()).prop_shuffle(),
        second in Just((0..5).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let mut events = vec![with_ref(paid("e1", 1, "pi_1"), "pi_1"), with_ref(paid("e2", 2, "pi_9"), "pi_9")];
        for (number, (kind, named, by_id, of_second)) in stated.into_iter().enumerate() {
            let payment = if of_second { "pi_9" } else { "pi_1" };
            let reversal = reversals().swap_remove(kind).1;
            let own = [0, 1, 2, 77][named];
            let own = (own > 0).then(|| reference(own));
            let event_id = format!("{number}").into();
            // Each payment has refunds and disputes of its own.
            let mut reversal = Update { event_id, payment_id: payment.into(), reference: own, ..reversal };
            if let Some(refund) = reversal.refund.as_mut().filter(|refund| !refund.id.is_empty()) {
                refund.id = format!("{payment} {}", refund.id).into();
            }
            if let Some(dispute) = reversal.dispute.as_mut() {
                dispute.id = format!("{payment} {}", dispute.id).into();
            }
            events.push(if by_id { with_ref(reversal, payment) } else { reversal });
        }
        let rest = |order: &[usize]| {
            let mut ledger = Ledger::with(&[1, 1]);
            for event in order.iter().filter_map(|number| events.get(*number)) {
                ledger.file(1, vec![event.clone()]);
            }
            [state(&ledger, 1), state(&ledger, 2)]
        };
        prop_assert_eq!(rest(&first), rest(&second));
    }
}
