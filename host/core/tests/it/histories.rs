//! Random histories of one transaction: for any facts, decisions and posting outcomes in any order, money moves only
//! towards the owed amount, one operation at a time, and the books agree after every step.

use cashier_core::aggregate::Aggregate;
use cashier_core::books::Books;
use cashier_core::change::Change;
use cashier_core::duty::{self, WaitsFor, WorkItem, WorkKind};
use cashier_core::explanation::replay;
use cashier_core::facts::{PersonFact, ProviderFact};
use cashier_core::ids::{ManagerId, OperationId, TransactionId};
use cashier_core::operation::{BalanceOperation, PostingOutcome, posted};
use cashier_core::status::{OperationStatus, Source, TransactionStatus, TransactionType};
use cashier_core::time::UnixTime;
use cashier_core::transaction::Transaction;
use proptest::prelude::*;

use crate::samples::*;
use crate::standing::any_fact;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Record(Vec<ProviderFact>),
    Decide(PersonFact),
    End(PostingOutcome),
}

fn any_person_fact() -> impl Strategy<Value = PersonFact> {
    let id = || prop::sample::select(vec!["1", "2"]);
    prop_oneof![
        prop::sample::select(TransactionStatus::ALL).prop_map(PersonFact::Held),
        Just(PersonFact::Released),
        Just(PersonFact::Approved),
        Just(PersonFact::Rejected),
        (0_i64..=10_000).prop_map(|minor| PersonFact::Resolved { minor }),
        Just(PersonFact::Retried),
        (id(), 0_i64..=10_000).prop_map(|(id, minor)| PersonFact::RefundRequested {
            id: id.into(),
            payment: "".into(),
            minor
        }),
        id().prop_map(|id| PersonFact::RefundRefused { id: id.into() }),
        (id(), id()).prop_map(|(id, refund)| PersonFact::RefundDone { id: id.into(), refund: refund.into() }),
        id().prop_map(|id| PersonFact::RefundReason { id: id.into(), key: "".into(), reason: "r".into() }),
        (id(), 0_i64..=10_000).prop_map(|(id, before)| PersonFact::RefundSent { id: id.into(), terms: 1, before }),
        id().prop_map(|id| PersonFact::RefundCrashed { id: id.into() }),
        (id(), id()).prop_map(|(id, refund)| PersonFact::RefundAccepted { id: id.into(), refund: refund.into() }),
        id().prop_map(|id| PersonFact::RefundInTotal { id: id.into() }),
        id().prop_map(|id| PersonFact::RefundRefusal { id: id.into(), by: "provider".into(), reason: "no".into() }),
        Just(PersonFact::ReversalsWait),
        Just(PersonFact::Entered { by: ManagerId(3) }),
        Just(PersonFact::CancelledByCustomer),
        id().prop_map(|words| PersonFact::Explained { words: words.into() }),
        Just(PersonFact::CommentWritten { by: ManagerId(3) }),
        Just(PersonFact::MetadataWritten { by: ManagerId(3) }),
        Just(PersonFact::EnteredBeside { deposit: TransactionId(16) }),
    ]
}

pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        4 => Just(PostingOutcome::posted(9)),
        1 => Just(PostingOutcome::Refused { reason: "no".into() }),
        1 => Just(PostingOutcome::Refused { reason: "WITHHELD".into() }),
        1 => Just(PostingOutcome::Unknown),
    ];
    prop_oneof![
        3 => prop::collection::vec(any_fact(), 1..3).prop_map(Step::Record),
        2 => any_person_fact().prop_map(Step::Decide),
        4 => outcome.prop_map(Step::End),
    ]
}

pub(crate) fn any_transaction() -> impl Strategy<Value = Transaction> {
    prop_oneof![
        3 => Just(deposit(15)),
        1 => Just(manual(15, TransactionType::Deposit)),
        1 => Just(manual(15, TransactionType::Withdrawal)),
    ]
}

pub(crate) fn unsettled(operations: &[BalanceOperation]) -> Vec<OperationId> {
    operations.iter().filter(|known| known.is_unsettled()).map(|known| known.id).collect()
}

/// Whether a person permitted another attempt after the newest refused posting.
fn retry_requested(transaction: &Transaction) -> bool {
    transaction.facts.persons.iter().any(|known| {
        known.seq > transaction.refused_seq
            && matches!(
                known.fact,
                PersonFact::Retried
                    | PersonFact::Approved
                    | PersonFact::Resolved { .. }
                    | PersonFact::RefundRequested { .. }
            )
    })
}

/// Whether a person set a status or rejected, and no person has permitted a posting since.
fn stopped(transaction: &Transaction) -> bool {
    let mut stopped = false;
    for known in &transaction.facts.persons {
        match known.fact {
            PersonFact::Held(_) | PersonFact::Rejected | PersonFact::CancelledByCustomer => stopped = true,
            PersonFact::Approved | PersonFact::Resolved { .. } | PersonFact::Retried => stopped = false,
            PersonFact::Released
            | PersonFact::RefundRequested { .. }
            | PersonFact::RefundRefused { .. }
            | PersonFact::RefundDone { .. }
            | PersonFact::RefundReason { .. }
            | PersonFact::RefundSent { .. }
            | PersonFact::RefundCrashed { .. }
            | PersonFact::RefundAccepted { .. }
            | PersonFact::RefundInTotal { .. }
            | PersonFact::RefundRefusal { .. }
            | PersonFact::ReversalsWait
            | PersonFact::Entered { .. }
            | PersonFact::EnteredBeside { .. }
            | PersonFact::Explained { .. }
            | PersonFact::CommentWritten { .. }
            | PersonFact::MetadataWritten { .. } => {}
        }
    }
    stopped
}

/// The status that a person wrote last, unless it was released.
fn held(transaction: &Transaction) -> Option<TransactionStatus> {
    transaction.facts.persons.iter().fold(None, |held, known| match known.fact {
        PersonFact::Held(status) => Some(status),
        PersonFact::Released => None,
        _ => held,
    })
}

/// What has work or waits for a person is on the work list, and nothing else.
fn check_work_list(known: &Aggregate, books: &Books, now: UnixTime) -> Result<(), TestCaseError> {
    let listed = !books.work_after(TransactionId(0), 2).is_empty();
    for now in [now, now.plus(3_600), UnixTime(i64::MAX)] {
        let items = duty::of_transaction(known, now);
        prop_assert_eq!(!items.is_empty(), listed, "{:?} of {:?}", items, known);
        let reviews = |item: &&WorkItem| [WorkKind::Review, WorkKind::ManualApproval].contains(&item.kind);
        prop_assert_eq!(items.iter().any(|item| !reviews(&item)), !books.unsettled().is_empty(), "{:?}", items);
        let mut kinds: Vec<WorkKind> = items.iter().map(|item| item.kind).collect();
        kinds.dedup();
        prop_assert_eq!(kinds.len(), items.len());
        let under_review = known.transaction.status == TransactionStatus::ManualReview;
        let by_person = items.iter().any(|item| item.kind.waits_for() == WaitsFor::Person);
        let is_posted = items.iter().any(|item| item.kind.waits_for() == WaitsFor::TradingServer);
        prop_assert!(!under_review || by_person || is_posted, "nobody looks at {:?}", known);
        let (sum, owed) = (posted(&known.transaction, &known.operations).minor, known.standing().owed_minor);
        // A written 3 states that what is owed was settled outside.
        let settled_outside = sum < owed && held(&known.transaction) == Some(TransactionStatus::Credited);
        prop_assert!(
            sum == owed || settled_outside || !items.is_empty(),
            "posted {}, owed {}, and not listed: {:?}",
            sum,
            owed,
            known
        );
    }
    Ok(())
}

/// Whether a person wrote a status and released it, and no person has permitted a posting since.
fn stopped_by_a_released_status(transaction: &Transaction) -> bool {
    let (mut stopped, mut held) = (false, false);
    for known in &transaction.facts.persons {
        match known.fact {
            PersonFact::Held(_) => (stopped, held) = (true, true),
            PersonFact::Released => held = false,
            PersonFact::Approved | PersonFact::Resolved { .. } | PersonFact::Retried => stopped = false,
            _ => {}
        }
    }
    stopped && !held
}

fn check(before: &Aggregate, after: &Aggregate, planned_id: OperationId) -> Result<(), TestCaseError> {
    let standing = after.standing();
    prop_assert!(unsettled(&after.operations).len() <= 1, "two operations at once");
    prop_assert_eq!(after.transaction.status, standing.status);
    if let Some(last) = replay(after).last() {
        let replayed = (last.after.status, &last.after.reason, last.after.owed.minor);
        prop_assert_eq!(
            replayed,
            (after.transaction.status, &after.transaction.reason, standing.owed_minor),
            "the replay differs"
        );
    }
    for old in before.operations.iter().filter(|old| !old.is_unsettled()) {
        prop_assert!(after.operations.contains(old), "a settled operation changed");
    }
    prop_assert!(after.operations.is_sorted_by_key(|known| known.id));
    let sum = posted(&after.transaction, &after.operations).minor;
    let (least, most) = match after.transaction.kind {
        TransactionType::Deposit => (0, 10_000),
        TransactionType::Withdrawal => (-10_000, 0),
    };
    prop_assert!((least..=most).contains(&sum), "posted {} of 100.00", sum);
    for new in after.operations.iter().filter(|new| before.operations.iter().all(|old| old.id != new.id)) {
        prop_assert_eq!((new.id, new.status), (planned_id, OperationStatus::Planned));
        prop_assert!(standing.may_post, "planned while {:?}", standing);
        prop_assert_eq!(sum + new.amount.minor, standing.owed_minor, "away from owed");
        prop_assert_ne!(new.amount.minor, 0);
        prop_assert!(!stopped(&after.transaction), "money moved after a person stopped it");
        // A withheld operation counts as if it had never been planned.
        let mut earlier = after.operations.iter().rev().skip(1);
        let previous = earlier.find(|known| &*known.failure_reason != "WITHHELD");
        let refused = previous.is_some_and(|known| known.status == OperationStatus::Refused);
        prop_assert!(
            !refused || retry_requested(&after.transaction),
            "a refused posting was repeated without a request"
        );
        let facts = &after.transaction.facts;
        let confirmed = facts.provider.iter().any(|known| matches!(known.fact, ProviderFact::Confirmed { .. }));
        let paid = confirmed || after.transaction.source == Source::Manual;
        let resolved = facts.persons.iter().any(|known| matches!(known.fact, PersonFact::Resolved { .. }));
        prop_assert!(paid || resolved, "posted without a payment");
    }
    Ok(())
}

/// The books list a transaction exactly when something is due now or becomes due with time; due work remains due until
/// the state changes.
fn check_duty(now: &Aggregate, listed: bool) -> Result<(), TestCaseError> {
    let Aggregate { transaction, operations } = now;
    let moments = [
        NOW,
        transaction.updated_time,
        transaction.updated_time.plus(duty::QUIET_SECONDS),
        transaction.expires_time,
        transaction.expires_time.plus(1),
        UnixTime(i64::MAX),
    ];
    let mut moments: Vec<UnixTime> = moments.into_iter().filter(|moment| *moment >= transaction.updated_time).collect();
    moments.sort();
    let due: Vec<bool> = moments.iter().map(|moment| duty::due(transaction, operations, *moment).is_some()).collect();
    prop_assert!(due.is_sorted(), "time alone ended a duty: {:?} at {:?}", due, moments);
    prop_assert_eq!(due.contains(&true), listed, "{:?} at {:?}", due, moments);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn money_moves_towards_owed_one_operation_at_a_time(
        first in any_transaction(),
        steps in prop::collection::vec(any_step(), 1..25),
    ) {
        let mut now = aggregate(first.clone());
        let opened = commit(1, vec![Change::Transaction(Box::new(first))]);
        let mut books = Books::new();
        books.apply(&opened);
        let mut commits = vec![opened];
        for (seq, step) in (2..).zip(steps) {
            let context = at(seq);
            let changes = match step {
                Step::Record(facts) if now.transaction.source == Source::Provider => {
                    now.record(&receiver(), &facts, &[], context).0
                }
                Step::Record(_) => Vec::new(),
                // No flow rejects what a provider pays, nor an approved manual transaction until its posting was refused.
                Step::Decide(PersonFact::Rejected | PersonFact::CancelledByCustomer)
                    if now.transaction.source == Source::Provider || !now.operations.is_empty() =>
                {
                    Vec::new()
                }
                Step::Decide(fact) => now.decide(fact, context),
                Step::End(outcome) => match unsettled(&now.operations).first() {
                    Some(id) => now.end_posting(*id, &outcome, ManagerId(3), context),
                    None => Vec::new(),
                },
            };
            let next = applied(&now, &changes);
            check(&now, &next, context.next_operation)?;
            if !changes.is_empty() {
                prop_assert_eq!(next.transaction.version, now.transaction.version + 1);
                let made = commit(context.seq.0, changes);
                books.apply(&made);
                commits.push(made);
            }
            now = next;
            check_duty(&now, !books.unsettled().is_empty())?;
            check_work_list(&now, &books, context.now)?;
            let known = books.aggregate(TransactionId(15));
            prop_assert_eq!(known.as_ref(), Some(&now), "the books differ");
        }

        let mut again = Books::new();
        for made in commits.iter().flat_map(|made| [made, made]) {
            again.apply(made);
        }
        let id = TransactionId(15);
        prop_assert_eq!(again.aggregate(id), books.aggregate(id));
        prop_assert_eq!(again.touched(id), books.touched(id));
        prop_assert_eq!(again.unsettled(), books.unsettled());
        prop_assert_eq!(again.counters(), books.counters());
        prop_assert_eq!(again.config_activity(now.transaction.config_id), books.config_activity(now.transaction.config_id));
        let mut restarted = Books::new();
        restarted.load(Change::Transaction(Box::new(now.transaction.clone())));
        for known in &now.operations {
            restarted.load(Change::Operation(Box::new(known.clone())));
        }
        prop_assert_eq!(restarted.unsettled(), books.unsettled(), "other due work after a restart");
        let must_settle = !unsettled(&now.operations).is_empty();
        prop_assert!(!must_settle || books.unsettled() == [id], "an unsettled operation is not listed as due");
        let standing = now.standing();
        let owes = standing.may_post && standing.owed_minor != posted(&now.transaction, &now.operations).minor;
        prop_assert!(!owes || books.unsettled() == [id], "an owed amount is not listed as due");
        let waits = stopped_by_a_released_status(&now.transaction) && standing.owed_minor != posted(&now.transaction, &now.operations).minor;
        prop_assert!(!waits || books.unsettled() == [id], "money that a released status stopped is not listed as due");
        prop_assert!(!standing.reversal_waits || books.unsettled() == [id], "a reversal that waits is not listed as due");
    }
}
