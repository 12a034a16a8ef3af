//! What happened to a payment: one list of entries in the order of time, what is due next, and a sentence for the customer and
//! one for the manager. It is made of rows that others have read; it reads nothing and decides nothing.

mod customer;
mod entries;
mod fact_text;
mod parts;
mod replay;
mod summary;
mod titles;

use crate::aggregate::Aggregate;
use crate::approval::Approval;
use crate::duty::{self, Duty, ProviderDuty};
use crate::ids::TransactionId;
use crate::time::UnixTime;

pub use self::customer::customer_sentence;
pub use self::parts::{DetailValue, EntryKind, ExplainedEntry, PaymentHistory, StoredAct, UnverifiedEvent};
pub use self::replay::{StandingChange, replay};
pub use self::summary::manager_sentence;
pub use self::titles::{of_person as title_of_decision, of_provider as title_of_fact};

/// When the janitor tries again, as far as it has tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextTry {
    pub not_before: UnixTime,
    pub tries: u32,
}

/// What is due next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    pub what: &'static str,
    /// Not before this time; unset for what waits for a person.
    pub not_before: UnixTime,
    /// How often it was tried in a row.
    pub tries: u32,
}

/// The whole explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub aggregate: Aggregate,
    pub entries: Vec<ExplainedEntry>,
    pub more_events: bool,
    /// Webhooks that were not verified and name the payment.
    pub unverified_count: u64,
    pub next: Vec<NextStep>,
    pub for_customer: String,
    pub for_manager: String,
    /// The command that a manager uses next; empty where there is nothing to do.
    pub command: &'static str,
}

/// Explains a payment as it stands at `now`. `tried`: the janitor's next try, where it has tried something. `approvals`: those
/// that are about it and open.
pub fn explain(
    aggregate: Aggregate,
    history: &PaymentHistory,
    approvals: &[Approval],
    tried: Option<NextTry>,
    now: UnixTime,
) -> Explanation {
    let entries = entries::all(&aggregate, history, approvals);
    let next = next_steps(&aggregate, tried, now);
    let (for_manager, command) = manager_sentence(&aggregate, now);
    Explanation {
        for_customer: customer_sentence(&aggregate),
        for_manager,
        command,
        entries,
        more_events: history.more_events,
        unverified_count: history.unverified_count,
        next,
        aggregate,
    }
}

/// What is due now or later by itself, and what waits for a person.
fn next_steps(aggregate: &Aggregate, tried: Option<NextTry>, now: UnixTime) -> Vec<NextStep> {
    let Aggregate { transaction, operations } = aggregate;
    let (due, later) =
        (duty::due(transaction, operations, now), duty::due(transaction, operations, UnixTime(i64::MAX)));
    let mut steps = Vec::new();
    if let Some(due) = due {
        let not_before = match due {
            Duty::AwaitRetry => UnixTime::UNSET,
            Duty::Settle | Duty::Provider(_) => tried.map_or(now, |tried| tried.not_before.max(now)),
        };
        steps.push(NextStep { what: name_of(due), not_before, tries: tried.map_or(0, |tried| tried.tries) });
    } else if let Some(later) = later {
        let quiet = transaction.updated_time.plus(duty::QUIET_SECONDS);
        let expires = transaction.expires_time > UnixTime::UNSET && transaction.expires_time <= quiet;
        let at = if expires { transaction.expires_time } else { quiet };
        let what = if expires { name_of(later) } else { name_of(Duty::Provider(ProviderDuty::Query)) };
        steps.push(NextStep { what, not_before: at, tries: 0 });
    }
    let at_expiry = duty::due(transaction, operations, transaction.expires_time);
    let expires = transaction.expires_time > now && at_expiry == Some(Duty::Provider(ProviderDuty::Expire));
    if expires && !steps.iter().any(|step| step.what == name_of(Duty::Provider(ProviderDuty::Expire))) {
        let what = name_of(Duty::Provider(ProviderDuty::Expire));
        steps.push(NextStep { what, not_before: transaction.expires_time, tries: 0 });
    }
    steps
}

/// What the janitor does, or waits for, in words.
const fn name_of(due: Duty) -> &'static str {
    match due {
        Duty::Settle => "post to the trading server",
        Duty::Provider(ProviderDuty::RepeatCreate) => "repeat the create call, or query the provider",
        Duty::Provider(ProviderDuty::Advance) => "send the call that the payment waits for",
        Duty::Provider(ProviderDuty::Query) => "query the provider",
        Duty::Provider(ProviderDuty::Refund) => "send the refund, or find out how it ended",
        Duty::Provider(ProviderDuty::Expire) => "query the provider for the last time and close the order",
        Duty::AwaitRetry => "wait for a person who permits the posting",
    }
}

/// What a question names a payment by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentName {
    Id(TransactionId),
    /// Our reference, as providers return it.
    Reference(Box<str>),
    /// The provider's id of the payment.
    PaymentId(Box<str>),
    /// Any id that the provider gave to it.
    AnyId(Box<str>),
}
