//! Lives of transactions as told in the contract, step by step: what was heard or decided, and what it made of status,
//! debt and balance operations. Here is how a life is told; the lives themselves are in the files below.

mod heard;
mod persons;

use std::fmt::Write as _;

use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::facts::{PersonFact, ProviderFact, Recording, ReviewHold};
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
    Hear(ProviderFact::Cancelled { reason: cashier_core::reason::ReasonCode::Expired })
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
            Hear(fact) => (heard_word(&fact), aggregate.record(&receiver(), &[fact], &[], now).0),
            Person(fact) => (format!("person: {fact:?}"), aggregate.decide(fact, now)),
            Post => ("posted".into(), end(PostingOutcome::Posted { trade_order: 7 })),
            Refuse(reason) => ("posting refused".into(), end(PostingOutcome::Refused { reason: reason.into() })),
            Lose => ("no answer to the posting".into(), end(PostingOutcome::Unknown)),
        };
        aggregate = applied(&aggregate, &changes);
        let standing = aggregate.standing();
        assert_eq!(aggregate.transaction.status, standing.status, "the stored status is the derived one");
        let posted = cashier_core::operation::posted(&aggregate.operations).minor;
        let (status, reason) = (standing.status.name(), &aggregate.transaction.reason);
        let detail = [reason.code.name(), &*reason.detail]
            .iter()
            .filter(|part| !part.is_empty())
            .fold(String::new(), |all, part| format!("{all} {part}"));
        write!(told, "{word} -> {status}{detail} | owed {} posted {}", standing.owed_minor / 100, posted / 100)
            .unwrap();
        for operation in aggregate.operations.iter().filter(|known| known.is_unsettled()) {
            let (cmd, state) = (operation.cmd.name(), operation.status.name());
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
        ProviderFact::ReviewHold(_) => "doubt".into(),
    }
}
