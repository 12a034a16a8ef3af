//! What persons decide about transactions that were recovered, or whose postings were imported or lost.

use cashier_core::decisions::{self, Resolution};
use cashier_core::duty::WorkKind;
use cashier_core::manual;

use super::*;

#[test]
fn a_posting_of_a_recovered_transaction_that_is_lost_again_is_posted_only_by_a_person() {
    let lost = pending();
    let fresh = Fresh { id: lost.transaction.id, reference: lost.transaction.reference.clone(), now: NOW };
    let blank = Aggregate { transaction: recovered(fresh, &found(&lost, 1, PAID), &account()), operations: Vec::new() };
    let made = reconciled(&blank, &[found(&lost, 1, PAID)], &[]);
    let approved = applied(&made, &made.decide(PersonFact::Approved, at(60)));
    let id = approved.operations[0].id.0;
    let gone = applied(&approved, &approved.reconcile(&[], &[OperationId(id)], at(70)));
    assert_eq!(state(&gone), (S::ManualReview, R::PostingLost, 0, 0));
    let rejected = applied(&gone, &manual::reject(&gone, "not theirs", at(80)).unwrap());
    assert_eq!(state(&rejected), (S::Cancelled, R::Rejected, 0, 0));
    assert!(manual::reject(&rejected, "again", at(81)).is_err());
    let retried = applied(&gone, &gone.decide(PersonFact::Retried, at(80)));
    assert_eq!(retried.operations.last().unwrap().amount, usd(PAID));
}

#[test]
fn a_recovered_transaction_that_is_rejected_gives_its_postings_back() {
    let lost = pending();
    let fresh = Fresh { id: lost.transaction.id, reference: lost.transaction.reference.clone(), now: NOW };
    let blank = Aggregate { transaction: recovered(fresh, &found(&lost, 1, PAID), &account()), operations: Vec::new() };
    let made = reconciled(&blank, &[found(&lost, 1, PAID)], &[]);
    let items = |known: &Aggregate| -> Vec<_> {
        duty::of_transaction(known, NOW).iter().map(|item| (item.kind, item.command)).collect()
    };
    assert_eq!(items(&made), [(WorkKind::ManualApproval, "MngProcessManualCashierTransaction")]);
    let rejected = applied(&made, &manual::reject(&made, "nobody paid it", at(60)).unwrap());
    assert_eq!(rejected.transaction.status, S::Cancelled);
    assert_eq!(rejected.operations.last().unwrap().amount, usd(-PAID));
    assert!(manual::reject(&rejected, "again", at(61)).is_err());
    let taken = ended(&rejected, &PostingOutcome::posted(9), 62);
    assert_eq!(state(&taken), (S::Cancelled, R::Rejected, 0, 0));
    // The customer holds too little: the review is back, and a person decides again.
    let short = ended(&rejected, &PostingOutcome::Refused { reason: "INSUFFICIENT_BALANCE".into() }, 62);
    assert_eq!(items(&short), items(&made));
    let rejects = manual::reject(&short, "again", at(63)).unwrap();
    for changes in [rejects, decisions::retry(&short, None, at(63)).unwrap()] {
        let again = applied(&short, &changes);
        assert_eq!((again.operations.len(), again.operations.last().unwrap().amount), (3, usd(-PAID)));
    }
    let kept = manual::process(&short, ManagerId(8), false, at(63)).unwrap();
    assert_eq!(state(&applied(&short, &kept)), (S::Credited, R::None, PAID, 0));
}

#[test]
fn a_retry_takes_no_imported_posting_back() {
    let lost = pending();
    let imported = reconciled(&lost, &[found(&lost, 1, PAID)], &[]);
    assert_eq!(state(&imported), (S::ManualReview, R::PostingImported, PAID, 0));
    assert!(decisions::retry(&imported, None, at(60)).is_err());
    assert_eq!(duty::of_transaction(&imported, NOW)[0].command, "MngResolveCashierDoubt");
    let kept = applied(&imported, &decisions::resolve(&imported, Resolution::Credit(usd(PAID)), at(60)).unwrap());
    assert_eq!(state(&kept), (S::Credited, R::None, PAID, 0));
    let refused = applied(&imported, &decisions::resolve(&imported, Resolution::Refuse, at(60)).unwrap());
    assert_eq!(refused.operations.last().unwrap().amount, usd(-PAID));
}
