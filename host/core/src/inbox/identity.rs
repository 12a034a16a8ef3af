//! The ids under which the updates of one notice are filed: never equal for two updates, always the same for the same
//! notice. It knows nothing of what was filed before.

use std::collections::BTreeMap;

use crate::notice::{Update, VerifiedNotice};

/// Each update with its event id; a notice without updates is one event of its own. Where a module gives one id to several
/// updates of a notice, the second is `id#2`, so that none is lost and the same notice gets the same ids again.
pub(super) fn identified<'n>(notice: &'n VerifiedNotice, derived: &str) -> Vec<(Box<str>, Option<&'n Update>)> {
    // The provider's id of the notice itself stands for that of an update without one.
    let derived = if notice.event_id().is_empty() { derived } else { notice.event_id() };
    if notice.updates().is_empty() {
        return vec![(numbered(derived, 1), None)];
    }
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let mut identified = Vec::with_capacity(notice.updates().len());
    for update in notice.updates() {
        let own = if update.event_id.is_empty() { derived } else { &*update.event_id };
        let time = times.entry(own).or_default();
        *time += 1;
        identified.push((numbered(own, *time), Some(update)));
    }
    identified
}

/// The event ids of a notice's updates, in their order.
pub fn event_ids(notice: &VerifiedNotice, derived: &str) -> Vec<Box<str>> {
    identified(notice, derived).into_iter().map(|(id, _)| id).collect()
}

/// The stored id of the nth update under one id. An own id that ends like a numbered one is numbered too: two different
/// pairs never give the same text, whatever a provider sends.
pub(super) fn numbered(id: &str, n: usize) -> Box<str> {
    let ends_like_one = |(_, end): (&str, &str)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    if n == 1 && !id.rsplit_once('#').is_some_and(ends_like_one) { id.into() } else { format!("{id}#{n}").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pairs_of_an_id_and_a_position_never_give_one_text() {
        let ids = ["x", "x#2", "x#2#1", "x#", "#2", "x#1", "", "x#a", "x/2", "x#2#2"];
        let mut all: Vec<Box<str>> = ids.iter().flat_map(|id| (1..=3).map(|n| numbered(id, n))).collect();
        all.sort();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
        assert_eq!([&*numbered("x", 1), &*numbered("x", 2), &*numbered("x#2", 1)], ["x", "x#2", "x#2#1"]);
        for own in ["x#", "x#a", "x/2"] {
            assert_eq!(&*numbered(own, 1), own, "an id that ends like no numbered one is stored as it is");
        }
    }
}
