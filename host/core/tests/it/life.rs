//! Lives of transactions as told in the contract, step by step: what was heard or decided, and what it made of status,
//! debt and balance operations.

use std::fmt::Write as _;

use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::facts::{Doubt, Hearing, PersonFact, ProviderFact};
use cashier_core::ids::{ManagerId, Seq};
use cashier_core::operation::PostingOutcome;
use cashier_core::refs::ProviderRef;
use cashier_core::status::{OperationStatus, TransactionStatus, TransactionType};
use cashier_core::transaction::{FirstAnswer, NextAction, Transaction};
use expect_test::{Expect, expect};

use crate::samples::*;

enum Step {
    Hear(ProviderFact),
    Person(PersonFact),
    Post,
    Refuse(&'static str),
    Lose,
}
use Step::*;

fn confirmed() -> Step {
    Hear(ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 })
}

fn refund(id: &str, minor: i64) -> Step {
    Hear(ProviderFact::Refund { id: id.into(), minor })
}

fn declined() -> Step {
    Hear(ProviderFact::Declined { reason: "no funds".into() })
}

fn expired() -> Step {
    Hear(ProviderFact::Cancelled { reason: "EXPIRED".into() })
}

fn chargeback() -> Step {
    Hear(ProviderFact::Chargeback { id: "dp_1".into(), minor: 10_000 })
}

fn held(status: TransactionStatus) -> Step {
    Person(PersonFact::Held(status))
}

/// Lives through the steps and tells one line for each.
fn tell(transaction: Transaction, steps: Vec<Step>, expected: Expect) -> Aggregate {
    let mut aggregate = aggregate(transaction);
    let mut told = String::new();
    for (place, step) in steps.into_iter().enumerate() {
        let now = at(place as u64 + 1);
        let unsettled = aggregate.operations.iter().find(|known| known.is_unsettled()).map(|known| known.id);
        let end = |outcome| unsettled.map_or(Vec::new(), |id| aggregate.end_posting(id, &outcome, ManagerId(0), now));
        let (word, changes) = match step {
            Hear(fact) => (heard_word(&fact), aggregate.hear(&listener(), &[fact], &[], now).0),
            Person(fact) => (format!("person: {fact:?}"), aggregate.decide(fact, now)),
            Post => ("posted".into(), end(PostingOutcome::Posted { trade_order: 7 })),
            Refuse(reason) => ("posting refused".into(), end(PostingOutcome::Refused { reason: reason.into() })),
            Lose => ("no answer to the posting".into(), end(PostingOutcome::Unknown)),
        };
        aggregate = applied(&aggregate, &changes);
        let standing = aggregate.standing();
        assert_eq!(aggregate.transaction.status, standing.status, "the stored status is the derived one");
        let posted = cashier_core::operation::posted(&aggregate.operations).minor;
        let (status, reason) = (standing.status.word(), &aggregate.transaction.reason);
        let detail = [&*reason.code, &*reason.detail]
            .iter()
            .filter(|part| !part.is_empty())
            .fold(String::new(), |all, part| format!("{all} {part}"));
        write!(told, "{word} -> {status}{detail} | owed {} posted {}", standing.owed_minor / 100, posted / 100)
            .unwrap();
        for operation in aggregate.operations.iter().filter(|known| known.is_unsettled()) {
            let (cmd, state) = (operation.cmd.word(), operation.status.word());
            write!(told, " | {} {} {state}", cmd, operation.amount.minor / 100).unwrap();
        }
        told.push('\n');
    }
    expected.assert_eq(&told);
    aggregate
}

fn heard_word(fact: &ProviderFact) -> String {
    match fact {
        ProviderFact::Accepted => "accepted".into(),
        ProviderFact::Unanswered => "unanswered".into(),
        ProviderFact::AdvanceWanted { .. } => "advance wanted".into(),
        ProviderFact::Confirmed { payment, .. } => format!("confirmed {payment}"),
        ProviderFact::Declined { .. } => "declined".into(),
        ProviderFact::Cancelled { reason } => format!("cancelled {reason}"),
        ProviderFact::Refund { id, minor } => format!("refund {id} of {}", minor / 100),
        ProviderFact::RefundedTotal { minor } => format!("refunded {} in all", minor / 100),
        ProviderFact::Chargeback { .. } => "chargeback".into(),
        ProviderFact::ChargebackReversed { .. } => "chargeback reversed".into(),
        ProviderFact::Doubt(_) => "doubt".into(),
    }
}

#[test]
fn accepted_confirmed_credited() {
    let end = tell(
        deposit(15),
        vec![Hear(ProviderFact::Accepted), confirmed(), confirmed(), Post, confirmed()],
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
fn declined_then_confirmed_ends_credited() {
    tell(
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
fn confirmed_after_expiry_ends_credited() {
    tell(
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
fn a_refund_heard_before_its_confirmation_leaves_nothing() {
    tell(
        deposit(15),
        vec![refund("re_1", 10_000), confirmed()],
        expect![[r#"
        refund re_1 of 100 -> refunded | owed 0 posted 0
        confirmed pi_1 -> refunded | owed 0 posted 0
    "#]],
    );
}

#[test]
fn a_refund_after_the_credit_is_taken_back() {
    tell(
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
fn a_refund_while_the_credit_is_on_its_way_waits_for_it() {
    tell(
        deposit(15),
        vec![confirmed(), refund("re_1", 10_000), Lose, Post, Post],
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
fn a_part_refund_leaves_credited_with_a_note_even_when_its_posting_is_refused() {
    tell(
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
fn refunds_beyond_the_order_are_doubt() {
    tell(
        deposit(15),
        vec![confirmed(), Post, refund("re_1", 6_000), Post, refund("re_2", 6_000)],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
        refund re_1 of 60 -> credited PARTLY_REFUNDED | owed 40 posted 100 | BALANCE_OUT -60 planned
        posted -> credited PARTLY_REFUNDED | owed 40 posted 40
        refund re_2 of 60 -> manual_review BEYOND_CONFIRMED the provider states more reversed than was ordered | owed 0 posted 40
    "#]],
    );
}

#[test]
fn a_sum_so_far_and_its_single_refunds_count_once() {
    let total = |minor| Hear(ProviderFact::RefundedTotal { minor });
    tell(
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
fn a_second_payment_never_adds_and_each_one_is_doubt_anew() {
    let payment = |id: &str| Hear(ProviderFact::Confirmed { payment: id.into(), minor: 10_000 });
    let resolve = || Person(PersonFact::Resolved { minor: 10_000 });
    tell(
        deposit(15),
        vec![payment("pi_1"), Post, payment("pi_2"), resolve(), payment("pi_3"), resolve()],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
        confirmed pi_2 -> manual_review SECOND_PAYMENT pi_1 and pi_2 | owed 100 posted 100
        person: Resolved { minor: 10000 } -> credited | owed 100 posted 100
        confirmed pi_3 -> manual_review SECOND_PAYMENT pi_1 and pi_2 and pi_3 | owed 100 posted 100
        person: Resolved { minor: 10000 } -> credited | owed 100 posted 100
    "#]],
    );
}

#[test]
fn a_chargeback_takes_back_and_its_reversal_returns() {
    let reversed = || Hear(ProviderFact::ChargebackReversed { id: "dp_1".into() });
    tell(
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
fn a_chargeback_stands_where_its_posting_is_refused_and_a_person_retries_it() {
    tell(
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
    let end = tell(
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
fn an_unanswered_posting_blocks_every_other() {
    tell(
        deposit(15),
        vec![confirmed(), Lose, Person(PersonFact::Retried), refund("re_1", 10_000), Lose, Refuse("never seen")],
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
fn an_unknown_outcome_is_cured_by_any_definite_word() {
    let unknown = || Hear(ProviderFact::Doubt(Doubt::OutcomeUnknown));
    tell(
        deposit(15),
        vec![Hear(ProviderFact::Unanswered), unknown(), declined()],
        expect![[r#"
        unanswered -> pending_payment | owed 0 posted 0
        doubt -> manual_review OUTCOME_UNKNOWN the provider was asked and cannot be asked again | owed 0 posted 0
        declined -> failed PROVIDER_DECLINED no funds | owed 0 posted 0
    "#]],
    );
    tell(
        deposit(15),
        vec![unknown(), confirmed(), Post],
        expect![[r#"
        doubt -> manual_review OUTCOME_UNKNOWN the provider was asked and cannot be asked again | owed 0 posted 0
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
    "#]],
    );
}

#[test]
fn an_amount_unstated_is_cured_by_the_confirmation_of_that_payment_alone() {
    let unstated = || Hear(ProviderFact::Doubt(Doubt::AmountUnstated { payment: "pi_1".into() }));
    tell(
        deposit(15),
        vec![unstated(), expired(), confirmed(), Post],
        expect![[r#"
        doubt -> manual_review AMOUNT_UNSTATED payment pi_1 was confirmed without an amount | owed 0 posted 0
        cancelled EXPIRED -> manual_review AMOUNT_UNSTATED payment pi_1 was confirmed without an amount | owed 0 posted 0
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
    "#]],
    );
}

#[test]
fn a_mismatch_is_settled_by_a_person_for_exactly_what_they_say() {
    let mismatch = || {
        Hear(ProviderFact::Doubt(Doubt::Mismatch {
            what: "amount".into(),
            expected: "100.0 USD".into(),
            stated: "90.0 USD".into(),
            stated_minor: Some(9_000),
        }))
    };
    tell(
        deposit(15),
        vec![mismatch(), Person(PersonFact::Resolved { minor: 9_000 }), Post, mismatch()],
        expect![[r#"
        doubt -> manual_review AMOUNT_MISMATCH expected 100.0 USD, the provider states 90.0 USD | owed 0 posted 0
        person: Resolved { minor: 9000 } -> provider_confirmed | owed 90 posted 0 | BALANCE_IN 90 planned
        posted -> credited | owed 90 posted 90
        doubt -> credited | owed 90 posted 90
    "#]],
    );
    tell(
        deposit(15),
        vec![mismatch(), Person(PersonFact::Resolved { minor: 0 }), confirmed()],
        expect![[r#"
        doubt -> manual_review AMOUNT_MISMATCH expected 100.0 USD, the provider states 90.0 USD | owed 0 posted 0
        person: Resolved { minor: 0 } -> cancelled REJECTED | owed 0 posted 0
        confirmed pi_1 -> manual_review CONFIRMED_BUT_REJECTED | owed 0 posted 0
    "#]],
    );
}

#[test]
fn a_held_credited_means_settled_outside_and_a_confirmation_posts_nothing() {
    use TransactionStatus as S;
    tell(
        deposit(15),
        vec![
            held(S::Credited),
            confirmed(),
            Person(PersonFact::Released),
            confirmed(),
            Person(PersonFact::Retried),
            Post,
        ],
        expect![[r#"
            person: Held(Credited) -> credited | owed 0 posted 0
            confirmed pi_1 -> credited | owed 100 posted 0
            person: Released -> provider_confirmed | owed 100 posted 0
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0
            person: Retried -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
        "#]],
    );
}

#[test]
fn a_held_status_that_the_provider_contradicts_is_review() {
    use TransactionStatus as S;
    tell(
        deposit(15),
        vec![held(S::Failed), declined(), confirmed(), Person(PersonFact::Retried)],
        expect![[r#"
        person: Held(Failed) -> failed | owed 0 posted 0
        declined -> failed PROVIDER_DECLINED no funds | owed 0 posted 0
        confirmed pi_1 -> manual_review HELD_BUT_HEARD a person wrote failed, the provider says provider_confirmed | owed 100 posted 0
        person: Retried -> manual_review HELD_BUT_HEARD a person wrote failed, the provider says provider_confirmed | owed 100 posted 0
    "#]],
    );
    tell(
        deposit(15),
        vec![confirmed(), held(S::Cancelled), Post, confirmed()],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        person: Held(Cancelled) -> cancelled | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> cancelled | owed 100 posted 100
        confirmed pi_1 -> cancelled | owed 100 posted 100
    "#]],
    );
}

#[test]
fn rejected_and_confirmed_meet_in_review_in_either_order() {
    let rejected = || Person(PersonFact::Rejected);
    tell(
        deposit(15),
        vec![rejected(), confirmed(), Person(PersonFact::Resolved { minor: 10_000 }), Post],
        expect![[r#"
        person: Rejected -> cancelled REJECTED | owed 0 posted 0
        confirmed pi_1 -> manual_review CONFIRMED_BUT_REJECTED | owed 100 posted 0
        person: Resolved { minor: 10000 } -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
    "#]],
    );
    tell(
        deposit(15),
        vec![confirmed(), rejected(), Post],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        person: Rejected -> manual_review CONFIRMED_BUT_REJECTED | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> manual_review CONFIRMED_BUT_REJECTED | owed 100 posted 100
    "#]],
    );
    tell(
        deposit(15),
        vec![rejected(), declined(), expired()],
        expect![[r#"
        person: Rejected -> cancelled REJECTED | owed 0 posted 0
        declined -> cancelled REJECTED | owed 0 posted 0
        cancelled EXPIRED -> cancelled REJECTED | owed 0 posted 0
    "#]],
    );
}

#[test]
fn a_refund_by_a_manager_is_posted_first_and_given_back_if_the_provider_refuses() {
    let asked = |id: &str| Person(PersonFact::RefundAsked { id: id.into(), minor: 4_000 });
    let refused = Person(PersonFact::RefundRefused { id: "1".into() });
    tell(
        deposit(15),
        vec![confirmed(), Post, asked("1"), Post, refused, Post],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
        person: RefundAsked { id: "1", minor: 4000 } -> credited PARTLY_REFUNDED | owed 60 posted 100 | BALANCE_OUT -40 planned
        posted -> credited PARTLY_REFUNDED | owed 60 posted 60
        person: RefundRefused { id: "1" } -> provider_confirmed | owed 100 posted 60 | BALANCE_IN 40 planned
        posted -> credited | owed 100 posted 100
    "#]],
    );
}

#[test]
fn a_refund_by_a_manager_and_the_providers_word_of_it_count_once() {
    let asked = || Person(PersonFact::RefundAsked { id: "1".into(), minor: 4_000 });
    let done = || Person(PersonFact::RefundDone { id: "1".into(), refund: "re_1".into() });
    let total = || Hear(ProviderFact::RefundedTotal { minor: 4_000 });
    tell(
        deposit(15),
        vec![confirmed(), Post, asked(), Post, done(), refund("re_1", 4_000), total()],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
        person: RefundAsked { id: "1", minor: 4000 } -> credited PARTLY_REFUNDED | owed 60 posted 100 | BALANCE_OUT -40 planned
        posted -> credited PARTLY_REFUNDED | owed 60 posted 60
        person: RefundDone { id: "1", refund: "re_1" } -> credited PARTLY_REFUNDED | owed 60 posted 60
        refund re_1 of 40 -> credited PARTLY_REFUNDED | owed 60 posted 60
        refunded 40 in all -> credited PARTLY_REFUNDED | owed 60 posted 60
    "#]],
    );
    tell(
        deposit(15),
        vec![confirmed(), Post, asked(), Post, total(), done()],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
        person: RefundAsked { id: "1", minor: 4000 } -> credited PARTLY_REFUNDED | owed 60 posted 100 | BALANCE_OUT -40 planned
        posted -> credited PARTLY_REFUNDED | owed 60 posted 60
        refunded 40 in all -> credited PARTLY_REFUNDED | owed 60 posted 60
        person: RefundDone { id: "1", refund: "re_1" } -> credited PARTLY_REFUNDED | owed 60 posted 60
    "#]],
    );
    // A sum heard before the asking does not include it.
    tell(
        deposit(15),
        vec![confirmed(), Post, total(), Post, asked(), Post, done(), refund("re_1", 4_000)],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            refunded 40 in all -> credited PARTLY_REFUNDED | owed 60 posted 100 | BALANCE_OUT -40 planned
            posted -> credited PARTLY_REFUNDED | owed 60 posted 60
            person: RefundAsked { id: "1", minor: 4000 } -> credited PARTLY_REFUNDED | owed 20 posted 60 | BALANCE_OUT -40 planned
            posted -> credited PARTLY_REFUNDED | owed 20 posted 20
            person: RefundDone { id: "1", refund: "re_1" } -> credited PARTLY_REFUNDED | owed 20 posted 20
            refund re_1 of 40 -> credited PARTLY_REFUNDED | owed 20 posted 20
        "#]],
    );
}

#[test]
fn a_refund_whose_posting_was_refused_may_be_asked_again() {
    let asked = |id: &str| Person(PersonFact::RefundAsked { id: id.into(), minor: 4_000 });
    let refused = Person(PersonFact::RefundRefused { id: "1".into() });
    tell(
        deposit(15),
        vec![confirmed(), Post, asked("1"), Refuse("no balance"), refused, asked("2"), Post],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            person: RefundAsked { id: "1", minor: 4000 } -> credited PARTLY_REFUNDED | owed 60 posted 100 | BALANCE_OUT -40 planned
            posting refused -> credited PARTLY_REFUNDED | owed 60 posted 100
            person: RefundRefused { id: "1" } -> credited | owed 100 posted 100
            person: RefundAsked { id: "2", minor: 4000 } -> credited PARTLY_REFUNDED | owed 60 posted 100 | BALANCE_OUT -40 planned
            posted -> credited PARTLY_REFUNDED | owed 60 posted 60
        "#]],
    );
}

#[test]
fn a_manual_deposit_is_credited_when_approved() {
    let approved = || Person(PersonFact::Approved);
    let row = || manual(15, TransactionType::Deposit);
    tell(
        row(),
        vec![approved(), Post],
        expect![[r#"
        person: Approved -> manual_review | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
    "#]],
    );
    tell(
        row(),
        vec![approved(), Refuse("login disabled"), approved(), Post],
        expect![[r#"
            person: Approved -> manual_review | owed 100 posted 0 | BALANCE_IN 100 planned
            posting refused -> manual_review CREDIT_REFUSED login disabled | owed 100 posted 0
            person: Approved -> manual_review CREDIT_REFUSED | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
        "#]],
    );
    tell(
        row(),
        vec![approved(), Refuse("login disabled"), Person(PersonFact::Rejected)],
        expect![[r#"
            person: Approved -> manual_review | owed 100 posted 0 | BALANCE_IN 100 planned
            posting refused -> manual_review CREDIT_REFUSED login disabled | owed 100 posted 0
            person: Rejected -> cancelled REJECTED | owed 0 posted 0
        "#]],
    );
}

#[test]
fn a_manual_withdrawal_debits_when_approved_and_never_when_rejected() {
    let approved = || Person(PersonFact::Approved);
    let row = || manual(15, TransactionType::Withdrawal);
    tell(
        row(),
        vec![approved(), Post],
        expect![[r#"
        person: Approved -> manual_review | owed -100 posted 0 | BALANCE_OUT -100 planned
        posted -> credited | owed -100 posted -100
    "#]],
    );
    tell(
        row(),
        vec![Person(PersonFact::Rejected)],
        expect![[r#"
        person: Rejected -> cancelled REJECTED | owed 0 posted 0
    "#]],
    );
}

#[test]
fn a_manual_row_that_was_held_moves_money_only_when_a_person_says_so() {
    tell(
        manual(15, TransactionType::Withdrawal),
        vec![
            Person(PersonFact::Approved),
            Refuse("no balance"),
            held(TransactionStatus::Credited),
            Person(PersonFact::Released),
            Person(PersonFact::Retried),
            Post,
        ],
        expect![[r#"
            person: Approved -> manual_review | owed -100 posted 0 | BALANCE_OUT -100 planned
            posting refused -> manual_review CREDIT_REFUSED no balance | owed -100 posted 0
            person: Held(Credited) -> credited | owed -100 posted 0
            person: Released -> manual_review CREDIT_REFUSED no balance | owed -100 posted 0
            person: Retried -> manual_review CREDIT_REFUSED | owed -100 posted 0 | BALANCE_OUT -100 planned
            posted -> credited | owed -100 posted -100
        "#]],
    );
}

#[test]
fn the_end_of_a_create_call_is_kept_for_every_later_asker() {
    let open = || aggregate(Transaction { first_answer: FirstAnswer::Open, ..deposit(15) });
    let ended = |ending: CreateEnding, news: &[ProviderFact]| {
        let refs = [ProviderRef::new("payment_intent", "pi_1"), ProviderRef::new("checkout_session", "cs_1")];
        applied(&open(), &open().end_create(&listener(), &ending, news, &refs, at(1))).transaction
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
fn hearing_the_same_again_changes_nothing() {
    let fact = [ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 }];
    let refs = [ProviderRef::new("payment_intent", "pi_1")];
    let first = aggregate(deposit(15));
    let (changes, hearing) = first.hear(&listener(), &fact, &refs, at(1));
    assert_eq!(hearing, Hearing::News);
    let second = applied(&first, &changes);
    assert_eq!(second.hear(&listener(), &fact, &refs, at(2)), (Vec::new(), Hearing::AlreadyHeard));
}
