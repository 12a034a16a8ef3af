//! Life cycles of transactions, step by step: each fact, decision or posting outcome, and the status, owed amount and
//! balance operations after it. This file plays the steps; the cases are in the files below.

mod answers;
mod payments;
mod person_facts;
mod provider_facts;
mod resolved;
mod reviews;

use std::fmt::Write as _;

use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::facts::{PersonFact, ProviderFact, Recording, ReviewHold};
use cashier_core::ids::{ManagerId, Seq};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::refs::ProviderRef;
use cashier_core::status::{OperationStatus, TransactionStatus, TransactionType};
use cashier_core::transaction::{FirstAnswer, NextAction, Transaction};
use expect_test::{Expect, expect};

use crate::samples::*;

#[derive(Debug, Clone)]
enum Step {
    Provider(ProviderFact),
    Person(PersonFact),
    Post,
    Refuse(&'static str),
    NoAnswer,
}
use Step::*;

fn confirmed() -> Step {
    Provider(ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 })
}

fn refund(id: &str, minor: i64) -> Step {
    Provider(ProviderFact::Refund { id: id.into(), payment: "".into(), minor })
}

fn declined() -> Step {
    Provider(ProviderFact::Declined { reason: "no funds".into() })
}

fn expired() -> Step {
    Provider(ProviderFact::Cancelled { reason: ReasonCode::Expired })
}

fn chargeback() -> Step {
    Provider(ProviderFact::Chargeback { id: "dp_1".into(), payment: "".into(), minor: 10_000 })
}

fn held(status: TransactionStatus) -> Step {
    Person(PersonFact::Held(status))
}

/// Plays the steps and compares one line for each.
fn play(transaction: Transaction, steps: Vec<Step>, expected: Expect) -> Aggregate {
    let (aggregate, lines) = lines_of(transaction, steps);
    expected.assert_eq(&lines);
    aggregate
}

/// Where the steps end.
fn played(transaction: Transaction, steps: Vec<Step>) -> Aggregate {
    lines_of(transaction, steps).0
}

fn lines_of(transaction: Transaction, steps: Vec<Step>) -> (Aggregate, String) {
    let mut aggregate = aggregate(transaction);
    let mut lines = String::new();
    for (seq, step) in (1..).zip(steps) {
        let now = at(seq);
        let unsettled = aggregate.operations.iter().find(|known| known.is_unsettled()).map(|known| known.id);
        let end = |outcome| unsettled.map_or(Vec::new(), |id| aggregate.end_posting(id, &outcome, ManagerId(0), now));
        let (what, changes) = match step {
            Provider(fact) => (describe(&fact), aggregate.record(&receiver(), &[fact], &[], now).0),
            Person(fact) => (format!("person: {fact:?}"), aggregate.decide(fact, now)),
            Post => ("posted".into(), end(PostingOutcome::posted(7))),
            Refuse(reason) => ("posting refused".into(), end(PostingOutcome::Refused { reason: reason.into() })),
            NoAnswer => ("no answer to the posting".into(), end(PostingOutcome::Unknown)),
        };
        aggregate = applied(&aggregate, &changes);
        let standing = aggregate.standing();
        assert_eq!(aggregate.transaction.status, standing.status, "the stored status is the derived one");
        let posted = cashier_core::operation::posted(&aggregate.transaction, &aggregate.operations).minor;
        let (status, reason) = (standing.status.name(), &aggregate.transaction.reason);
        let detail = [reason.code.name(), &*reason.detail]
            .iter()
            .filter(|part| !part.is_empty())
            .fold(String::new(), |all, part| format!("{all} {part}"));
        write!(lines, "{what} -> {status}{detail} | owed {} posted {}", standing.owed_minor / 100, posted / 100)
            .unwrap();
        for operation in aggregate.operations.iter().filter(|known| known.is_unsettled()) {
            let (cmd, state) = (operation.cmd.name(), operation.status.name());
            write!(lines, " | {} {} {state}", cmd, operation.amount.minor / 100).unwrap();
        }
        lines.push('\n');
    }
    (aggregate, lines)
}

fn describe(fact: &ProviderFact) -> String {
    match fact {
        ProviderFact::Accepted => "accepted".into(),
        ProviderFact::Unanswered => "unanswered".into(),
        ProviderFact::AdvanceWanted { .. } => "advance wanted".into(),
        ProviderFact::Confirmed { payment, .. } => format!("confirmed {payment}"),
        ProviderFact::Declined { .. } => "declined".into(),
        ProviderFact::Cancelled { reason } => format!("cancelled {reason}"),
        ProviderFact::Refund { id, minor, .. } => format!("refund {id} of {}", minor / 100),
        ProviderFact::RefundedTotal { minor, .. } => format!("refunded {} in all", minor / 100),
        ProviderFact::RefundFailed { id, .. } => format!("refund {id} failed"),
        ProviderFact::RefundOfRequest { id, requested } => format!("refund {id} is request {requested}"),
        ProviderFact::Chargeback { .. } => "chargeback".into(),
        ProviderFact::ChargebackReversed { .. } => "chargeback reversed".into(),
        ProviderFact::ReviewHold(_) => "review hold".into(),
        ProviderFact::LastQuery => "last query".into(),
    }
}
