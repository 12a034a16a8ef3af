//! What had gone back and is there again although a person counted it as gone, by a written status or by the end of a review. It
//! decides about no money: `standing` does.

use super::owing::Owing;
use super::taken_minor;
use crate::conversion::Ordered;
use crate::facts::{Facts, Recorded};
use crate::ids::Seq;
use crate::money::Money;
use crate::reason::{Reason, ReasonCode};
use crate::status::TransactionStatus;

/// What had gone back when a person wrote that it is credited, is owed again since, and is not posted. A written 3 says that what
/// was paid is settled outside; a refund that is refused or fails, and a dispute that is lifted, come to what was settled before. In
/// minor units of the account's currency.
pub(super) fn since_held(
    held: &Recorded<TransactionStatus>,
    ordered: &Ordered,
    facts: &Facts,
    owed_ordered_minor: i64,
    posted_minor: i64,
) -> i64 {
    let owed_minor = ordered.to_account(owed_ordered_minor);
    let open_minor = owed_minor.saturating_sub(posted_minor);
    if held.fact != TransactionStatus::Credited || open_minor <= 0 {
        return 0;
    }
    let then = facts.until(held.seq);
    let returned = taken_minor(ordered.amount, &then).saturating_sub(taken_minor(ordered.amount, facts));
    // What is owed with it, less what was owed without it.
    let without = ordered.to_account(owed_ordered_minor.saturating_sub(returned.max(0)));
    owed_minor.saturating_sub(without).clamp(0, open_minor)
}

/// A dispute was lifted that a person had counted when resolving the order, which leaves less owed than what is left of what was
/// paid.
pub(super) fn by_lifted_dispute(
    ordered: Money,
    facts: &Facts,
    owing: &Owing<'_>,
    resolved: Option<(Seq, i64)>,
) -> Option<Reason> {
    let (resolved_at, resolved) = resolved?;
    let left = facts.stated_minor(ordered.minor).saturating_sub(owing.in_all.all);
    if owing.owed_ordered_minor >= left || !owing.provider.attribution.is_lifted_since(resolved_at) {
        return None;
    }
    let money = |minor| Money::new(minor, ordered.currency);
    let detail = format!("a person resolved {}, and {} is left of what was paid", money(resolved), money(left));
    Some(Reason::new(ReasonCode::DisputeLifted, detail))
}
