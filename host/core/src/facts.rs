//! What was heard about a payment, kept as facts; where the payment stands and what it owes are derived from them
//! (API.md section 5). Provider facts form a set: their order and repetition never show. It plans no money moves;
//! `operation` does.

use std::collections::BTreeMap;

use crate::ids::Seq;
use crate::status::TransactionStatus;
use crate::time::UnixTime;

/// What a provider, or the attempt to reach it, established. Amounts are minor units of the transaction's currency,
/// compared before they become facts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProviderFact {
    /// The provider has the order and the customer may pay.
    Accepted,
    /// The provider was asked and no answer was heard; the truth is still to be found.
    Unanswered,
    /// The payment waits for a call of ours that moves money (a capture), named by the event that asked.
    AdvanceWanted {
        event: Box<str>,
    },
    /// Paid. `payment` is the provider's stable id of the payment, so that two events about it are one fact; empty where
    /// it names none, which speaks of whichever payment is named.
    Confirmed {
        payment: Box<str>,
        minor: i64,
    },
    /// A definite no; a second attempt under the same reference may still succeed.
    Declined {
        reason: Box<str>,
    },
    /// Closed without payment, by the customer, the provider or time.
    Cancelled {
        reason: Box<str>,
    },
    /// One refund by its own id.
    Refund {
        id: Box<str>,
        minor: i64,
    },
    /// The sum of all refunds as the provider counts them.
    RefundedTotal {
        minor: i64,
    },
    Chargeback {
        id: Box<str>,
        minor: i64,
    },
    ChargebackReversed {
        id: Box<str>,
    },
    Doubt(Doubt),
}

/// Why money must wait for a second look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doubt {
    /// Asked, unanswered, and not askable: cured by any definite provider fact.
    OutcomeUnknown,
    /// Confirmed without an amount; cured by a full confirmation of the same payment.
    AmountUnstated { payment: Box<str> },
    /// The provider states another amount, currency, brand or mode than was ordered.
    Mismatch { what: Box<str>, expected: Box<str>, stated: Box<str>, stated_minor: Option<i64> },
    /// The provider asks for a person.
    Look { word: Box<str> },
}

/// What a person decided. The latest of a kind wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonFact {
    /// A status written by hand; it holds until released.
    Held(TransactionStatus),
    /// The display follows the facts again; money waits for approval, resolution or a retry.
    Released,
    Approved,
    Rejected,
    /// The doubt is settled: exactly this much is owed; zero closes.
    Resolved {
        minor: i64,
    },
    /// A refused, waiting or unknown posting may be tried again.
    Retried,
    RefundAsked {
        id: Box<str>,
        minor: i64,
    },
    RefundRefused {
        id: Box<str>,
    },
    /// The asked refund is the provider's refund of this id.
    RefundDone {
        id: Box<str>,
        refund: Box<str>,
    },
}

/// A fact with the commit in which it was first heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard<F> {
    pub seq: Seq,
    pub at: UnixTime,
    pub fact: F,
}

/// All facts of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub provider: Vec<Heard<ProviderFact>>,
    pub persons: Vec<Heard<PersonFact>>,
}

/// A provider that states more distinct facts than this about one payment is not speaking of one payment.
pub const PROVIDER_FACTS_MAX: usize = 128;

/// Of these, declines, captures wanted and other words may take this many: a customer who tries a card a hundred times
/// must leave room for the payment that succeeds.
pub const PROVIDER_WORDS_MAX: usize = 64;

/// The outcome of adding a provider fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    News,
    AlreadyHeard,
    /// The set is at [`PROVIDER_FACTS_MAX`], or at [`PROVIDER_WORDS_MAX`] for what moves no money; the fact was not added.
    Full,
}

impl Facts {
    /// Adds a provider fact to the set.
    pub fn hear(&mut self, seq: Seq, at: UnixTime, fact: ProviderFact) -> Hearing {
        if self.provider.iter().any(|known| known.fact == fact) {
            Hearing::AlreadyHeard
        } else if self.provider.len() >= if moves_money(&fact) { PROVIDER_FACTS_MAX } else { PROVIDER_WORDS_MAX } {
            Hearing::Full
        } else {
            self.provider.push(Heard { seq, at, fact });
            Hearing::News
        }
    }

    pub fn decide(&mut self, seq: Seq, at: UnixTime, fact: PersonFact) {
        self.persons.push(Heard { seq, at, fact });
    }

    pub fn is_confirmed(&self) -> bool {
        self.provider.iter().any(|known| matches!(known.fact, ProviderFact::Confirmed { .. }))
    }
}

/// What a transaction is, as far as its status and debt are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    ProviderDeposit,
    ManualDeposit,
    ManualWithdrawal,
}

/// What its balance operations have done so far, in minor units of the account currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Posted {
    /// The sum of posted operations, with sign.
    pub minor: i64,
    /// The newest settled operation was refused by the trading server.
    pub refused: bool,
}

/// Why a transaction stands where it does: a code for everyone, the values behind it for managers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    pub code: Box<str>,
    pub detail: Box<str>,
}

impl Reason {
    pub fn new(code: &str, detail: impl Into<Box<str>>) -> Self {
        Self { code: code.into(), detail: detail.into() }
    }
}

/// Everything derived from the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub status: TransactionStatus,
    pub reason: Reason,
    /// What the trading account should have received in all, minor units, with sign.
    pub owed_minor: i64,
    /// Whether a new balance operation may be planned: not held, rejected or in doubt.
    pub may_post: bool,
}

/// Derives where a transaction of `amount_minor` stands (API.md section 5, the status table, first line that fits).
pub fn derive(nature: Nature, amount_minor: i64, facts: &Facts, posted: Posted) -> Standing {
    let persons = Persons::read(&facts.persons);
    let free = match nature {
        Nature::ProviderDeposit => provider_deposit(amount_minor, &facts.provider, &persons, posted),
        Nature::ManualDeposit => manual(amount_minor, &persons, posted),
        Nature::ManualWithdrawal => manual(amount_minor.saturating_neg(), &persons, posted),
    };
    let Some(held) = persons.held else { return free };
    let contradicts = facts.provider.iter().any(|known| known.seq > held.seq && is_definite(&known.fact))
        && !agrees(held.fact, free.status);
    if contradicts {
        let detail = format!("a person wrote {}, the provider says {}", held.fact.word(), free.status.word());
        return Standing {
            status: TransactionStatus::ManualReview,
            reason: Reason::new("HELD_BUT_HEARD", detail),
            may_post: false,
            ..free
        };
    }
    // The facts' reason would explain another status than the one that was written.
    let reason = if held.fact == free.status { free.reason } else { Reason::default() };
    Standing { status: held.fact, reason, may_post: false, ..free }
}

/// A held "credited" means settled outside, so being paid does not contradict it; neither does a held stage of payment.
fn agrees(held: TransactionStatus, heard: TransactionStatus) -> bool {
    use TransactionStatus as S;
    let paid = |status| matches!(status, S::ProviderConfirmed | S::Credited | S::CreditFailed);
    held == heard || (paid(held) && paid(heard))
}

fn moves_money(fact: &ProviderFact) -> bool {
    match fact {
        ProviderFact::Confirmed { .. }
        | ProviderFact::Refund { .. }
        | ProviderFact::RefundedTotal { .. }
        | ProviderFact::Chargeback { .. }
        | ProviderFact::ChargebackReversed { .. }
        // Doubt stops money, which is as weighty as moving it; the provider's own words alone can be many.
        | ProviderFact::Doubt(Doubt::AmountUnstated { .. } | Doubt::Mismatch { .. } | Doubt::OutcomeUnknown) => true,
        ProviderFact::Accepted
        | ProviderFact::Unanswered
        | ProviderFact::AdvanceWanted { .. }
        | ProviderFact::Declined { .. }
        | ProviderFact::Cancelled { .. }
        | ProviderFact::Doubt(Doubt::Look { .. }) => false,
    }
}

fn is_definite(fact: &ProviderFact) -> bool {
    match fact {
        ProviderFact::Unanswered | ProviderFact::Doubt(Doubt::OutcomeUnknown) => false,
        ProviderFact::Accepted
        | ProviderFact::AdvanceWanted { .. }
        | ProviderFact::Confirmed { .. }
        | ProviderFact::Declined { .. }
        | ProviderFact::Cancelled { .. }
        | ProviderFact::Refund { .. }
        | ProviderFact::RefundedTotal { .. }
        | ProviderFact::Chargeback { .. }
        | ProviderFact::ChargebackReversed { .. }
        | ProviderFact::Doubt(Doubt::AmountUnstated { .. } | Doubt::Mismatch { .. } | Doubt::Look { .. }) => true,
    }
}

fn provider_deposit(amount: i64, provider: &[Heard<ProviderFact>], persons: &Persons, posted: Posted) -> Standing {
    use TransactionStatus as S;
    let news = News::read(provider);
    let confirmed = match persons.resolved {
        Some((_, resolved)) => resolved,
        None if news.payments.is_empty() => 0,
        None => amount,
    };
    let refunded = persons.refunded(&news);
    let reversed = refunded.with_asked.saturating_add(news.charged_back());
    let owed_minor = confirmed.saturating_sub(reversed).min(confirmed).max(0);
    let stands = |status, reason, may_post| Standing { status, reason, owed_minor, may_post };
    let settles = persons.money_released && persons.rejected.is_none();

    if let Some(reason) = news.doubt(amount, persons) {
        return stands(S::ManualReview, reason, false);
    }
    if news.charged_back() > 0 {
        return stands(S::Chargeback, Reason::new("CHARGEBACK", ""), settles);
    }
    if refunded.done > 0 && refunded.done >= amount {
        return stands(S::Refunded, Reason::default(), settles);
    }
    if confirmed > 0 {
        if persons.rejected.is_some() {
            return stands(S::ManualReview, Reason::new("CONFIRMED_BUT_REJECTED", ""), false);
        }
        let note = if reversed > 0 { Reason::new("PARTLY_REFUNDED", "") } else { Reason::default() };
        // More posted than owed: the credit stands and a part of it waits to be taken back.
        return if posted.minor >= owed_minor {
            stands(S::Credited, note, settles)
        } else if posted.refused {
            stands(S::CreditFailed, Reason::new("CREDIT_REFUSED", ""), settles)
        } else {
            stands(S::ProviderConfirmed, note, settles)
        };
    }
    if persons.resolved.is_some_and(|(resolved_at, _)| news.payments.values().any(|heard| *heard > resolved_at)) {
        return stands(S::ManualReview, Reason::new("CONFIRMED_BUT_REJECTED", ""), false);
    }
    if persons.rejected.is_some() || persons.resolved.is_some() {
        return stands(S::Cancelled, Reason::new("REJECTED", ""), settles && persons.rejected.is_none());
    }
    if let Some(reason) = news.cancelled {
        return stands(S::Cancelled, Reason::new(reason, ""), settles);
    }
    if let Some(reason) = news.declined {
        return stands(S::Failed, Reason::new("PROVIDER_DECLINED", reason), settles);
    }
    if news.accepted || news.unanswered {
        return stands(S::PendingPayment, Reason::default(), settles);
    }
    stands(S::Created, Reason::default(), settles)
}

fn manual(owed_when_approved: i64, persons: &Persons, posted: Posted) -> Standing {
    use TransactionStatus as S;
    let stands =
        |status, code, owed_minor, may_post| Standing { status, reason: Reason::new(code, ""), owed_minor, may_post };
    let approved = persons.approved.is_some_and(|seq| persons.rejected.is_none_or(|rejected| seq > rejected));
    let settles = persons.money_released;
    if approved && posted.minor == owed_when_approved {
        stands(S::Credited, "", owed_when_approved, settles)
    } else if approved && posted.refused {
        stands(S::ManualReview, "CREDIT_REFUSED", owed_when_approved, settles)
    } else if approved {
        stands(S::ManualReview, "", owed_when_approved, settles)
    } else if persons.rejected.is_some() {
        stands(S::Cancelled, "REJECTED", 0, false)
    } else {
        stands(S::ManualReview, "", 0, false)
    }
}

/// The provider's facts, summed up so that order and repetition are gone.
#[derive(Default)]
struct News<'a> {
    accepted: bool,
    unanswered: bool,
    /// Payment id and the seq it was first heard at.
    payments: BTreeMap<&'a str, Seq>,
    declined: Option<&'a str>,
    cancelled: Option<&'a str>,
    refunds: BTreeMap<&'a str, i64>,
    /// The sums so far, each with the seq it was heard at.
    refund_totals: Vec<(Seq, i64)>,
    chargebacks: BTreeMap<&'a str, i64>,
    reversals: Vec<&'a str>,
    doubts: Vec<(Seq, &'a Doubt)>,
    definite: bool,
    newest_reversal: Seq,
}

impl<'a> News<'a> {
    fn read(provider: &'a [Heard<ProviderFact>]) -> Self {
        let mut news = Self::default();
        for known in provider {
            news.definite |= is_definite(&known.fact);
            match &known.fact {
                ProviderFact::Accepted | ProviderFact::AdvanceWanted { .. } => news.accepted = true,
                ProviderFact::Unanswered => news.unanswered = true,
                ProviderFact::Confirmed { payment, .. } => {
                    let first = news.payments.entry(payment).or_insert(known.seq);
                    *first = known.seq.min(*first);
                }
                ProviderFact::Declined { reason } => news.declined = news.declined.max(Some(&**reason)),
                ProviderFact::Cancelled { reason } => news.cancelled = news.cancelled.max(Some(&**reason)),
                ProviderFact::Refund { id, minor } => {
                    let known_minor = news.refunds.entry(id).or_default();
                    *known_minor = (*known_minor).max(*minor);
                    news.newest_reversal = news.newest_reversal.max(known.seq);
                }
                ProviderFact::RefundedTotal { minor } => {
                    news.refund_totals.push((known.seq, *minor));
                    news.newest_reversal = news.newest_reversal.max(known.seq);
                }
                ProviderFact::Chargeback { id, minor } => {
                    let known_minor = news.chargebacks.entry(id).or_default();
                    *known_minor = (*known_minor).max(*minor);
                    news.newest_reversal = news.newest_reversal.max(known.seq);
                }
                ProviderFact::ChargebackReversed { id } => news.reversals.push(id),
                ProviderFact::Doubt(doubt) => news.doubts.push((known.seq, doubt)),
            }
        }
        news
    }

    /// What the provider says was refunded: the larger of its single refunds and its sums so far.
    fn refunded(&self) -> i64 {
        let single = self.refunds.values().fold(0_i64, |sum, minor| sum.saturating_add(*minor));
        self.refund_totals.iter().fold(single, |most, (_, total)| most.max(*total))
    }

    /// The sum of disputes that were not reversed.
    fn charged_back(&self) -> i64 {
        let open = self.chargebacks.iter().filter(|(id, _)| !self.reversals.contains(*id));
        open.fold(0, |sum, (_, minor)| sum.saturating_add(*minor))
    }

    /// The first doubt, in a fixed order, that nothing has cured and no person has resolved since.
    fn doubt(&self, amount: i64, persons: &Persons) -> Option<Reason> {
        let resolved_at = persons.resolved.map_or(Seq(0), |(seq, _)| seq);
        let named = || self.payments.iter().filter(|(id, _)| !id.is_empty());
        let newest_payment = named().map(|(_, heard)| heard).max().filter(|_| named().count() > 1);
        if newest_payment.is_some_and(|newest| *newest > resolved_at) {
            let ids: Vec<&str> = named().map(|(id, _)| *id).collect();
            return Some(Reason::new("SECOND_PAYMENT", ids.join(" and ")));
        }
        if self.refunded().saturating_add(self.charged_back()) > amount && self.newest_reversal > resolved_at {
            return Some(Reason::new("BEYOND_CONFIRMED", "the provider states more reversed than was ordered"));
        }
        let mut open: Vec<&Doubt> = Vec::new();
        for (seq, doubt) in &self.doubts {
            let cured = match doubt {
                Doubt::OutcomeUnknown => self.definite,
                Doubt::AmountUnstated { payment } => {
                    let same = |known: &str| known == &**payment || known.is_empty() || payment.is_empty();
                    self.payments.keys().any(|known| same(known))
                }
                Doubt::Mismatch { .. } | Doubt::Look { .. } => false,
            };
            if !cured && *seq > resolved_at {
                open.push(doubt);
            }
        }
        open.into_iter().min().map(Doubt::reason)
    }
}

impl Doubt {
    fn reason(&self) -> Reason {
        match self {
            Self::OutcomeUnknown => Reason::new("OUTCOME_UNKNOWN", "the provider was asked and cannot be asked again"),
            Self::AmountUnstated { payment } => {
                let named = if payment.is_empty() { "the payment".to_owned() } else { format!("payment {payment}") };
                Reason::new("AMOUNT_UNSTATED", format!("{named} was confirmed without an amount"))
            }
            Self::Mismatch { what, expected, stated, .. } => {
                let code = format!("{}_MISMATCH", what.to_uppercase());
                Reason::new(&code, format!("expected {expected}, the provider states {stated}"))
            }
            Self::Look { word } => Reason::new("PROVIDER_REVIEW", word.clone()),
        }
    }
}

/// The persons' facts, the latest of each kind.
struct Persons<'a> {
    held: Option<Heard<TransactionStatus>>,
    approved: Option<Seq>,
    rejected: Option<Seq>,
    resolved: Option<(Seq, i64)>,
    /// False after a hold, until a person lets money move again.
    money_released: bool,
    refunds: BTreeMap<&'a str, AskedRefund<'a>>,
}

struct AskedRefund<'a> {
    seq: Seq,
    minor: i64,
    state: RefundState<'a>,
}

/// What was refunded, in minor units.
struct Refunded {
    /// By the provider's own word, in an event or in the answer to a refund that was asked.
    done: i64,
    /// And with the refunds that are asked and not refused.
    with_asked: i64,
}

enum RefundState<'a> {
    Asked,
    Refused,
    Done(&'a str),
}

impl<'a> Persons<'a> {
    fn read(persons: &'a [Heard<PersonFact>]) -> Self {
        let mut latest: Vec<&Heard<PersonFact>> = persons.iter().collect();
        latest.sort_by_key(|known| known.seq);
        let mut read = Self {
            held: None,
            approved: None,
            rejected: None,
            resolved: None,
            money_released: true,
            refunds: BTreeMap::new(),
        };
        for known in latest {
            match &known.fact {
                PersonFact::Held(status) => {
                    read.held = Some(Heard { seq: known.seq, at: known.at, fact: *status });
                    read.money_released = false;
                }
                PersonFact::Released => read.held = None,
                PersonFact::Approved => {
                    read.approved = Some(known.seq);
                    read.money_released = true;
                }
                PersonFact::Rejected => read.rejected = Some(known.seq),
                PersonFact::Resolved { minor } => {
                    read.resolved = Some((known.seq, *minor));
                    read.rejected = None;
                    read.money_released = true;
                }
                PersonFact::Retried => read.money_released = true,
                PersonFact::RefundAsked { id, minor } => {
                    read.refunds.insert(id, AskedRefund { seq: known.seq, minor: *minor, state: RefundState::Asked });
                }
                PersonFact::RefundRefused { id } => {
                    if let Some(asked) = read.refunds.get_mut(&**id) {
                        asked.state = RefundState::Refused;
                    }
                }
                PersonFact::RefundDone { id, refund } => {
                    if let Some(asked) = read.refunds.get_mut(&**id) {
                        asked.state = RefundState::Done(refund);
                    }
                }
            }
        }
        read
    }

    /// Sums up refunds without counting one twice. One that was asked and done is the provider's refund of that id; a
    /// sum so far heard after the asking includes it, one heard before does not.
    fn refunded(&self, news: &News<'_>) -> Refunded {
        let (mut done, mut asked) = (0_i64, 0_i64);
        let mut all_asked: Vec<(Seq, i64)> = Vec::new();
        for refund in self.refunds.values() {
            match refund.state {
                RefundState::Refused => continue,
                RefundState::Done(id) if news.refunds.contains_key(id) => {}
                RefundState::Done(_) => done = done.saturating_add(refund.minor),
                RefundState::Asked => asked = asked.saturating_add(refund.minor),
            }
            all_asked.push((refund.seq, refund.minor));
        }
        let single = news.refunds.values().fold(0_i64, |sum, minor| sum.saturating_add(*minor));
        let done = single.saturating_add(done);
        let mut with_asked = done.saturating_add(asked);
        for (heard, total) in &news.refund_totals {
            let later = all_asked.iter().filter(|(asked_at, _)| asked_at > heard);
            with_asked = with_asked.max(later.fold(*total, |sum, (_, minor)| sum.saturating_add(*minor)));
        }
        Refunded { done: done.max(news.refunded()), with_asked }
    }
}
