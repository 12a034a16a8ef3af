//! Life cycles with facts of the provider and answers of the trading server, in any order.

use super::*;

#[test]
fn an_accepted_and_confirmed_deposit_is_credited_once() {
    let end = play(
        deposit(15),
        vec![Provider(ProviderFact::Accepted), confirmed(), confirmed(), Post, confirmed()],
        expect![[r#"
            accepted -> pending_payment | owed 0 posted 0
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            confirmed pi_1 -> credited | owed 100 posted 100
        "#]],
    );
    assert_eq!(end.operations.len(), 1);
    assert_eq!(end.operations[0].trade_order, 7);
    assert_eq!(end.transaction.processed_time, at(4).now);
}

#[test]
fn a_deposit_declined_then_confirmed_is_credited() {
    play(
        deposit(15),
        vec![declined(), confirmed(), Post, declined()],
        expect![[r#"
        declined -> failed PROVIDER_DECLINED no funds | owed 0 posted 0
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
        declined -> credited | owed 100 posted 100
    "#]],
    );
}

#[test]
fn a_deposit_confirmed_after_expiry_is_credited() {
    play(
        deposit(15),
        vec![expired(), confirmed(), Post],
        expect![[r#"
        cancelled EXPIRED -> cancelled EXPIRED | owed 0 posted 0
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
    "#]],
    );
}

#[test]
fn a_refund_received_before_its_confirmation_leaves_nothing_owed() {
    play(
        deposit(15),
        vec![refund("re_1", 10_000), confirmed()],
        expect![[r#"
        refund re_1 of 100 -> refunded | owed 0 posted 0
        confirmed pi_1 -> refunded | owed 0 posted 0
    "#]],
    );
}

#[test]
fn a_refund_after_the_credit_is_debited() {
    play(
        deposit(15),
        vec![confirmed(), Post, refund("re_1", 10_000), refund("re_1", 10_000), Post],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
        refund re_1 of 100 -> refunded | owed 0 posted 100 | BALANCE_OUT -100 planned
        refund re_1 of 100 -> refunded | owed 0 posted 100 | BALANCE_OUT -100 planned
        posted -> refunded | owed 0 posted 0
    "#]],
    );
}

#[test]
fn a_refund_during_the_credit_waits_for_its_outcome() {
    play(
        deposit(15),
        vec![confirmed(), refund("re_1", 10_000), NoAnswer, Post, Post],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        refund re_1 of 100 -> refunded | owed 0 posted 0 | BALANCE_IN 100 planned
        no answer to the posting -> refunded | owed 0 posted 0 | BALANCE_IN 100 unknown
        posted -> refunded | owed 0 posted 100 | BALANCE_OUT -100 planned
        posted -> refunded | owed 0 posted 0
    "#]],
    );
}

#[test]
fn a_partial_refund_leaves_the_status_credited_even_when_its_posting_is_refused() {
    play(
        deposit(15),
        vec![confirmed(), Post, refund("re_1", 3_000), Refuse("no balance")],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
        refund re_1 of 30 -> credited PARTLY_REFUNDED | owed 70 posted 100 | BALANCE_OUT -30 planned
        posting refused -> credited PARTLY_REFUNDED | owed 70 posted 100
    "#]],
    );
}

#[test]
fn refunds_beyond_the_ordered_amount_are_held_for_review() {
    play(
        deposit(15),
        vec![confirmed(), Post, refund("re_1", 6_000), Post, refund("re_2", 6_000)],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            refund re_1 of 60 -> credited PARTLY_REFUNDED | owed 40 posted 100 | BALANCE_OUT -60 planned
            posted -> credited PARTLY_REFUNDED | owed 40 posted 40
            refund re_2 of 60 -> manual_review BEYOND_CONFIRMED refunds and disputes exceed the ordered amount; also stated: confirmed 100.0 USD (pi_1), refunded 120.0 USD | owed 0 posted 40 | BALANCE_OUT -40 planned
        "#]],
    );
}

#[test]
fn a_refund_total_and_its_single_refunds_count_once() {
    let total = |minor| Provider(ProviderFact::RefundedTotal { payment: "".into(), minor });
    play(
        deposit(15),
        vec![confirmed(), Post, refund("re_1", 3_000), Post, total(3_000), total(5_000), Post],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            refund re_1 of 30 -> credited PARTLY_REFUNDED | owed 70 posted 100 | BALANCE_OUT -30 planned
            posted -> credited PARTLY_REFUNDED | owed 70 posted 70
            refunded 30 in all -> credited PARTLY_REFUNDED | owed 70 posted 70
            refunded 50 in all -> credited PARTLY_REFUNDED | owed 50 posted 70 | BALANCE_OUT -20 planned
            posted -> credited PARTLY_REFUNDED | owed 50 posted 50
        "#]],
    );
}

#[test]
fn a_second_payment_is_never_credited_and_each_one_is_held_for_review() {
    let payment = |id: &str| Provider(ProviderFact::Confirmed { payment: id.into(), minor: 10_000 });
    let resolve = || Person(PersonFact::Resolved { minor: 10_000 });
    play(
        deposit(15),
        vec![payment("pi_1"), Post, payment("pi_2"), resolve(), payment("pi_3"), resolve()],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            confirmed pi_2 -> manual_review SECOND_PAYMENT pi_1 and pi_2; also stated: confirmed 100.0 USD each | owed 100 posted 100
            person: Resolved { minor: 10000 } -> credited | owed 100 posted 100
            confirmed pi_3 -> manual_review SECOND_PAYMENT pi_1 and pi_2 and pi_3; also stated: confirmed 100.0 USD each | owed 100 posted 100
            person: Resolved { minor: 10000 } -> credited | owed 100 posted 100
        "#]],
    );
}

#[test]
fn a_chargeback_is_debited_and_its_reversal_credited() {
    let reversed = || Provider(ProviderFact::ChargebackReversed { id: "dp_1".into(), payment: "".into() });
    play(
        deposit(15),
        vec![confirmed(), Post, chargeback(), Post, reversed(), Post, chargeback()],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
        chargeback -> chargeback CHARGEBACK | owed 0 posted 100 | BALANCE_OUT -100 planned
        posted -> chargeback CHARGEBACK | owed 0 posted 0
        chargeback reversed -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
        chargeback -> credited | owed 100 posted 100
    "#]],
    );
}

#[test]
fn a_chargeback_whose_posting_is_refused_is_posted_after_a_retry() {
    play(
        deposit(15),
        vec![confirmed(), Post, chargeback(), Refuse("no balance"), chargeback(), Person(PersonFact::Retried), Post],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            chargeback -> chargeback CHARGEBACK | owed 0 posted 100 | BALANCE_OUT -100 planned
            posting refused -> chargeback CHARGEBACK | owed 0 posted 100
            chargeback -> chargeback CHARGEBACK | owed 0 posted 100
            person: Retried -> chargeback CHARGEBACK | owed 0 posted 100 | BALANCE_OUT -100 planned
            posted -> chargeback CHARGEBACK | owed 0 posted 0
        "#]],
    );
}

#[test]
fn a_refused_credit_waits_for_a_retry() {
    let end = play(
        deposit(15),
        vec![confirmed(), Refuse("login disabled"), declined(), Person(PersonFact::Retried), Post],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posting refused -> credit_failed CREDIT_REFUSED login disabled | owed 100 posted 0
            declined -> credit_failed CREDIT_REFUSED login disabled | owed 100 posted 0
            person: Retried -> credit_failed CREDIT_REFUSED | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
        "#]],
    );
    let states: Vec<_> = end.operations.iter().map(|known| known.status).collect();
    assert_eq!(states, [OperationStatus::Refused, OperationStatus::Posted]);
    assert_eq!(end.transaction.refused_seq, Seq(2));
}

#[test]
fn an_unanswered_posting_blocks_every_other_posting() {
    play(
        deposit(15),
        vec![
            confirmed(),
            NoAnswer,
            Person(PersonFact::Retried),
            refund("re_1", 10_000),
            NoAnswer,
            Refuse("never seen"),
        ],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            no answer to the posting -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 unknown
            person: Retried -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 unknown
            refund re_1 of 100 -> refunded | owed 0 posted 0 | BALANCE_IN 100 unknown
            no answer to the posting -> refunded | owed 0 posted 0 | BALANCE_IN 100 unknown
            posting refused -> refunded | owed 0 posted 0
        "#]],
    );
}

#[test]
fn an_unknown_outcome_is_ended_by_any_definite_fact() {
    let unknown = || Provider(ProviderFact::ReviewHold(ReviewHold::OutcomeUnknown));
    play(
        deposit(15),
        vec![Provider(ProviderFact::Unanswered), unknown(), declined()],
        expect![[r#"
        unanswered -> pending_payment | owed 0 posted 0
        review hold -> manual_review OUTCOME_UNKNOWN the create call was not answered and the provider cannot be queried | owed 0 posted 0
        declined -> failed PROVIDER_DECLINED no funds | owed 0 posted 0
    "#]],
    );
    play(
        deposit(15),
        vec![unknown(), confirmed(), Post],
        expect![[r#"
        review hold -> manual_review OUTCOME_UNKNOWN the create call was not answered and the provider cannot be queried | owed 0 posted 0
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
    "#]],
    );
}

#[test]
fn an_unstated_amount_is_ended_by_the_confirmation_of_that_payment_alone() {
    let unstated = || Provider(ProviderFact::ReviewHold(ReviewHold::AmountUnstated { payment: "pi_1".into() }));
    play(
        deposit(15),
        vec![unstated(), expired(), confirmed(), Post],
        expect![[r#"
            review hold -> manual_review AMOUNT_UNSTATED payment pi_1 was confirmed without an amount | owed 0 posted 0
            cancelled EXPIRED -> manual_review AMOUNT_UNSTATED payment pi_1 was confirmed without an amount; also stated: cancelled (EXPIRED) | owed 0 posted 0
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
        "#]],
    );
}

#[test]
fn the_end_of_a_create_call_determines_the_answer_to_repeated_requests() {
    let open = || aggregate(Transaction { first_answer: FirstAnswer::Open, ..deposit(15) });
    let ended = |ending: CreateEnding, stated: &[ProviderFact]| {
        let refs = [ProviderRef::new("payment_intent", "pi_1"), ProviderRef::new("checkout_session", "cs_1")];
        applied(&open(), &open().end_create(&receiver(), &ending, stated, &refs, at(1))).transaction
    };
    let accepted = ended(CreateEnding::Accepted(NextAction::Redirect), &[]);
    assert_eq!((accepted.status, accepted.first_answer), (TransactionStatus::PendingPayment, FirstAnswer::Accepted));
    assert_eq!((accepted.next_action, &*accepted.provider_payment_id), (NextAction::Redirect, "pi_1"));
    assert_eq!((accepted.refs.len(), accepted.version), (2, 2));

    let declined = ended(CreateEnding::Declined { reason: "no".into() }, &[]);
    assert_eq!((declined.status, declined.binds_key()), (TransactionStatus::Failed, true));
    let never_sent = ended(CreateEnding::NeverSent { reason: "breaker open".into() }, &[]);
    assert_eq!((never_sent.status, never_sent.binds_key()), (TransactionStatus::Failed, false));
    let unknown = ended(CreateEnding::Unknown, &[]);
    assert_eq!((unknown.status, unknown.next_action), (TransactionStatus::PendingPayment, NextAction::Wait));
}

#[test]
fn a_duplicate_fact_changes_nothing() {
    let fact = [ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 }];
    let refs = [ProviderRef::new("payment_intent", "pi_1")];
    let first = aggregate(deposit(15));
    let (changes, recording) = first.record(&receiver(), &fact, &refs, at(1));
    assert_eq!(recording, Recording::Added);
    let second = applied(&first, &changes);
    assert_eq!(second.record(&receiver(), &fact, &refs, at(2)), (Vec::new(), Recording::Duplicate));
}
