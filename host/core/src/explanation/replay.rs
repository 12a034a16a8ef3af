//! How a transaction came to stand as it stands: its facts and operations once more in their order, and what each changed.

use super::fact_text::{Details, FactText};
use super::titles;
use crate::aggregate::{Aggregate, shown_reason};
use crate::facts::{Facts, PersonFact, ProviderFact, Recorded};
use crate::ids::Seq;
use crate::money::Money;
use crate::operation::{self, BalanceOperation};
use crate::reason::Reason;
use crate::standing::{self, Standing};
use crate::status::TransactionStatus;
use crate::time::UnixTime;

/// What one fact, or one operation, changed.
#[derive(Debug, Clone)]
pub struct StandingChange {
    pub at: UnixTime,
    pub cause: Cause,
    pub before: Point,
    pub after: Point,
}

/// What it was changed by.
#[derive(Debug, Clone)]
pub enum Cause {
    Provider {
        name: &'static str,
        title: String,
        details: Details,
    },
    /// A decision with the commit that recorded it.
    Person {
        seq: Seq,
        name: &'static str,
        title: String,
        details: Details,
    },
    Operation(Box<BalanceOperation>),
}

/// How a transaction stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub status: TransactionStatus,
    pub reason: Reason,
    pub owed: Money,
}

enum OrderedFact<'a> {
    Provider(&'a Recorded<ProviderFact>),
    Person(&'a Recorded<PersonFact>),
}

impl OrderedFact<'_> {
    fn place(&self) -> (Seq, UnixTime) {
        match self {
            Self::Provider(known) => (known.seq, known.at),
            Self::Person(known) => (known.seq, known.at),
        }
    }
}

/// Every fact in the order of its commit and every operation behind the facts that made it due. The last point is the
/// transaction's own.
pub fn replay(aggregate: &Aggregate) -> Vec<StandingChange> {
    let Aggregate { transaction, operations } = aggregate;
    // Facts are of the order's currency, what is owed and posted is of the account's.
    let currency = transaction.amount.currency;
    // What a title names besides its own fact, such as the amount of the refund that a step is about.
    let all = &transaction.facts;
    let mut ordered: Vec<OrderedFact<'_>> = transaction.facts.provider.iter().map(OrderedFact::Provider).collect();
    ordered.extend(transaction.facts.persons.iter().map(OrderedFact::Person));
    ordered.sort_by_key(|known| known.place().0);

    let (mut facts, mut made, mut changes) = (Facts::default(), Vec::<BalanceOperation>::new(), Vec::new());
    let mut left = operations.iter().peekable();
    let derive = |facts: &Facts, made: &[BalanceOperation]| {
        let posted = operation::posted(transaction, made);
        (standing::derive(transaction.nature(), transaction.ordered(), facts, posted), posted)
    };
    let point = |facts: &Facts, made: &[BalanceOperation]| {
        let Standing { status, reason, owed_minor, .. } = derive(facts, made).0;
        let reason = shown_reason(transaction.first_answer, made, facts.written_reason(), reason);
        Point { status, reason, owed: Money::new(owed_minor, transaction.account_currency) }
    };
    let mut before = point(&facts, &made);
    // A fact that only says more about the next one.
    let mut extra: Option<&PersonFact> = None;
    for place in 0..=ordered.len() {
        let next = ordered.get(place);
        // Operations that were planned before the next fact, and those of its second that brought posted to owed.
        while let Some(operation) = left.next_if(|operation| {
            next.is_none_or(|next| {
                let (standing, posted) = derive(&facts, &made);
                let until = next.place().1;
                let is_due = standing.owed_minor.saturating_sub(posted.minor) == operation.amount.minor;
                operation.created_time < until || (operation.created_time == until && is_due)
            })
        }) {
            made.push(operation.clone());
            let after = point(&facts, &made);
            let at = if operation.is_unsettled() { operation.created_time } else { operation.updated_time };
            let cause = Cause::Operation(Box::new(operation.clone()));
            changes.push(StandingChange { at, cause, before: before.clone(), after: after.clone() });
            before = after;
        }
        let Some(next) = next else { break };
        let (at, cause) = match next {
            OrderedFact::Provider(known) => {
                facts.provider.push((*known).clone());
                let title = titles::of_provider(&known.fact, all, currency);
                let (name, details) = (known.fact.name(), known.fact.details(currency));
                (known.at, Cause::Provider { name, title, details })
            }
            OrderedFact::Person(known) => {
                facts.persons.push((*known).clone());
                let (seq, fact, name) = (known.seq, &known.fact, known.fact.name());
                let follows = match place.checked_add(1).and_then(|next| ordered.get(next)) {
                    Some(OrderedFact::Person(next)) if next.seq == seq => {
                        titles::of_pair(fact, &next.fact, all, currency)
                    }
                    Some(_) | None => None,
                };
                if follows.is_some() {
                    extra = Some(fact);
                    continue;
                }
                let pair = extra.take().and_then(|extra| {
                    titles::of_pair(extra, fact, all, currency).map(|title| (title, extra.details(currency)))
                });
                let (title, more) = pair.unwrap_or_else(|| (titles::of_person(fact, all, currency), Details::new()));
                let mut details = fact.details(currency);
                let more = more.into_iter().filter(|(name, _)| !details.iter().any(|(known, _)| known == name));
                details.extend(more.collect::<Details>());
                (known.at, Cause::Person { seq, name, title, details })
            }
        };
        let after = point(&facts, &made);
        changes.push(StandingChange { at, cause, before: before.clone(), after: after.clone() });
        before = after;
    }
    changes
}
