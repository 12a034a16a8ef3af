//! What the provider's total proves about a refund that was sent and got no answer: that it was made, that it was not made, or
//! nothing. What it leaves open waits for a person, with the account's debit as it is.

use cashier_core::aggregate::Aggregate;
use cashier_core::books::Books;
use cashier_core::change::{Counters, Stamp};
use cashier_core::draft::Draft;
use cashier_core::duty::{self, QueryOutcome, WorkKind};
use cashier_core::facts::{PersonFact, ProviderFact, RefundPhase, RefusedBy};
use cashier_core::ids::{ManagerId, TransactionId};
use cashier_core::inbox;
use cashier_core::notice::{Reach, RefundStatement, StatedAmount, Update};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::refund::{self, REFUND_ABSENT_SECONDS};
use cashier_core::session::Actor;
use cashier_core::status::ProviderStatus;
use cashier_core::time::UnixTime;

use crate::samples::{NOW, aggregate, applied, at, deposit, receiver, reference, update, usd};

const ID: TransactionId = TransactionId(1);

/// What is counted as refunded beside the refund without an answer.
#[derive(Debug, Clone, Copy)]
enum Beside {
    Nothing,
    /// A manager's refund of so much that the provider made.
    Done(i64),
    /// One that it accepted.
    Accepted(i64),
    /// One in the provider's dashboard.
    Dashboard(i64),
}

/// What became of the refund without an answer.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Absent,
    Made,
    /// Open, under review and listed.
    Held,
}

/// Posts what is planned.
fn settled(known: Aggregate, seq: u64) -> Aggregate {
    match known.operations.iter().find(|known| known.is_unsettled()).map(|planned| planned.id) {
        Some(id) => {
            let posted = PostingOutcome::posted(seq);
            applied(&known, &known.end_posting(id, &posted, ManagerId(0), at(seq)))
        }
        None => known,
    }
}

fn requested(id: &str, minor: i64) -> PersonFact {
    PersonFact::RefundRequested { id: id.into(), payment: "pi_1".into(), minor }
}

/// A deposit of 100.00 that is credited, with this beside a refund of `open_minor` that was sent.
fn sent_beside(beside: Beside, open_minor: i64) -> Aggregate {
    let state = |known: Aggregate, seq: u64, fact: ProviderFact| {
        settled(applied(&known, &known.record(&receiver(), &[fact], &[], at(seq)).0), seq + 1)
    };
    let decide = |known: Aggregate, seq: u64, facts: Vec<PersonFact>| {
        settled(applied(&known, &known.decide_all(facts, at(seq))), seq + 1)
    };
    let paid = ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
    let credited = state(aggregate(deposit(ID.0)), 1, paid);
    let (id, refund): (Box<str>, Box<str>) = ("first".into(), "re_1".into());
    let known = match beside {
        Beside::Nothing => credited,
        Beside::Done(minor) => {
            decide(credited, 3, vec![requested("first", minor), PersonFact::RefundDone { id, refund }])
        }
        Beside::Accepted(minor) => {
            decide(credited, 3, vec![requested("first", minor), PersonFact::RefundAccepted { id, refund }])
        }
        Beside::Dashboard(minor) => {
            state(credited, 3, ProviderFact::Refund { id: refund, payment: "pi_1".into(), minor })
        }
    };
    let sent = PersonFact::RefundSent { id: "open".into(), terms: 1, before: 0 };
    decide(known, 5, vec![requested("open", open_minor), sent])
}

/// The provider's answer to the query of a refund is applied and judged as `flows/refund` does, long after the call.
fn queried(known: &Aggregate, total: i64) -> Aggregate {
    let mut books = Books::new();
    books.load_transaction(&known.transaction, &known.operations);
    books.set_counters(Counters { seq: 10, operation: 10, ..Counters::default() });
    let statement = RefundStatement {
        id: Box::default(),
        amount: StatedAmount::Exact(usd(total)),
        reach: Reach::TotalSoFar,
        requested: Box::default(),
    };
    let answer = Update {
        reference: Some(reference(ID.0)),
        refs: Vec::new(),
        payment_id: "pi_1".into(),
        refund: Some(statement),
        ..update(ProviderStatus::Confirmed)
    };
    let now = UnixTime(NOW.0 + 3_600 + REFUND_ABSENT_SECONDS);
    let stamp = Stamp { actor: Actor::System, request_id: "r".into(), now };
    let judge_answer = |draft: &mut Draft<'_>| {
        inbox::apply_answer(draft, &receiver(), ID, &answer);
        refund::queried(draft, ID, &answer, 0);
    };
    let hold = |draft: &mut Draft<'_>| refund::hold_overdue(draft, ID, QueryOutcome::Answered, 0);
    for step in [&judge_answer as &dyn Fn(&mut Draft<'_>), &hold] {
        let mut draft = Draft::new(&books, now);
        step(&mut draft);
        if let (_, Some(commit)) = draft.into_commit(&stamp) {
            books.apply(&commit);
        }
    }
    books.aggregate(ID).unwrap()
}

/// How the refund without an answer stands.
fn end_of(known: &Aggregate) -> End {
    let refunds = known.transaction.facts.refunds();
    let open = refunds.iter().find(|refund| refund.id == "open").unwrap();
    match open.phase {
        RefundPhase::Refused { by: RefusedBy::Absent, .. } => End::Absent,
        RefundPhase::Done => End::Made,
        RefundPhase::Sent(_) => {
            let now = UnixTime(NOW.0 + 10_000);
            let is_listed = duty::of_transaction(known, now).iter().any(|item| item.kind == WorkKind::Review);
            assert_eq!((known.transaction.status.number(), is_listed), (9, true), "open, and nobody is asked");
            assert_eq!(known.transaction.reason.code, ReasonCode::ProviderReview);
            End::Held
        }
        phase => panic!("{phase:?}"),
    }
}

#[test]
fn a_refund_without_an_answer_is_absent_only_where_the_total_is_smaller_than_it() {
    use Beside::{Accepted, Dashboard, Done, Nothing};
    // Beside it, its amount, the total; its end, and what is owed then.
    for (beside, open_minor, total, end, owed) in [
        // Any counted refund may have failed, its webhook still to come: the total may be of the open one.
        (Done(5_000), 5_000, 5_000, End::Held, 0),
        (Accepted(5_000), 5_000, 5_000, End::Held, 0),
        (Dashboard(5_000), 5_000, 5_000, End::Held, 0),
        (Done(6_000), 4_000, 6_000, End::Held, 0),
        (Done(6_000), 4_000, 4_000, End::Held, 0),
        // It is larger than everything that went back.
        (Done(3_000), 5_000, 3_000, End::Absent, 7_000),
        (Accepted(3_000), 5_000, 3_000, End::Absent, 7_000),
        (Dashboard(3_000), 5_000, 3_000, End::Absent, 7_000),
        (Done(5_000), 4_000, 3_999, End::Absent, 5_000),
        // Nothing went back: that contradicts the other, which is counted until its own end is known.
        (Nothing, 5_000, 0, End::Absent, 10_000),
        (Done(5_000), 5_000, 0, End::Absent, 5_000),
        (Accepted(5_000), 5_000, 0, End::Absent, 5_000),
        // More than the others together, and less than all: something is not known.
        (Nothing, 5_000, 2_000, End::Held, 5_000),
        (Done(3_000), 5_000, 4_000, End::Held, 2_000),
        (Nothing, 5_000, 5_000, End::Made, 5_000),
        (Done(5_000), 5_000, 10_000, End::Made, 0),
    ] {
        let known = queried(&sent_beside(beside, open_minor), total);
        let case = format!("{open_minor} beside {beside:?}, total {total}");
        assert_eq!((end_of(&known), known.standing().owed_minor), (end, owed), "{case}");
    }
}
