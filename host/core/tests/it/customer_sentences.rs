//! What a customer reads is true of his account: the sentence follows what is posted and owed, not the status alone.

use cashier_core::aggregate::Aggregate;
use cashier_core::explanation::{customer_sentence, manager_sentence};
use cashier_core::facts::{PersonFact, ProviderFact, RefusedBy};
use cashier_core::ids::ManagerId;
use cashier_core::manual;
use cashier_core::operation::PostingOutcome;
use cashier_core::status::{TransactionStatus as S, TransactionType};
use cashier_core::time::UnixTime;

use crate::samples::{NOW, aggregate, applied, at, deposit, manual as entered, receiver};

fn stated(known: &Aggregate, seq: u64, fact: ProviderFact) -> Aggregate {
    applied(known, &known.record(&receiver(), &[fact], &[], at(seq)).0)
}

fn decided<const N: usize>(known: &Aggregate, seq: u64, facts: [PersonFact; N]) -> Aggregate {
    applied(known, &known.decide_all(facts, at(seq)))
}

/// The trading server answers about the newest operation.
fn ended(known: &Aggregate, seq: u64, outcome: &PostingOutcome) -> Aggregate {
    let newest = known.operations.last().unwrap().id;
    applied(known, &known.end_posting(newest, outcome, ManagerId(0), at(seq)))
}

fn posted(known: &Aggregate, seq: u64) -> Aggregate {
    ended(known, seq, &PostingOutcome::Posted { trade_order: seq })
}

fn refused(known: &Aggregate, seq: u64) -> Aggregate {
    ended(known, seq, &PostingOutcome::Refused { reason: "INSUFFICIENT_BALANCE".into() })
}

fn credited() -> Aggregate {
    let paid = ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
    posted(&stated(&aggregate(deposit(1)), 1, paid), 2)
}

fn dispute() -> ProviderFact {
    ProviderFact::Chargeback { id: "dp_1".into(), payment: "pi_1".into(), minor: 10_000 }
}

fn disputed() -> Aggregate {
    stated(&credited(), 3, dispute())
}

fn refund_requested(minor: i64) -> Aggregate {
    let (id, key, reason) = ("own".into(), "".into(), "r".into());
    let reason = PersonFact::RefundReason { id, key, reason };
    decided(&credited(), 3, [reason, PersonFact::RefundRequested { id: "own".into(), payment: "pi_1".into(), minor }])
}

/// Asserts the sentence about a transaction at this status: what it says, and what it does not.
#[track_caller]
fn says_of(known: &Aggregate, status: S, says: &str, never: &str) {
    let said = customer_sentence(known);
    assert_eq!(known.transaction.status, status, "{said}");
    assert!(said.contains(says) && !said.contains(never), "{said}");
}

#[test]
fn what_a_written_status_stops_is_not_said_to_be_credited_by_itself() {
    let unpaid = aggregate(deposit(1));
    for status in [S::PendingPayment, S::Failed, S::Cancelled] {
        let held = decided(&unpaid, 1, [PersonFact::Held(status)]);
        says_of(&held, status, "our staff check it", "it is credited");
        let paid = ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
        let held = decided(&refused(&stated(&unpaid, 1, paid), 2), 3, [PersonFact::Held(status)]);
        says_of(&held, status, "has arrived, and our staff", "not paid");
    }
}

#[test]
fn a_disputed_amount_that_was_not_debited_was_not_taken_back() {
    let taken = "was taken back";
    says_of(&posted(&disputed(), 4), S::Chargeback, taken, "is to be taken back");
    says_of(&disputed(), S::Chargeback, "is to be taken back", taken);
    says_of(&refused(&disputed(), 4), S::Chargeback, "is to be taken back", taken);
    let unposted = stated(&refused_credit(), 3, dispute());
    says_of(&unposted, S::Chargeback, "is not in your trading account", taken);
}

fn refused_credit() -> Aggregate {
    let paid = ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
    refused(&stated(&aggregate(deposit(1)), 1, paid), 2)
}

#[test]
fn an_order_that_was_closed_by_a_person_says_what_the_account_has() {
    let second = ProviderFact::Confirmed { payment: "pi_2".into(), minor: 10_000 };
    let closed = decided(&stated(&credited(), 3, second), 4, [PersonFact::Resolved { minor: 0 }]);
    let (never, still) = ("without being credited", "still in your trading account");
    says_of(&closed, S::Cancelled, still, never);
    says_of(&refused(&closed, 5), S::Cancelled, still, never);
    says_of(&posted(&closed, 5), S::Cancelled, "was taken back", never);
    let uncredited = decided(&refused_credit(), 3, [PersonFact::Resolved { minor: 0 }]);
    says_of(&uncredited, S::Cancelled, never, still);
    says_of(&decided(&credited(), 3, [PersonFact::Held(S::Cancelled)]), S::Cancelled, still, "without being paid");
    says_of(&decided(&credited(), 3, [PersonFact::Held(S::Failed)]), S::Failed, still, "declined");
}

#[test]
fn a_refund_whose_debit_was_not_made_says_that_the_account_has_the_amount() {
    let back = ProviderFact::Refund { id: "re_1".into(), payment: "pi_1".into(), minor: 10_000 };
    let still = "still in your trading account";
    let whole = stated(&credited(), 3, back);
    says_of(&refused(&whole, 4), S::Refunded, still, "never said");
    says_of(&posted(&whole, 4), S::Refunded, "the whole amount was paid back", still);
    let part = ProviderFact::Refund { id: "re_1".into(), payment: "pi_1".into(), minor: 4_000 };
    let part = stated(&credited(), 3, part);
    says_of(&refused(&part, 4), S::Credited, still, "never said");
    says_of(&posted(&part, 4), S::Credited, "a part of it was paid back", still);
}

#[test]
fn a_part_that_the_account_has_is_not_said_to_be_missing() {
    let debited = posted(&refund_requested(1_000), 4);
    let due = applied(&debited, &debited.decide_all(RefusedBy::Provider.facts("own", "no"), at(5)));
    let part = "a part of it is in your trading account";
    says_of(&due, S::ProviderConfirmed, part, "the payment has arrived and is being credited");
    says_of(&refused(&due, 6), S::CreditFailed, part, "could not be credited to your trading account yet");
    says_of(&refused_credit(), S::CreditFailed, "could not be credited to your trading account yet", part);
}

fn processed(waits: &Aggregate) -> Aggregate {
    applied(waits, &manual::process(waits, ManagerId(8), false, at(1)).unwrap())
}

#[test]
fn an_approved_manual_transaction_whose_posting_is_under_way_does_not_wait_to_be_approved() {
    for (kind, says) in [
        (TransactionType::Withdrawal, "it was approved and is being taken from your trading account"),
        (TransactionType::Deposit, "it is being credited to your trading account"),
    ] {
        let waits = aggregate(entered(1, kind));
        let approved = processed(&waits);
        let unanswered = ended(&approved, 2, &PostingOutcome::Unknown);
        for under_way in [&approved, &unanswered] {
            says_of(under_way, S::ManualReview, says, "waits");
            let (sentence, command) = manager_sentence(under_way, UnixTime(NOW.0 + 10));
            assert!(command.is_empty() && sentence.contains("posts to the trading server"), "{sentence}");
        }
        let (sentence, command) = manager_sentence(&waits, NOW);
        assert_eq!(command, "MngProcessManualCashierTransaction", "{sentence}");
    }
    let waits = aggregate(entered(1, TransactionType::Withdrawal));
    says_of(&waits, S::ManualReview, "waits to be approved by our staff", "was approved");
    let held = decided(&posted(&processed(&waits), 2), 3, [PersonFact::Held(S::ManualReview)]);
    says_of(&held, S::ManualReview, "our staff are checking it", "waits");
    let rejected = decided(&posted(&processed(&waits), 2), 3, [PersonFact::Rejected]);
    says_of(&refused(&rejected, 4), S::Cancelled, "is to be given back", "nothing was taken");
}
