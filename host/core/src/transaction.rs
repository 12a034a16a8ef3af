//! The transaction row: the request, the snapshots of its creation, its facts, and the status derived from them.

use crate::account::AccountFacts;
use crate::conversion::{Conversion, Ordered};
use crate::facts::{Facts, PersonFact};
use crate::ids::{ConfigId, CustomerId, Login, ManagerId, Reference, Seq, ServerName, TransactionId};
use crate::money::{Currency, Money};
use crate::numbered::numbered;
use crate::reason::Reason;
use crate::refs::{ProviderRef, Refs};
use crate::standing::Nature;
use crate::status::{Source, TransactionStatus, TransactionType};
use crate::time::UnixTime;

numbered! {
    /// The key space of an idempotency key: one per customer over REST, one per customer over the manager listeners
    /// (API.md section 3).
    KeySpace {
        Customer = 0,
        Manager = 1,
    }
    /// How the provider's create call ended; what it means for an answer is [`Transaction::answer`].
    FirstAnswer {
        /// The create call has not ended.
        Open = 0,
        /// The stored next action.
        Accepted = 1,
        /// The provider declined.
        Declined = 2,
        /// Never sent.
        NeverSent = 3,
        /// Sent and not answered.
        Unknown = 4,
        /// The call into the module ended the process: the provider is queried, and the order is never sent again.
        Crashed = 5,
    }
    /// What the customer does next (API.md section 3).
    NextAction {
        None = 0 "NONE",
        Redirect = 1 "REDIRECT",
        Instructions = 2 "INSTRUCTIONS",
        Wait = 3 "WAIT",
    }
}

/// What a deposit's customer is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerAnswer {
    /// The transaction, with what the customer does next.
    Next(NextAction),
    /// 502: the provider declined, and nothing was paid.
    Declined,
    /// 503: the order was never sent, and nothing was paid.
    NeverSent,
}

/// The values of a new transaction that no request can set.
#[derive(Debug, Clone)]
pub struct Fresh {
    pub id: TransactionId,
    pub reference: Reference,
    pub now: UnixTime,
}

/// A transaction row. The first block is published (API.md section 2); the second holds snapshots of its creation;
/// the third what the provider stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    pub id: TransactionId,
    pub customer_id: CustomerId,
    pub login: Login,
    pub kind: TransactionType,
    pub source: Source,
    pub provider: Box<str>,
    pub method: Box<str>,
    /// The method of the request, possibly empty; compared to find whether two requests are the same order.
    pub requested_method: Box<str>,
    /// The id of the descriptor's primary kind; empty until the provider states one.
    pub provider_payment_id: Box<str>,
    pub amount: Money,
    pub account_currency: Currency,
    /// The rate that amounts of the order reach the account at; none where both have one currency, as nearly always.
    pub conversion: Option<Box<Conversion>>,
    pub status: TransactionStatus,
    /// The coded reason, shown to everyone; its `detail` is for managers.
    pub reason: Reason,
    pub idempotency_key: Box<str>,
    /// Comment or metadata are stored under its id; see [`Texts`](crate::texts::Texts).
    pub has_texts: bool,
    /// Bytes of what its request stored beside the row: comment, metadata and return URLs.
    pub stored_bytes: u32,
    pub approved_by: ManagerId,
    pub approved_time: UnixTime,
    pub processed_by: ManagerId,
    pub processed_time: UnixTime,
    pub reject_reason: Box<str>,
    pub created_time: UnixTime,
    pub updated_time: UnixTime,

    /// `ConfigId(0)` for manual ones.
    pub config_id: ConfigId,
    pub brand: Box<str>,
    pub country: Box<str>,
    pub sandbox: bool,
    /// The trading server that has the account, and everything posted for it.
    pub server: ServerName,
    pub reference: Reference,
    pub key_space: KeySpace,
    /// When an unpaid order expires; unset means never, below it means that the expiry is postponed.
    pub expires_time: UnixTime,

    pub refs: Refs,
    pub facts: Facts,
    pub first_answer: FirstAnswer,
    pub next_action: NextAction,
    /// The commit in which the newest refused operation was refused, or reconcile changed the operations.
    pub refused_seq: Seq,
    /// The newest commit that required a query of the provider which was not answered since; 0 without one. It takes no
    /// part in the standing.
    pub query_wanted: Seq,
    /// Counts changes of this row.
    pub version: u32,
}

impl Transaction {
    /// A deposit without facts, with the snapshots of its account; the caller adds the fields of request and config.
    pub fn blank(fresh: Fresh, login: Login, amount: Money, account: &AccountFacts) -> Self {
        Self {
            id: fresh.id,
            customer_id: account.customer.customer_id,
            login,
            kind: TransactionType::Deposit,
            source: Source::Provider,
            provider: Box::default(),
            method: Box::default(),
            requested_method: Box::default(),
            provider_payment_id: Box::default(),
            amount,
            account_currency: account.group.currency,
            conversion: None,
            status: TransactionStatus::Created,
            reason: Reason::default(),
            idempotency_key: Box::default(),
            has_texts: false,
            stored_bytes: 0,
            approved_by: ManagerId(0),
            approved_time: UnixTime::UNSET,
            processed_by: ManagerId(0),
            processed_time: UnixTime::UNSET,
            reject_reason: Box::default(),
            created_time: fresh.now,
            updated_time: fresh.now,
            config_id: ConfigId(0),
            brand: account.customer.brand.clone(),
            country: account.customer.country.clone(),
            sandbox: false,
            server: account.server.clone(),
            reference: fresh.reference,
            key_space: KeySpace::Customer,
            expires_time: UnixTime::UNSET,
            refs: Refs::default(),
            facts: Facts::default(),
            first_answer: FirstAnswer::Open,
            next_action: NextAction::None,
            refused_seq: Seq(0),
            query_wanted: Seq(0),
            version: 1,
        }
    }

    pub fn nature(&self) -> Nature {
        match (self.source, self.kind) {
            (Source::Provider, TransactionType::Deposit) => Nature::ProviderDeposit,
            (Source::Manual, TransactionType::Deposit) => Nature::ManualDeposit,
            (Source::Provider | Source::Manual, TransactionType::Withdrawal) => Nature::ManualWithdrawal,
        }
    }

    /// What an update is found by that names no reference: its ids, and those of the payments that are its own or under review for it.
    pub fn ids(&self) -> Vec<ProviderRef> {
        let is_own = |payment: &&str| self.facts.has_payment(payment) || self.facts.holds_payment(payment);
        let payments = self.facts.payments().filter(is_own).filter_map(ProviderRef::of_payment);
        self.refs.iter().cloned().chain(payments).collect()
    }

    /// Whether this is an id of its payment, or of one that any statement about it names; one that a person entered and rejected
    /// has none.
    pub fn carries_payment(&self, id: &str) -> bool {
        let named = *self.provider_payment_id == *id || self.refs.iter().any(|known| *known.value == *id);
        let stated = || self.facts.payments().any(|payment| payment == id);
        !id.is_empty() && (named || stated()) && !self.is_rejected_manual()
    }

    /// Its number as it is shown at another transaction; empty where that is of another brand.
    pub(crate) fn number_at(&self, other: &Self) -> Box<str> {
        if self.brand == other.brand { self.id.to_string().into() } else { Box::default() }
    }

    /// The manager who entered this manual transaction.
    pub fn entered_by(&self) -> Option<ManagerId> {
        self.facts.persons.iter().find_map(|known| match &known.fact {
            PersonFact::Entered { by } => Some(*by),
            _ => None,
        })
    }

    /// Whether this manager wrote its comment or its metadata as it is now, after this commit.
    pub fn text_is_of(&self, manager: ManagerId, after: Seq) -> bool {
        let (mut comment, mut metadata) = (None, None);
        for known in &self.facts.persons {
            match &known.fact {
                PersonFact::CommentWritten { by } => comment = comment.max(Some((known.seq, *by))),
                PersonFact::MetadataWritten { by } => metadata = metadata.max(Some((known.seq, *by))),
                _ => {}
            }
        }
        [comment, metadata].into_iter().flatten().any(|(seq, by)| by == manager && seq > after)
    }

    /// Entered or requested by hand, and rejected or taken back after any approval.
    pub fn is_rejected_manual(&self) -> bool {
        let newest = self.facts.persons.iter().filter_map(|known| match &known.fact {
            PersonFact::Approved => Some((known.seq, false)),
            PersonFact::Rejected | PersonFact::CancelledByCustomer => Some((known.seq, true)),
            _ => None,
        });
        let rejected = newest.max_by_key(|(seq, _)| *seq).is_some_and(|(_, rejected)| rejected);
        self.source == Source::Manual && rejected
    }

    /// The provider has not stated that the payment was made or ended.
    pub fn is_unpaid(&self) -> bool {
        self.status.is_unpaid()
    }

    /// Leaves the expiry open until the clock is plausible, because the creation time is not: stored as the negative length.
    pub fn postpone_expiry(&mut self) {
        if self.expires_time > self.created_time {
            self.expires_time = UnixTime(self.created_time.0.saturating_sub(self.expires_time.0));
        }
    }

    pub fn expiry_is_postponed(&self) -> bool {
        self.expires_time < UnixTime::UNSET
    }

    /// The idempotency key for the provider: our reference, which no customer chooses.
    pub fn provider_key(&self) -> Box<str> {
        self.reference.as_str().into()
    }

    /// The order, and what amounts of it become in the account.
    pub fn ordered(&self) -> Ordered {
        Ordered::new(self.amount, self.account_currency, self.conversion.as_deref())
    }

    /// The amount in the account's currency.
    pub fn converted(&self) -> Money {
        let ordered = self.ordered();
        ordered.posted(ordered.to_account(self.amount.minor))
    }

    /// The idempotency key is bound to this transaction: it has one, and a never-sent answer did not release it. A payment
    /// that the provider reports all the same binds it again: a second one must not be made under the key.
    pub fn binds_key(&self) -> bool {
        !self.idempotency_key.is_empty() && (self.first_answer != FirstAnswer::NeverSent || !self.ended_unpaid())
    }

    /// It ended without a payment.
    fn ended_unpaid(&self) -> bool {
        matches!(self.status, TransactionStatus::Failed | TransactionStatus::Cancelled)
    }

    /// What the customer is answered, to the first request and to its repeats: how the create call ended, unless the
    /// provider has reported more since. A refusal is given about an order that ended unpaid, a page or instructions
    /// about one that is still to be paid, and nothing else.
    pub fn answer(&self) -> CustomerAnswer {
        match self.first_answer {
            FirstAnswer::Declined if self.ended_unpaid() => CustomerAnswer::Declined,
            FirstAnswer::NeverSent if self.ended_unpaid() => CustomerAnswer::NeverSent,
            FirstAnswer::Accepted if self.is_unpaid() => CustomerAnswer::Next(self.next_action),
            FirstAnswer::Open
            | FirstAnswer::Accepted
            | FirstAnswer::Declined
            | FirstAnswer::NeverSent
            | FirstAnswer::Unknown
            | FirstAnswer::Crashed => {
                let next = if self.status.is_final() { NextAction::None } else { NextAction::Wait };
                CustomerAnswer::Next(next)
            }
        }
    }
}
