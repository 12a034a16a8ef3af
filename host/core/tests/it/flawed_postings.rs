//! Postings that were made and that a person must look at, and requests that a trading server holds for operations.

use cashier_core::aggregate::Aggregate;
use cashier_core::facts::{PersonFact, ProviderFact};
use cashier_core::ids::{ManagerId, OperationId};
use cashier_core::operation::{PostingFlaw, PostingOutcome};
use cashier_core::reason::ReasonCode as R;
use cashier_core::status::{TransactionStatus as S, TransactionType};

use crate::samples::*;

const FLAWS: [(PostingFlaw, R); 2] =
    [(PostingFlaw::Twice { other: 78 }, R::PostedTwice), (PostingFlaw::AccountChanged, R::PostedToChangedAccount)];

/// A deposit that was paid, or a withdrawal that was approved: each has a planned operation.
fn planned() -> [Aggregate; 2] {
    let deposit = Aggregate { transaction: deposit(15), operations: Vec::new() };
    let paid = ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
    let paid = applied(&deposit, &deposit.establish(paid, at(2)));
    let withdrawal = Aggregate { transaction: manual(16, TransactionType::Withdrawal), operations: Vec::new() };
    let approved = applied(&withdrawal, &withdrawal.decide(PersonFact::Approved, at(2)));
    [paid, approved]
}

fn due(known: &Aggregate) -> OperationId {
    known.operations.iter().find(|known| known.is_unsettled()).unwrap().id
}

fn posted(known: &Aggregate, flaw: Option<PostingFlaw>) -> Aggregate {
    let outcome = PostingOutcome::Posted { trade_order: 77, flaw };
    applied(known, &known.end_posting(due(known), &outcome, ManagerId(0), at(3)))
}

fn state(known: &Aggregate) -> (S, R, usize) {
    (known.transaction.status, known.transaction.reason.code, known.operations.len())
}

#[test]
fn a_flawed_posting_is_posted_and_reviewed_until_a_person_decides_after_it() {
    for known in planned() {
        assert_eq!(state(&posted(&known, None)), (S::Credited, R::None, 1));
        for (flaw, code) in FLAWS {
            let flawed = posted(&known, Some(flaw));
            assert_eq!(state(&flawed), (S::ManualReview, code, 1));
            assert_eq!(flawed.operations[0].trade_order, 77);
            let decided = applied(&flawed, &flawed.decide(PersonFact::Retried, at(4)));
            assert_eq!(state(&decided), (S::Credited, R::None, 1), "nothing is posted again");
        }
    }
}

#[test]
fn nothing_is_planned_beside_a_flawed_posting() {
    let [paid, _] = planned();
    for (flaw, code) in FLAWS {
        let flawed = posted(&paid, Some(flaw));
        let refund = ProviderFact::Refund { id: "re_1".into(), payment: "".into(), minor: 4_000 };
        let refunded = applied(&flawed, &flawed.establish(refund, at(5)));
        assert_eq!(state(&refunded), (S::ManualReview, code, 1));
        let decided = applied(&refunded, &refunded.decide(PersonFact::Retried, at(6)));
        assert_eq!((decided.operations.len(), decided.operations[1].amount.minor), (2, -4_000));
    }
}

#[test]
fn a_request_that_is_recorded_is_never_replaced() {
    for known in planned() {
        let prepared = applied(&known, &known.prepare_posting(due(&known), 501, at(3)));
        assert_eq!(prepared.operations[0].request_order, 501);
        assert!(prepared.prepare_posting(due(&known), 502, at(4)).is_empty());
        let unanswered =
            applied(&prepared, &prepared.end_posting(due(&known), &PostingOutcome::Unknown, ManagerId(0), at(4)));
        assert!(unanswered.prepare_posting(due(&known), 502, at(5)).is_empty());
        let posted = posted(&unanswered, None);
        assert_eq!((posted.operations[0].request_order, posted.operations[0].trade_order), (501, 77));
        assert!(posted.prepare_posting(posted.operations[0].id, 503, at(6)).is_empty(), "it is settled");
        assert!(known.prepare_posting(due(&known), 0, at(3)).is_empty());
    }
}
