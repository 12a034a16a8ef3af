//! Reconciled transactions: postings that the books did not know are taken over once, wait until they are explained, and
//! plan nothing meanwhile; lost ones and key conflicts wait for a person.

mod decided;

use cashier_core::aggregate::{Aggregate, DecisionContext};
use cashier_core::duty::{self, Duty, ProviderDuty};
use cashier_core::facts::{PersonFact, ProviderFact};
use cashier_core::ids::{CustomerId, Login, ManagerId, OperationId, Reference, TransactionId};
use cashier_core::operation::{OperationKey, PostingOutcome, posted};
use cashier_core::reason::ReasonCode;
use cashier_core::reconcile::{FoundPosting, recovered};
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus, TransactionStatus};
use cashier_core::time::UnixTime;
use cashier_core::transaction::Fresh;

use crate::samples::*;

const PAID: i64 = 10_000;

fn paid() -> ProviderFact {
    ProviderFact::Confirmed { payment: "pi_1".into(), minor: PAID }
}

fn refund() -> ProviderFact {
    ProviderFact::Refund { id: "re_1".into(), payment: "".into(), minor: 4_000 }
}

fn recorded(aggregate: &Aggregate, fact: ProviderFact, seq: u64) -> Aggregate {
    applied(aggregate, &aggregate.establish(fact, at(seq)))
}

fn ended(aggregate: &Aggregate, outcome: &PostingOutcome, seq: u64) -> Aggregate {
    let id = aggregate.operations.iter().find(|known| known.is_unsettled()).unwrap().id;
    applied(aggregate, &aggregate.end_posting(id, outcome, ManagerId(0), at(seq)))
}

fn pending() -> Aggregate {
    recorded(&Aggregate { transaction: deposit(15), operations: Vec::new() }, ProviderFact::Accepted, 1)
}

fn credited() -> Aggregate {
    ended(&recorded(&pending(), paid(), 2), &PostingOutcome::posted(7), 3)
}

/// Posting `n` of a transaction.
fn found(of: &Aggregate, n: u32, minor: i64) -> FoundPosting {
    let (cmd, reason) = match minor {
        1.. => (OperationCmd::BalanceIn, OperationReason::Deposit),
        _ => (OperationCmd::BalanceOut, OperationReason::Reversal),
    };
    FoundPosting {
        key: OperationKey::read(&format!("{}:{n}", of.transaction.reference)).unwrap(),
        operation_id: OperationId(100 + u64::from(n)),
        transaction_id: of.transaction.id,
        customer_id: CustomerId(5),
        login: Login(2_000_009),
        cmd,
        reason,
        amount: usd(minor),
        created_time: NOW,
        outcome: PostingOutcome::posted(70 + u64::from(n)),
    }
}

fn reconciled(aggregate: &Aggregate, found: &[FoundPosting], lost: &[u64]) -> Aggregate {
    let lost: Vec<_> = lost.iter().copied().map(OperationId).collect();
    applied(aggregate, &aggregate.reconcile(found, &lost, at(50)))
}

fn state(aggregate: &Aggregate) -> (TransactionStatus, ReasonCode, i64, usize) {
    let unsettled = aggregate.operations.iter().filter(|known| known.is_unsettled()).count();
    let transaction = &aggregate.transaction;
    (
        transaction.status,
        transaction.reason.code,
        posted(&aggregate.transaction, &aggregate.operations).minor,
        unsettled,
    )
}

use ReasonCode as R;
use TransactionStatus as S;

#[test]
fn m1_an_imported_credit_plans_nothing_and_ends_credited_once_its_confirmation_comes_again() {
    let pending = pending();
    let imported = reconciled(&pending, &[found(&pending, 1, PAID)], &[]);
    assert_eq!(state(&imported), (S::ManualReview, R::PostingImported, PAID, 0));
    let later = UnixTime(NOW.0 + 1_000);
    let due = duty::due(&imported.transaction, &imported.operations, later);
    assert_eq!(due, Some(Duty::Provider(ProviderDuty::Query)), "the provider explains it");

    let explained = recorded(&imported, paid(), 60);
    assert_eq!(state(&explained), (S::Credited, R::None, PAID, 0));
    // From then on it is like any other: a refund is taken back under the next key.
    let refunded = recorded(&explained, refund(), 70);
    assert_eq!(state(&refunded), (S::Credited, R::PartlyRefunded, PAID, 1));
    assert_eq!(refunded.operations.last().unwrap().ordinal, 2);
}

#[test]
fn m1_an_imported_credit_that_was_explained_is_credited_again_after_a_won_dispute() {
    let pending = pending();
    let imported = reconciled(&pending, &[found(&pending, 1, PAID)], &[]);
    let explained = recorded(&imported, paid(), 60);
    assert!(!explained.operations[0].is_unexplained());
    assert_eq!((&*explained.operations[0].failure_reason, explained.operations[0].updated_time), ("", NOW.plus(60)));
    let disputed =
        recorded(&explained, ProviderFact::Chargeback { id: "dp_1".into(), payment: "".into(), minor: PAID }, 61);
    let taken_back = ended(&disputed, &PostingOutcome::posted(8), 62);
    assert_eq!(state(&taken_back), (S::Chargeback, R::Chargeback, 0, 0));
    let won = recorded(&taken_back, ProviderFact::ChargebackReversed { id: "dp_1".into(), payment: "".into() }, 63);
    assert_eq!((state(&won), won.standing().owed_minor), ((S::ProviderConfirmed, R::None, 0, 1), PAID));
}

#[test]
fn m1_an_imported_reversal_is_not_credited_again_before_the_refund_is_known() {
    let credited = credited();
    let imported = reconciled(&credited, &[found(&credited, 2, -4_000)], &[]);
    assert_eq!(state(&imported), (S::ManualReview, R::PostingImported, 6_000, 0));
    assert_eq!(state(&recorded(&imported, refund(), 60)), (S::Credited, R::PartlyRefunded, 6_000, 0));

    let pending = pending();
    let both = reconciled(&pending, &[found(&pending, 1, PAID), found(&pending, 2, -PAID)], &[]);
    assert_eq!(state(&both), (S::ManualReview, R::PostingImported, 0, 0), "a sum of 0 explains nothing");
    assert_eq!(state(&recorded(&both, paid(), 60)), (S::ManualReview, R::PostingImported, 0, 0));
}

#[test]
fn m1_a_refund_that_comes_before_the_confirmation_of_an_imported_credit_is_taken_back_all_the_same() {
    let pending = pending();
    let imported = reconciled(&pending, &[found(&pending, 1, PAID)], &[]);
    let refunded = recorded(&recorded(&imported, refund(), 60), paid(), 61);
    assert_eq!(state(&refunded), (S::Credited, R::PartlyRefunded, PAID, 1));
    assert_eq!(refunded.operations.last().unwrap().amount, usd(-4_000));
}

#[test]
fn m1_an_operation_planned_before_the_restore_ends_as_it_was_posted() {
    let planned = recorded(&pending(), paid(), 2);
    let imported = reconciled(&planned, &[found(&planned, 1, PAID)], &[]);
    assert_eq!(state(&imported), (S::Credited, R::None, PAID, 0));
    assert_eq!(imported.operations.len(), 1);
    let refusal = FoundPosting { outcome: PostingOutcome::Refused { reason: "NO".into() }, ..found(&planned, 1, PAID) };
    assert_eq!(state(&reconciled(&planned, &[refusal], &[])), (S::CreditFailed, R::CreditRefused, 0, 0));
}

#[test]
fn m15_an_operation_recorded_as_refused_whose_posting_exists_is_credited() {
    let planned = recorded(&pending(), paid(), 2);
    let refused = ended(&planned, &PostingOutcome::Refused { reason: "ACCOUNT_NOT_FOUND".into() }, 3);
    let imported = reconciled(&refused, &[found(&refused, 1, PAID)], &[]);
    assert_eq!(state(&imported), (S::Credited, R::None, PAID, 0));
}

#[test]
fn m1_a_lost_posting_is_a_review_and_only_a_person_posts_it_again() {
    let credited = credited();
    let lost = reconciled(&credited, &[], &[2]);
    assert_eq!(state(&lost), (S::ManualReview, R::PostingLost, 0, 0));
    assert_eq!(state(&recorded(&lost, refund(), 60)), (S::ManualReview, R::PostingLost, 0, 0));
    let retried = applied(&lost, &lost.decide(PersonFact::Retried, at(60)));
    assert_eq!(state(&retried), (S::CreditFailed, R::CreditRefused, 0, 1));
    assert_eq!(retried.operations.last().unwrap().ordinal, 2, "under a key of its own");
    let posted = ended(&retried, &PostingOutcome::posted(9), 61);
    assert_eq!(state(&posted), (S::Credited, R::None, PAID, 0));
}

#[test]
fn m1_a_lost_reversal_of_a_confirmed_payment_waits_for_a_persons_decision_after_it() {
    let refunded = ended(&recorded(&credited(), refund(), 4), &PostingOutcome::posted(8), 5);
    // Reconciled at 50.
    let decided = |fact: &PersonFact, seq| {
        let before =
            if seq < 50 { applied(&refunded, &refunded.decide(fact.clone(), at(seq))) } else { refunded.clone() };
        let lost = reconciled(&before, &[], &[4]);
        assert_eq!(state(&lost), (S::ManualReview, R::PostingLost, PAID, 0));
        if seq < 50 { lost } else { applied(&lost, &lost.decide(fact.clone(), at(seq))) }
    };
    for (fact, permits) in [(PersonFact::Retried, true), (PersonFact::Released, false)] {
        for (seq, is_after) in [(40, false), (50, false), (51, true)] {
            let (_, reason, _, planned) = state(&decided(&fact, seq));
            let expected = if permits && is_after { (R::PartlyRefunded, 1) } else { (R::PostingLost, 0) };
            assert_eq!((reason, planned), expected, "{fact:?} at {seq}");
        }
    }
}

#[test]
fn m1_a_lost_credit_beside_a_reversal_that_exists_is_not_credited_again() {
    let refunded = ended(&recorded(&credited(), refund(), 4), &PostingOutcome::posted(8), 5);
    let lost = reconciled(&refunded, &[], &[2]);
    assert_eq!(state(&lost), (S::ManualReview, R::PostingLost, -4_000, 0));
}

#[test]
fn m1_a_key_of_another_posting_is_a_review_and_no_plain_refusal() {
    let planned = recorded(&pending(), paid(), 2);
    let conflict = ended(&planned, &PostingOutcome::Conflict, 3);
    assert_eq!(state(&conflict), (S::ManualReview, R::OperationKeyConflict, 0, 0));
    assert_eq!(conflict.operations[0].status, OperationStatus::Refused);
    assert_eq!(state(&recorded(&conflict, refund(), 60)), (S::ManualReview, R::OperationKeyConflict, 0, 0));
    let retried = applied(&conflict, &conflict.decide(PersonFact::Retried, at(70)));
    assert_eq!((state(&retried).3, retried.operations.last().unwrap().ordinal), (1, 2));
}

#[test]
fn a_posting_with_other_values_than_its_operation_replaces_it_and_is_a_review() {
    let credited = credited();
    let other = FoundPosting { login: Login(2_000_010), ..found(&credited, 1, PAID - 1) };
    let imported = reconciled(&credited, &[other], &[]);
    assert_eq!(state(&imported), (S::ManualReview, R::PostingImported, PAID - 1, 0));
    assert_eq!(imported.operations.len(), 1);
}

#[test]
fn a_lost_transaction_is_recovered_for_a_person_and_owes_nothing() {
    let lost = pending();
    let posting = found(&lost, 1, PAID);
    let fresh = Fresh { id: TransactionId(99), reference: Reference::from_random(9), now: NOW };
    let transaction = recovered(fresh, &posting, &account());
    let key = OperationKey::read(&format!("{}:1", transaction.reference)).unwrap();
    let blank = Aggregate { transaction, operations: Vec::new() };
    let made = reconciled(&blank, &[FoundPosting { key, ..posting }], &[]);
    assert_eq!(state(&made), (S::ManualReview, R::PostingImported, PAID, 0));
    assert_eq!(duty::due(&made.transaction, &made.operations, UnixTime(i64::MAX)), None, "no provider is asked");
    let approved = applied(&made, &made.decide(PersonFact::Approved, at(60)));
    assert_eq!(state(&approved), (S::Credited, R::None, PAID, 0));
}

#[test]
fn a_persons_decision_about_a_review_counts_by_its_order_whatever_the_clock_says() {
    let (planned, credited) = (recorded(&pending(), paid(), 2), credited());
    let reviews = [
        ("lost", R::PostingLost, reconciled(&credited, &[], &[2])),
        ("conflict", R::OperationKeyConflict, ended(&planned, &PostingOutcome::Conflict, 3)),
        ("imported", R::PostingImported, reconciled(&credited, &[found(&credited, 2, -4_000)], &[])),
    ];
    for (name, code, review) in reviews {
        for behind in [0, 10, 30 * 86_400] {
            let at = DecisionContext { now: UnixTime(review.transaction.updated_time.0 - behind), ..at(60) };
            let decided = applied(&review, &review.decide(PersonFact::Retried, at));
            assert_eq!((state(&decided).1 == code, state(&decided).3), (false, 1), "{name}, {behind} s behind");
        }
        let ahead = DecisionContext { now: NOW.plus(30 * 86_400), ..at(1) };
        let before = applied(&pending(), &pending().decide(PersonFact::Retried, ahead));
        let mut early = review.clone();
        early.transaction.facts.persons = before.transaction.facts.persons;
        assert_eq!(early.standing().reason.code, code, "{name}: decided before, stamped ahead");
    }
}

#[test]
fn approving_a_recovered_transaction_never_moves_money() {
    let lost = pending();
    let refused = FoundPosting { outcome: PostingOutcome::Refused { reason: "NO".into() }, ..found(&lost, 2, -PAID) };
    let out = FoundPosting { reason: OperationReason::Withdrawal, ..found(&lost, 1, -PAID) };
    let histories: [(&[FoundPosting], i64); 7] = [
        (&[found(&lost, 1, PAID)], PAID),
        (&[found(&lost, 1, PAID), found(&lost, 2, -PAID)], 0),
        (&[found(&lost, 1, PAID), found(&lost, 2, -4_000)], 6_000),
        (&[found(&lost, 1, PAID), refused], PAID),
        (&[found(&lost, 2, -4_000)], -4_000),
        (std::slice::from_ref(&out), -PAID),
        (&[out.clone(), found(&lost, 2, PAID)], 0),
    ];
    for (found, minor) in histories {
        let fresh = Fresh { id: lost.transaction.id, reference: lost.transaction.reference.clone(), now: NOW };
        let transaction = recovered(fresh, &found[0], &account());
        let blank = Aggregate { transaction, operations: Vec::new() };
        let first = reconciled(&blank, &found[..1], &[]);
        // All at once, or the rest in a later run.
        for made in [reconciled(&blank, found, &[]), reconciled(&first, &found[1..], &[])] {
            assert_eq!(state(&made), (S::ManualReview, R::PostingImported, minor, 0), "{found:?}");
            let approved = applied(&made, &made.decide(PersonFact::Approved, at(60)));
            assert_eq!(state(&approved), (S::Credited, R::None, minor, 0), "{found:?}");
        }
    }
}

#[test]
fn what_a_person_posted_again_is_not_counted_twice_when_more_postings_of_a_recovered_transaction_are_found() {
    let lost = pending();
    let fresh = Fresh { id: lost.transaction.id, reference: lost.transaction.reference.clone(), now: NOW };
    let blank = Aggregate { transaction: recovered(fresh, &found(&lost, 1, PAID), &account()), operations: Vec::new() };
    let made = reconciled(&blank, &[found(&lost, 1, PAID)], &[]);
    let approved = applied(&made, &made.decide(PersonFact::Approved, at(51)));
    let gone = applied(&approved, &approved.reconcile(&[], &[approved.operations[0].id], at(52)));
    let retried = ended(&applied(&gone, &gone.decide(PersonFact::Retried, at(60))), &PostingOutcome::posted(9), 61);
    for before in [&gone, &retried] {
        let posted = state(before).2;
        for later in [-4_000, -PAID, PAID] {
            let more = applied(before, &before.reconcile(&[found(&lost, 3, later)], &[], at(70)));
            assert_eq!(state(&more).2, posted + later);
            let approved = applied(&more, &more.decide(PersonFact::Approved, at(80)));
            let planned: i64 =
                approved.operations.iter().filter(|known| known.is_unsettled()).map(|known| known.amount.minor).sum();
            assert_eq!(planned, PAID - posted, "{later}: only what is lost and not posted again");
        }
    }
}
