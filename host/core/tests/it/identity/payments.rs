//! One transaction for each payment, in any history, and capacity for the ids of money.

use super::*;

#[test]
fn m20_a_payment_confirmed_for_two_references_credits_the_first_and_holds_the_second_naming_both() {
    for configs in [[1, 1], [1, 2], [2, 1]] {
        let mut ledger = Ledger::with(&configs);
        ledger.file(configs[0], vec![paid("e1", 1, "pi_9")]);
        ledger.restart();
        ledger.file(configs[1], vec![paid("e2", 2, "pi_9")]);
        assert_eq!(ledger.standing(1), (2, 10_000, ReasonCode::None), "{configs:?}");
        assert_eq!(ledger.standing(2), (9, 0, ReasonCode::PaymentIdReused), "{configs:?}");
        let detail = ledger.aggregate(2).transaction.reason.detail;
        assert_eq!(&*detail, "payment pi_9 confirmed transaction 1 before");
        // Repetitions, in any order and after a start, change nothing.
        ledger.restart();
        ledger.file(configs[1], vec![paid("e3", 2, "pi_9"), paid("e4", 1, "pi_9")]);
        assert_eq!((ledger.standing(1).1, ledger.standing(2).1), (10_000, 0));
    }
}

#[test]
fn m20_the_second_of_one_notice_is_held_and_a_refund_by_the_payments_id_reaches_the_first() {
    let mut ledger = Ledger::with(&[1, 1]);
    ledger.file(1, vec![with_ref(paid("e1", 2, "pi_9"), "pi_9"), with_ref(paid("e2", 1, "pi_9"), "pi_9")]);
    assert_eq!((ledger.standing(2).0, ledger.standing(1)), (2, (9, 0, ReasonCode::PaymentIdReused)));
    ledger.file(1, vec![with_ref(refunded("re_1", 10_000), "pi_9")]);
    let refunded = ledger.aggregate(2).transaction.facts;
    assert!(refunded.any(|fact| matches!(fact, ProviderFact::Refund { .. })));
}

#[test]
fn m20_a_second_confirmation_without_an_amount_or_of_another_one_credits_nothing_and_leaves_the_ids_to_the_first() {
    for amount in [None, Some(StatedAmount::Exact(usd(1)))] {
        let mut ledger = Ledger::with(&[1, 2]);
        ledger.file(1, vec![with_ref(paid("e1", 1, "pi_9"), "pi_9")]);
        ledger.file(2, vec![Update { amount: amount.clone(), ..with_ref(paid("e2", 2, "pi_9"), "pi_9") }]);
        assert_eq!((ledger.standing(2).0, ledger.standing(2).1), (9, 0));
        assert_eq!(amount.is_none(), ledger.standing(2).2 == ReasonCode::PaymentIdReused);
        assert!(ledger.aggregate(2).transaction.refs.is_empty());
    }
}

#[test]
fn a_statement_whose_reference_and_ids_are_of_two_transactions_moves_nothing_and_names_both() {
    let id = |kind: &str, value: &str| ProviderRef::new(kind, value);
    let mut ledger = Ledger::with(&[1, 1]);
    let known = |event, number, refs| Update { refs, ..named(event, number, S::Pending) };
    ledger.file(1, vec![known("k1", 1, vec![id("payment_intent", "pi_1"), id("charge", "ch_1")])]);
    ledger.file(1, vec![known("k2", 2, vec![id("payment_intent", "pi_2")])]);
    let both = vec![id("payment_intent", "pi_1"), id("payment_intent", "pi_2")];
    let first = reference(1);
    let table = [
        (None, vec![id("payment_intent", "pi_1"), id("charge", "ch_1")], String::new()),
        (Some(first.clone()), vec![id("payment_intent", "pi_1")], String::new()),
        (
            Some(first.clone()),
            vec![id("payment_intent", "pi_2")],
            format!("PROVIDER_REF_MISMATCH: reference {first} is transaction 1, payment_intent pi_2 is transaction 2"),
        ),
        (
            None,
            both,
            "PROVIDER_REF_MISMATCH: payment_intent pi_1 is transaction 1, payment_intent pi_2 is transaction 2".into(),
        ),
    ];
    for (at, (reference, refs, expected)) in table.into_iter().enumerate() {
        let paid = Update { reference, refs, ..paid(&format!("e{at}"), 1, "pay_1") };
        ledger.file(1, vec![paid]);
        let event = ledger.events().pop().unwrap();
        assert_eq!((&*event.failure_reason, event.transaction_id.0), (&*expected, u64::from(expected.is_empty())));
    }
    assert_eq!((ledger.standing(1).1, ledger.standing(2).1), (10_000, 0));
}

#[test]
fn m20_a_decline_that_names_the_payment_of_another_transaction_is_no_second_use_of_it() {
    let mut ledger = Ledger::with(&[1, 1]);
    ledger.file(1, vec![paid("e1", 1, "pi_9")]);
    ledger.file(1, vec![Update { payment_id: "pi_9".into(), ..named("e2", 2, S::Failed) }]);
    assert_eq!(ledger.standing(2), (5, 0, ReasonCode::ProviderDeclined));
}

#[test]
fn m20_transactions_that_an_earlier_version_credited_for_one_payment_stay_as_they_are() {
    let mut ledger = Ledger::with(&[1, 2]);
    for id in [1, 2] {
        let confirmed = ProviderFact::Confirmed { payment: "pi_9".into(), minor: 10_000 };
        ledger.decide(|draft| {
            let known = draft.aggregate(TransactionId(id)).unwrap();
            let (changes, _) = known.record(&gateway(id), &[confirmed], &[], draft.context());
            draft.add(changes);
        });
    }
    ledger.restart();
    ledger.file(2, vec![paid("e2", 2, "pi_9")]);
    ledger.file(1, vec![paid("e1", 1, "pi_9")]);
    assert_eq!([1, 2].map(|id| ledger.standing(id)), [(2, 10_000, ReasonCode::None); 2]);
}

#[test]
fn m20_payments_of_different_merchant_accounts_and_different_payments_do_not_meet() {
    let mut ledger = Ledger::with(&[1, 3, 2]);
    ledger.file(1, vec![paid("e1", 1, "pi_9")]);
    ledger.file(3, vec![paid("e2", 2, "pi_9")]);
    ledger.file(2, vec![paid("e3", 3, "pi_8")]);
    assert_eq!([1, 2, 3].map(|id| ledger.standing(id).0), [2, 2, 2]);
}

#[test]
fn m20_configs_that_verify_one_notice_share_their_payments() {
    let mut ledger = Ledger::with(&[1, 3]);
    ledger.file(1, vec![paid("e1", 1, "pi_9")]);
    let notice = VerifiedNotice::assertion(gateway(3), vec![paid("e2", 2, "pi_9")]);
    ledger.notice(&notice.also_verified_by(vec![gateway(1)]));
    assert_eq!(ledger.standing(2), (9, 0, ReasonCode::PaymentIdReused));
}

#[test]
fn m20_a_payment_id_in_the_answer_to_a_create_call_or_a_query_is_checked_as_well() {
    for own_reference in [true, false] {
        let answer = |id| Update {
            reference: own_reference.then(|| reference(id)),
            event_id: "".into(),
            ..with_ref(paid("", id, "pi_9"), "pi_9")
        };
        let mut ledger = Ledger::with(&[1, 2, 1]);
        ledger.file(1, vec![with_ref(paid("e1", 1, "pi_9"), "pi_9")]);
        let (ending, update) = (CreateEnding::Accepted(NextAction::None), answer(2));
        let stated = CreateAnswerStated { ending: &ending, update: Some(&update), refs: &update.refs };
        ledger.decide(|draft| inbox::end_create(draft, &gateway(2), TransactionId(2), &stated)).unwrap();
        let queried = ledger.decide(|draft| inbox::apply_answer(draft, &gateway(1), TransactionId(3), &answer(3)));
        assert_eq!(queried, AppliedAnswer::Applied { found_payment: false, found_advance: false });
        for id in [2, 3] {
            assert_eq!(ledger.standing(id), (9, 0, ReasonCode::PaymentIdReused), "{id}, {own_reference}");
            assert!(ledger.aggregate(id).transaction.refs.is_empty(), "the id stays with the first");
        }
    }
}

/// A deposit after so many declined attempts, each with an id of its own, then paid.
fn paid_after(attempts: usize) -> Ledger {
    let mut ledger = Ledger::with(&[1]);
    for attempt in 0..attempts {
        let declined = Update { reason: format!("no {attempt}").into(), ..named(&format!("d{attempt}"), 1, S::Failed) };
        ledger.file(1, vec![with_ref(declined, &format!("pi_{attempt}"))]);
    }
    ledger.file(1, vec![with_ref(paid("paid", 1, "pi_paid"), "pi_paid")]);
    ledger
}

#[test]
fn m21_a_refund_by_the_payments_id_after_many_declined_attempts_is_matched() {
    for attempts in [0, 15, 16, 17, 64, 65, 300] {
        let mut ledger = paid_after(attempts);
        assert_eq!(ledger.standing(1).0, 2, "{attempts}");
        ledger.restart();
        ledger.file(1, vec![with_ref(refunded("re_1", 4_000), "pi_paid")]);
        // The second refund is named by the id of the first.
        ledger.file(1, vec![Update { refs: vec![ProviderRef::new("refund", "re_1")], ..refunded("re_2", 1) }]);
        let by_refund = Update {
            refs: vec![ProviderRef::new("payment_intent", "pi_paid"), ProviderRef::new("refund", "re_3")],
            ..refunded("re_3", 6_000)
        };
        ledger.file(1, vec![by_refund]);
        ledger.file(1, vec![Update { refs: vec![ProviderRef::new("refund", "re_3")], ..refunded("re_3", 6_000) }]);
        let facts = ledger.aggregate(1).transaction.facts;
        let refunds = facts.provider.iter().filter(|known| matches!(known.fact, ProviderFact::Refund { .. }));
        assert_eq!(refunds.count(), 2, "{attempts}: re_2 waits, for nothing names its payment");
    }
}

#[test]
fn m21_a_refund_that_names_the_confirmed_payment_alone_is_matched() {
    let mut ledger = paid_after(16);
    ledger.file(1, vec![Update { payment_id: "pi_paid".into(), ..refunded("re_1", 10_000) }]);
    assert_eq!(ledger.events().last().unwrap().transaction_id, TransactionId(1));
}

#[test]
fn m21_money_or_an_id_of_it_that_is_not_stored_is_a_review() {
    let mut ledger = paid_after(0);
    let many = |event: &str, from: usize, count: usize| Update {
        refs: (from..from + count).map(|n| ProviderRef::new("charge", &format!("ch_{n}"))).collect(),
        ..named(event, 1, S::Pending)
    };
    // Ids of statements that move no money leave capacity; of what exceeds theirs, the event says so.
    ledger.file(1, vec![many("p1", 0, 70)]);
    assert_eq!(ledger.aggregate(1).transaction.refs.len(), ProviderRef::PER_TRANSACTION_OTHER_MAX);
    assert!(ledger.events().last().unwrap().failure_reason.starts_with("TOO_MANY_FACTS"));
    assert_eq!(ledger.standing(1).2, ReasonCode::None);
    ledger.file(1, vec![Update { status: S::Refunded, amount: None, ..many("r1", 100, 70) }]);
    assert_eq!(ledger.aggregate(1).transaction.refs.len(), ProviderRef::PER_TRANSACTION_MAX);
    let holds = |ledger: &Ledger| {
        ledger
            .aggregate(1)
            .transaction
            .facts
            .provider
            .iter()
            .filter(|known| known.fact == ProviderFact::ReviewHold(ReviewHold::NotStored))
            .count()
    };
    assert_eq!((holds(&ledger), ledger.standing(1).0), (1, 9));

    let mut full = paid_after(0);
    for n in 0..140 {
        full.file(1, vec![Update { reference: Some(reference(1)), ..refunded(&format!("re_{n}"), 1) }]);
    }
    let failed = full.events().iter().filter(|event| event.failure_reason.starts_with("TOO_MANY_FACTS")).count();
    assert_eq!((failed, holds(&full), full.standing(1).0), (140 - 127, 1, 9));
    assert_eq!(full.standing(1).2, ReasonCode::TooManyStatements);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn m20_the_first_transaction_alone_has_a_payment_in_any_history(
        steps in prop::collection::vec((1_u64..=4, 0_usize..3, any::<bool>(), any::<bool>()), 1..25),
    ) {
        let (configs, payments) = ([1, 2, 1, 2], ["pi_7", "pi_8", "pi_9"]);
        let mut ledger = Ledger::with(&configs);
        let mut first = [None; 3];
        for (step, (id, payment, by_id, restarts)) in steps.into_iter().enumerate() {
            let statement = paid(&format!("e{step}"), id, payments[payment]);
            let statement = if by_id { with_ref(statement, payments[payment]) } else { statement };
            ledger.file(configs[id as usize - 1], vec![statement]);
            first[payment].get_or_insert(id);
            if restarts {
                ledger.restart();
            }
        }
        for (payment, owner) in payments.iter().zip(first) {
            let having: Vec<u64> =
                (1..=4).filter(|id| ledger.aggregate(*id).transaction.facts.confirms(payment)).collect();
            prop_assert_eq!(having, owner.into_iter().collect::<Vec<_>>(), "{}", payment);
        }
        let moved: i64 = (1..=4).map(|id| ledger.standing(id).1).sum();
        let owners: BTreeSet<_> = first.into_iter().flatten().collect();
        prop_assert_eq!(moved, 10_000 * owners.len() as i64, "one credit for each transaction that has a payment");
    }
}

#[test]
fn m21_a_reversal_that_was_given_up_before_its_payment_is_confirmed_is_taken_back() {
    let disputed = Update { reference: None, amount: None, ..named("d1", 0, S::Chargeback) };
    for reversal in [refunded("re_1", 10_000), disputed] {
        let mut ledger = Ledger::with(&[1]);
        ledger.file(1, vec![with_ref(reversal, "pi_9")]);
        let waiting = ledger.events()[0].id;
        let given_up = ledger.decide(|draft| inbox::give_up(draft, [waiting]));
        assert_eq!(given_up.listed.len(), 1, "money went back that no transaction accounts for");
        ledger.restart();
        ledger.file(1, vec![with_ref(paid("e1", 1, "pi_9"), "pi_9")]);
        let standing = ledger.aggregate(1).standing();
        assert_eq!(standing.owed_minor, 0, "{standing:?}");
        assert_eq!(
            (ledger.events()[0].processing_status, ledger.books.unmatched().len()),
            (ProcessingStatus::Processed, 0)
        );
    }
}

#[test]
fn what_goes_back_of_a_payment_of_another_amount_leaves_the_credit() {
    let money = |minor| StatedAmount::Exact(usd(minor));
    let second = || Update { amount: Some(money(15_000)), ..with_ref(paid("e2", 1, "pi_2"), "pi_2") };
    let refund = |reach| RefundStatement { id: "re_1".into(), amount: money(15_000), reach, requested: "".into() };
    let dispute = DisputeStatement { id: "d".into(), amount: Some(money(15_000)) };
    let disputed = Update { payment_id: "pi_2".into(), dispute: Some(dispute), ..named("e3", 1, S::Chargeback) };
    let later: [Vec<Update>; 3] = [
        vec![second(), with_ref(Update { payment_id: "pi_2".into(), ..refunded("re_1", 15_000) }, "pi_2")],
        vec![second(), with_ref(disputed, "pi_2")],
        vec![Update { refund: Some(refund(Reach::TotalSoFar)), ..second() }],
    ];
    for updates in later {
        let mut ledger = Ledger::with(&[1]);
        ledger.file(1, vec![with_ref(paid("e1", 1, "pi_1"), "pi_1")]);
        for update in updates {
            ledger.file(1, vec![update]);
        }
        assert_eq!(ledger.standing(1), (9, 10_000, ReasonCode::AmountMismatch));
    }
}
