//! The refunds that managers requested, each with how far it is: read from the facts, whatever their order. It judges
//! nothing; `refund` does.

use super::{Facts, PersonFact, ProviderFact};
use crate::ids::Seq;
use crate::money::{Currency, Money};
use crate::time::UnixTime;

/// Bytes of a refusal's words that are stored.
pub(super) const REFUND_WORDS_LENGTH_MAX: usize = 256;

/// A refund that a manager requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerRefund<'a> {
    /// Our id of it: for the provider, its idempotency key too.
    pub id: &'a str,
    /// Its number within the transaction, from 1.
    pub number: usize,
    /// The commit that recorded the request.
    pub seq: Seq,
    /// When its phase began, of those that are pending.
    pub since: UnixTime,
    /// The provider's payment; empty where the order has one without an id.
    pub payment: &'a str,
    pub minor: i64,
    /// The key of the request; may be empty.
    pub key: &'a str,
    /// Why; the person's words.
    pub reason: &'a str,
    pub phase: RefundPhase<'a>,
}

/// How far a requested refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundPhase<'a> {
    /// The provider was not called.
    Requested,
    /// The call may have left, and its end is not known.
    Sent(RefundSending),
    /// The provider accepted it and will report the result.
    Accepted,
    Done,
    /// The provider reports that it did not reach the customer.
    Failed,
    /// Its end was not known, or not reported, when a person resolved the transaction: nothing is due any more.
    Resolved,
    Refused {
        by: RefusedBy,
        reason: &'a str,
    },
}

/// What a call that may have left was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundSending {
    pub at: UnixTime,
    /// The version of the config's terms.
    pub terms: i64,
    /// Minor units that were refunded before.
    pub before: i64,
    /// The call ended the process.
    pub crashed: bool,
}

/// Who refused a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedBy {
    /// The debit was refused: the provider was not called.
    TradingServer,
    Provider,
    /// It did not reach the provider, or the provider refused the credentials.
    NotSent,
    /// The transaction changed before the provider was called.
    Cashier,
    /// The provider states, long after the call, that it was not made.
    Absent,
}

impl RefusedBy {
    const ALL: [Self; 5] = [Self::TradingServer, Self::Provider, Self::NotSent, Self::Cashier, Self::Absent];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TradingServer => "trading",
            Self::Provider => "provider",
            Self::NotSent => "not_sent",
            Self::Cashier => "cashier",
            Self::Absent => "absent",
        }
    }

    /// One of a name that is not known was refused by the provider.
    pub(crate) fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|by| by.name() == name).unwrap_or(Self::Provider)
    }

    /// The facts of a refusal, in the words of who refused.
    pub fn facts(self, id: &str, words: &str) -> [PersonFact; 2] {
        let end = (0..=REFUND_WORDS_LENGTH_MAX.min(words.len())).rev().find(|end| words.is_char_boundary(*end));
        let reason = words.get(..end.unwrap_or(0)).unwrap_or_default().into();
        [
            PersonFact::RefundRefusal { id: id.into(), by: self.name().into(), reason },
            PersonFact::RefundRefused { id: id.into() },
        ]
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::TradingServer => "was refused by the trading server",
            Self::Provider => "was refused by the provider",
            Self::NotSent => "did not reach the provider",
            Self::Cashier => "was not sent",
            Self::Absent => "was not made by the provider",
        }
    }
}

impl RefundPhase<'_> {
    /// Its outcome is not known: no other refund may begin.
    pub const fn is_open(&self) -> bool {
        match self {
            Self::Requested | Self::Sent(_) => true,
            Self::Accepted | Self::Done | Self::Failed | Self::Resolved | Self::Refused { .. } => false,
        }
    }

    /// Something is still to be done, or to be reported by the provider.
    pub const fn is_pending(&self) -> bool {
        self.is_open() || matches!(self, Self::Accepted)
    }
}

impl Facts {
    /// Every refund that was requested, in the order of the requests.
    pub fn refunds(&self) -> Vec<ManagerRefund<'_>> {
        let mut refunds: Vec<ManagerRefund<'_>> = Vec::new();
        for known in &self.persons {
            let PersonFact::RefundRequested { id, payment, minor } = &known.fact else { continue };
            let (number, phase) = (refunds.len() + 1, RefundPhase::Requested);
            let (key, reason) = ("", "");
            let (seq, since, minor) = (known.seq, known.at, *minor);
            refunds.push(ManagerRefund { id, number, seq, since, payment, minor, key, reason, phase });
        }
        if refunds.is_empty() {
            return refunds;
        }
        let resolutions = self.persons.iter().filter(|known| matches!(known.fact, PersonFact::Resolved { .. }));
        let resolved = resolutions.map(|known| known.seq).max().unwrap_or_default();
        for refund in &mut refunds {
            self.read_refund(refund);
            if refund.phase.is_pending() && refund.seq < resolved {
                refund.phase = RefundPhase::Resolved;
            }
        }
        refunds
    }

    /// The refund whose outcome is not known; there is at most one.
    pub fn open_refund(&self) -> Option<ManagerRefund<'_>> {
        self.refunds().into_iter().rfind(|refund| refund.phase.is_open())
    }

    /// What a refused debit means: the refund that it was for is refused as well, before the provider was called.
    pub(crate) fn debit_refused(&self, words: &str) -> Vec<PersonFact> {
        match self.open_refund() {
            Some(open) if open.phase == RefundPhase::Requested => RefusedBy::TradingServer.facts(open.id, words).into(),
            Some(_) | None => Vec::new(),
        }
    }

    fn read_refund<'a>(&'a self, refund: &mut ManagerRefund<'a>) {
        let (mut linked, mut refusal) = ("", None);
        for known in &self.persons {
            match &known.fact {
                PersonFact::RefundReason { id, key, reason } if **id == *refund.id => {
                    (refund.key, refund.reason) = (key, reason);
                }
                PersonFact::RefundSent { id, terms, before } if **id == *refund.id => {
                    let sending = RefundSending { at: known.at, terms: *terms, before: *before, crashed: false };
                    (refund.since, refund.phase) = (known.at, RefundPhase::Sent(sending));
                }
                PersonFact::RefundCrashed { id } if **id == *refund.id => {
                    if let RefundPhase::Sent(sending) = &mut refund.phase {
                        sending.crashed = true;
                    }
                }
                PersonFact::RefundAccepted { id, refund: own } if **id == *refund.id => {
                    (linked, refund.since, refund.phase) = (own, known.at, RefundPhase::Accepted);
                }
                PersonFact::RefundDone { id, refund: own } if **id == *refund.id => {
                    (linked, refund.phase) = (own, RefundPhase::Done);
                }
                PersonFact::RefundInTotal { id } if **id == *refund.id => refund.phase = RefundPhase::Done,
                PersonFact::RefundRefused { id } if **id == *refund.id => {
                    refund.phase = RefundPhase::Refused { by: RefusedBy::Provider, reason: "" };
                }
                PersonFact::RefundRefusal { id, by, reason } if **id == *refund.id => {
                    refusal = Some((RefusedBy::from_name(by), &**reason));
                }
                _ => {}
            }
        }
        if let (RefundPhase::Refused { by, reason }, Some(stated)) = (&mut refund.phase, refusal) {
            (*by, *reason) = stated;
            return;
        }
        if linked.is_empty() {
            let own = self.provider.iter().filter_map(|known| match &known.fact {
                ProviderFact::RefundOfRequest { id, requested } if **requested == *refund.id => Some(&**id),
                _ => None,
            });
            // As the sums of `standing` do.
            linked = own.max().unwrap_or_default();
        }
        if linked.is_empty() || matches!(refund.phase, RefundPhase::Refused { .. }) {
            return;
        }
        let failed = |fact: &ProviderFact| matches!(fact, ProviderFact::RefundFailed { id, .. } if **id == *linked);
        let stated = |fact: &ProviderFact| matches!(fact, ProviderFact::Refund { id, .. } if **id == *linked);
        if self.any(failed) {
            refund.phase = RefundPhase::Failed;
        } else if self.any(stated) {
            refund.phase = RefundPhase::Done;
        } else if refund.phase.is_open() {
            refund.phase = RefundPhase::Accepted;
        }
    }
}

impl ManagerRefund<'_> {
    /// How far it is, for a manager. `is_debit_due`: its debit is not posted.
    pub fn progress(&self, currency: Currency, is_debit_due: bool) -> String {
        let state = match self.phase {
            RefundPhase::Requested if is_debit_due => "waits for the debit of the account",
            RefundPhase::Requested => "is to be sent to the provider",
            RefundPhase::Sent(_) => "was sent to the provider, and its outcome is not known",
            RefundPhase::Accepted => "was accepted by the provider, which has not reported its end",
            RefundPhase::Done | RefundPhase::Failed | RefundPhase::Resolved | RefundPhase::Refused { .. } => {
                "has ended"
            }
        };
        format!("refund {} of {} {state}", self.number, Money::new(self.minor, currency))
    }

    /// Who refused it and why; `None` where it was not refused.
    pub fn refusal(&self, currency: Currency) -> Option<String> {
        let RefundPhase::Refused { by, reason } = self.phase else { return None };
        let gap = if reason.is_empty() { "" } else { ": " };
        let amount = Money::new(self.minor, currency);
        Some(format!("refund {} of {amount} {}{gap}{reason}", self.number, by.words()))
    }
}
