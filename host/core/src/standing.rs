//! A transaction's status and owed amount, derived from its facts (docs/life-of-a-transaction.md). It plans no balance
//! operations; `operation` does.

mod owing;
mod persons;
mod provider;
mod refundable;
mod returned;
mod reversals;
mod review;
mod taken;

use self::owing::Owing;
use self::persons::PersonSummary;
pub use self::refundable::{Refundable, refundable, refunded_before, taken_minor};
use crate::conversion::Ordered;
use crate::facts::{Facts, ProviderFact};
use crate::ids::Seq;
use crate::money::Money;
use crate::reason::{Reason, ReasonCode as R};
use crate::status::TransactionStatus;

/// The kinds of transaction that derive their standing differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    ProviderDeposit,
    ManualDeposit,
    ManualWithdrawal,
}

/// The sum of its balance operations so far, in minor units of the account currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Posted {
    /// The sum of posted operations, with sign.
    pub minor: i64,
    /// The newest settled operation was refused by the trading server.
    pub refused: bool,
    /// Since which commit, and why, the operations need a review: their key is another posting's, they were imported, or lost.
    pub review: Option<(Seq, R)>,
}

/// Everything derived from the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub status: TransactionStatus,
    pub reason: Reason,
    /// The total that the trading account should have received, minor units of its currency, with sign.
    pub owed_minor: i64,
    /// The same in the order's currency, as providers and persons state it.
    pub owed_ordered_minor: i64,
    /// Whether a balance operation may be planned and sent: no person held or rejected the transaction, and no reversal
    /// waits for one. A review does not stop money: what is owed does not depend on it.
    pub may_post: bool,
    /// More is posted than owed, and the config under which it was made wants a person to permit each reversal.
    pub reversal_waits: bool,
    /// A provider's payment is under review, and a status that a person wrote says something else. A written 3 says that the
    /// payment was settled outside.
    pub hides_review: bool,
}

/// Derives the standing of a transaction (API.md section 5, the status table, first line that fits). The facts are of the order's
/// currency and `posted` of the account's: what is owed in all is converted before the two are compared.
pub fn derive(nature: Nature, ordered: impl Into<Ordered>, facts: &Facts, posted: Posted) -> Standing {
    derive_of(nature, &ordered.into(), facts, posted)
}

fn derive_of(nature: Nature, ordered: &Ordered, facts: &Facts, posted: Posted) -> Standing {
    let persons = PersonSummary::read(facts.persons.iter());
    let derived = match nature {
        Nature::ProviderDeposit => provider_deposit(ordered, facts, &persons, posted),
        Nature::ManualDeposit => manual(ordered, ordered.amount.minor, &persons, posted),
        Nature::ManualWithdrawal => manual(ordered, ordered.amount.minor.saturating_neg(), &persons, posted),
    };
    let derived = match reviewed(nature, posted, derived.owed_minor, facts) {
        Some(code) => Standing {
            status: TransactionStatus::ManualReview,
            reason: code.into(),
            may_post: false,
            reversal_waits: false,
            ..derived
        },
        None => derived,
    };
    let Some(held) = persons.held else { return derived };
    let contradicts = facts.provider.iter().any(|known| known.seq > held.seq && known.fact.is_definite())
        && !agrees(held.fact, derived.status);
    let returned = returned::since_held(&held, ordered, facts, derived.owed_ordered_minor, posted.minor);
    if contradicts || returned > 0 {
        let detail = match returned {
            0 => format!("a person set {}, the provider reports {}", held.fact.name(), derived.status.name()),
            returned => {
                let returned = ordered.posted(returned);
                format!("a person set {}, {returned} that had gone back before is owed again", held.fact.name())
            }
        };
        return Standing {
            status: TransactionStatus::ManualReview,
            reason: Reason::new(R::HeldButHeard, detail),
            may_post: false,
            reversal_waits: false,
            ..derived
        };
    }
    let hides_review = nature == Nature::ProviderDeposit
        && derived.status == TransactionStatus::ManualReview
        && ![TransactionStatus::ManualReview, TransactionStatus::Credited].contains(&held.fact);
    // The derived reason explains the derived status only.
    let reason = if held.fact == derived.status { derived.reason } else { Reason::default() };
    Standing { status: held.fact, reason, may_post: false, reversal_waits: false, hides_review, ..derived }
}

/// Why the operations need a review, until a person decides after it. Imported postings need none once a confirmation is
/// known and no more is owed than posted: the facts explain them, and nothing that went back is credited again.
fn reviewed(nature: Nature, posted: Posted, owed_minor: i64, facts: &Facts) -> Option<R> {
    let (since, code) = posted.review?;
    let by_hand = nature != Nature::ProviderDeposit;
    let decided = facts.persons.iter().any(|known| known.seq > since && known.fact.decides_postings(by_hand));
    let explained = code == R::PostingImported && explains_imports(posted, owed_minor, facts);
    (!decided && !explained).then_some(code)
}

/// Whether the facts explain imported postings.
pub(crate) fn explains_imports(posted: Posted, owed_minor: i64, facts: &Facts) -> bool {
    owed_minor <= posted.minor && facts.any(ProviderFact::is_confirmation)
}

/// A held "credited" means settled outside, so a payment does not contradict it; nor do the other statuses of a paid order.
fn agrees(held: TransactionStatus, derived: TransactionStatus) -> bool {
    use TransactionStatus as S;
    let paid = |status| matches!(status, S::ProviderConfirmed | S::Credited | S::CreditFailed);
    held == derived || (paid(held) && paid(derived))
}

fn provider_deposit(ordered: &Ordered, facts: &Facts, persons: &PersonSummary, posted: Posted) -> Standing {
    use TransactionStatus as S;
    let amount = ordered.amount.minor;
    let owing = Owing::read(amount, facts, persons);
    let Owing { in_all, before, taken, basis, confirmed, paid, surplus, reversed, owed_ordered_minor, ref provider } =
        owing;
    let owed_minor = ordered.to_account(owed_ordered_minor);
    let (_, resolved) = persons.resolved.unzip();
    let stated = taken.refunded.saturating_add(taken.charged_back);
    // What a person requested waits for no other person.
    let owed_as_stated = confirmed.saturating_sub(stated.saturating_sub(surplus).max(0)).max(0);
    let reversal_waits = persons.reversals_wait
        && posted.minor > owed_minor.max(ordered.to_account(owed_as_stated))
        && provider.newest_reversal > persons.reversals_permitted;
    let return_waits = owed_minor > posted.minor && provider.holds.iter().any(|hold| hold.stops_return());
    let settles = persons.money_released && persons.rejected.is_none() && !reversal_waits && !return_waits;
    let standing = |status, reason, may_post| Standing {
        status,
        reason,
        owed_minor,
        owed_ordered_minor,
        may_post,
        reversal_waits,
        hides_review: false,
    };

    let money = |minor| ordered.stated(minor);
    let waiting = reversal_waits.then(|| {
        let detail = format!("posted {}, owed {}", ordered.posted(posted.minor), ordered.posted(owed_minor));
        Reason::new(R::ReversalWaits, detail)
    });
    let lifted = returned::by_lifted_dispute(ordered.amount, facts, &owing, persons.resolved);
    // A refund that was under way when a person resolved more than what is left without it, and was made since.
    let counted_as_left = resolved.is_some_and(|resolved| resolved > paid.max(amount).saturating_sub(before.all));
    let refunded_beside = stated > taken.all && counted_as_left;
    let beyond = if taken.beyond_one || stated > basis.saturating_add(surplus).max(amount) {
        Some("refunds and disputes exceed the ordered amount")
    } else {
        refunded_beside.then_some("a refund was made that a person, who resolved the transaction, counted as not made")
    };
    if let Some(reason) = provider.review(ordered.amount, in_all.refunded, beyond, persons, [lifted, waiting]) {
        return standing(S::ManualReview, reason, settles);
    }
    if taken.charged_back > 0 && reversed > 0 {
        return standing(S::Chargeback, R::Chargeback.into(), settles);
    }
    let refunded = taken.refunded.saturating_sub(surplus);
    if refunded >= if basis > 0 { basis } else { amount } {
        return standing(S::Refunded, Reason::default(), settles);
    }
    if let Some((at, resolved)) = persons.resolved
        && provider.confirmed_minor(amount) > resolved
        && provider.payment_count() > provider.payment_count_until(at)
    {
        let detail = format!(
            "a person resolved {}, the provider confirmed {}",
            money(resolved),
            money(provider.confirmed_minor(amount))
        );

        return standing(S::ManualReview, Reason::new(R::ConfirmedButRejected, detail), settles);
    }
    if confirmed > 0 {
        if persons.rejected.is_some() {
            return standing(S::ManualReview, R::ConfirmedButRejected.into(), false);
        }
        let note = refund_note(ordered.amount, facts, reversed > 0, posted.minor > owed_minor);
        // More posted than owed: it is credited, and a part waits to be taken back.
        return if posted.minor >= owed_minor {
            standing(S::Credited, note, settles)
        } else if posted.refused {
            standing(S::CreditFailed, R::CreditRefused.into(), settles)
        } else {
            standing(S::ProviderConfirmed, note, settles)
        };
    }
    if persons.rejected.is_some() || persons.resolved.is_some() {
        return standing(S::Cancelled, R::Rejected.into(), settles);
    }
    if let Some(reason) = provider.cancelled {
        return standing(S::Cancelled, reason.into(), settles);
    }
    if let Some(reason) = provider.declined {
        return standing(S::Failed, Reason::new(R::ProviderDeclined, reason), settles);
    }
    if provider.accepted || provider.unanswered {
        return standing(S::PendingPayment, Reason::default(), settles);
    }
    standing(S::Created, Reason::default(), settles)
}

/// What is said of refunds at a paid order: the one that is under way, else that a part went back, with the newest refusal.
fn refund_note(ordered: Money, facts: &Facts, is_reversed: bool, is_debit_due: bool) -> Reason {
    let refunds = facts.refunds();
    if let Some(pending) = refunds.iter().rfind(|refund| refund.phase.is_pending()) {
        return Reason::new(R::RefundPending, pending.progress(ordered.currency, is_debit_due));
    }
    let refused = refunds.last().and_then(|newest| newest.refusal(ordered.currency)).unwrap_or_default();
    match (is_reversed, refused.is_empty()) {
        (true, _) => Reason::new(R::PartlyRefunded, refused),
        (false, true) => Reason::default(),
        (false, false) => Reason::new(R::RefundRefused, refused),
    }
}

fn manual(ordered: &Ordered, approved_minor: i64, persons: &PersonSummary, posted: Posted) -> Standing {
    use TransactionStatus as S;
    let standing = |status, code: R, owed_ordered_minor, may_post| Standing {
        status,
        reason: code.into(),
        owed_minor: ordered.to_account(owed_ordered_minor),
        owed_ordered_minor,
        may_post,
        reversal_waits: false,
        hides_review: false,
    };
    let approved = persons.approved.is_some_and(|seq| persons.rejected.is_none_or(|rejected| seq > rejected));
    let settles = persons.money_released;
    if approved && posted.minor == ordered.to_account(approved_minor) {
        standing(S::Credited, R::None, approved_minor, settles)
    } else if approved && posted.refused {
        standing(S::ManualReview, R::CreditRefused, approved_minor, settles)
    } else if approved {
        standing(S::ManualReview, R::None, approved_minor, settles)
    } else if persons.rejected.is_some() {
        let by = if persons.cancelled { R::Cancelled } else { R::Rejected };
        // What is posted all the same is taken back.
        standing(S::Cancelled, by, 0, settles && posted.minor != 0)
    } else {
        standing(S::ManualReview, R::None, 0, false)
    }
}
