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
    ended(known, seq, &PostingOutcome::posted(seq))
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
    for status in [S::Created, S::PendingPayment, S::Failed, S::Cancelled] {
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

/// What no sentence says where the provider stated a payment that went back, whatever a person wrote.
const UNTRUE_OF_MONEY_THAT_WENT_BACK: [&str; 9] = [
    "not paid",
    "without being paid",
    "not reported",
    "declined",
    "If you have paid",
    "is being sent",
    "being credited",
    "before it is credited",
    "could not be credited",
];

/// What none says where a payment was stated and a person wrote the status: nothing is credited by itself then.
const UNTRUE_OF_STATED_MONEY: [&str; 7] = [
    "not paid",
    "without being paid",
    "not reported",
    "declined",
    "If you have paid",
    "is being sent",
    "is being credited",
];

/// Every status that a person writes, alone and after every other one.
fn written(known: &Aggregate) -> impl Iterator<Item = Aggregate> {
    let firsts = std::iter::once(None).chain(S::ALL.iter().copied().map(Some));
    let pairs = firsts.flat_map(|first| S::ALL.iter().copied().map(move |last| (first, last)));
    pairs.map(|(first, last)| {
        let before = first.map_or_else(|| known.clone(), |first| decided(known, 20, [PersonFact::Held(first)]));
        decided(&before, 21, [PersonFact::Held(last)])
    })
}

fn back(minor: i64) -> ProviderFact {
    ProviderFact::Refund { id: "re_1".into(), payment: "pi_1".into(), minor }
}

/// Asserts of each status that a person may have written what is said, and what is not.
#[track_caller]
fn says_of_written(how: &str, known: &Aggregate, says: &[&str], never: &[&str]) {
    for held in written(known) {
        let (status, said) = (held.transaction.status, customer_sentence(&held));
        let untrue: Vec<_> = never.iter().filter(|never| said.contains(**never)).collect();
        assert!(untrue.is_empty(), "{how}, written {status:?}: {said}");
        // What a person wrote as credited, refunded or disputed, or has under review, is said as he wrote it.
        let is_own_word = matches!(status, S::Credited | S::Refunded | S::Chargeback | S::ManualReview);
        assert!(is_own_word || says.iter().any(|says| said.contains(says)), "{how}, written {status:?}: {said}");
    }
}

#[test]
fn no_written_status_says_of_money_that_went_back_that_it_was_not_paid_or_may_come() {
    let unpaid = aggregate(deposit(1));
    let two = stated(&credited(), 3, ProviderFact::Confirmed { payment: "pi_2".into(), minor: 10_000 });
    let total = ProviderFact::RefundedTotal { payment: "pi_1".into(), minor: 10_000 };
    let paid_back = ["the whole amount was paid back"];
    let disputes = ["disputed at your bank"];
    for (how, known, says) in [
        ("refunded and debited", posted(&stated(&credited(), 3, back(10_000)), 4), paid_back),
        ("refunded, debit refused", refused(&stated(&credited(), 3, back(10_000)), 4), paid_back),
        ("refunded, debit under way", stated(&credited(), 3, back(10_000)), paid_back),
        ("refunded in total", posted(&stated(&credited(), 3, total), 4), paid_back),
        ("refunded, never posted", stated(&refused_credit(), 3, back(10_000)), paid_back),
        ("refunded, never confirmed", stated(&unpaid, 3, back(10_000)), paid_back),
        ("disputed and debited", posted(&disputed(), 4), disputes),
        ("disputed, debit refused", refused(&disputed(), 4), disputes),
        ("disputed, never posted", stated(&refused_credit(), 3, dispute()), disputes),
        ("disputed, never confirmed", stated(&unpaid, 3, dispute()), disputes),
        ("partly refunded, never confirmed", stated(&unpaid, 3, back(4_000)), ["paid back or is disputed"]),
        ("beyond what was paid", stated(&two, 4, back(30_000)), ["paid back or is disputed"]),
        ("refund requested and debited", posted(&refund_requested(10_000), 4), ["a refund of it"]),
        ("refund requested", refund_requested(10_000), ["a refund of it"]),
    ] {
        says_of_written(how, &known, &says, &UNTRUE_OF_MONEY_THAT_WENT_BACK);
    }
}

#[test]
fn no_written_status_says_of_a_stated_payment_that_it_was_not_paid_or_comes_by_itself() {
    let part = stated(&credited(), 3, back(4_000));
    let failed = ProviderFact::RefundFailed { id: "re_1".into(), payment: "pi_1".into(), minor: 10_000 };
    let again = stated(&posted(&stated(&credited(), 3, back(10_000)), 4), 5, failed);
    let second = ProviderFact::Confirmed { payment: "pi_2".into(), minor: 10_000 };
    let closed = decided(&stated(&credited(), 3, second), 4, [PersonFact::Resolved { minor: 0 }]);
    let (still, checked) = ("in your trading account, and our staff are checking", "our staff are checking it before");
    for (how, known, says) in [
        ("credited", credited(), still),
        ("partly refunded", part.clone(), still),
        ("partly refunded and debited", posted(&part, 4), still),
        ("partly refunded, never posted", stated(&refused_credit(), 3, back(4_000)), "a part of it was paid back"),
        ("not credited", refused_credit(), checked),
        ("refund failed, debited", refused(&again, 6), checked),
        ("closed by a person", posted(&closed, 5), "closed by our staff, and what had been"),
        (
            "closed by a person, not credited",
            decided(&refused_credit(), 3, [PersonFact::Resolved { minor: 0 }]),
            "closed by our staff without",
        ),
    ] {
        says_of_written(how, &known, &[says], &UNTRUE_OF_STATED_MONEY);
    }
}

#[test]
fn a_manual_deposit_whose_status_was_written_is_not_said_to_be_a_providers() {
    let waits = aggregate(entered(1, TransactionType::Deposit));
    let credited = posted(&processed(&waits), 2);
    let rejected = posted(&decided(&credited, 3, [PersonFact::Rejected]), 4);
    for (known, in_words) in [
        (&waits, "closed by our staff without being credited"),
        (&credited, "still in your trading account"),
        (&rejected, "what had been credited to your trading account was taken back"),
        (&processed(&waits), "our staff are checking it"),
    ] {
        let never = ["provider", "declined", "not paid", "without being paid", "If you have paid"];
        says_of_written("manual", known, &[in_words, "our staff are checking it"], &never);
        for status in [S::Failed, S::Cancelled] {
            says_of(&decided(known, 20, [PersonFact::Held(status)]), status, in_words, "provider");
        }
    }
}
