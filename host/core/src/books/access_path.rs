//! The ways to the rows that a filter may match: each index that contains all of them, and the positions in it. It
//! judges no row.

use std::collections::BTreeSet;

use super::Books;
use super::hash_index::{Slot, key_hash};
use super::heads::Head;
use super::rows::{BLOCK, NO_SLOT, SlotRange};
use crate::filter::{Direction, Filter, TransactionField, Values};
use crate::ids::{CustomerId, TransactionId};

/// Rows read from an index at once.
pub(super) const BATCH: usize = 256;

/// A position in a list of rows, read from the last inserted to the first unless its range says otherwise.
#[derive(Debug)]
pub(super) enum Cursor {
    All(SlotRange),
    Status { number: usize, slots: SlotRange },
    Chain { field: ChainField, next: Slot },
    Listed(Vec<Slot>),
}

impl Cursor {
    /// Whether it is read from the first inserted to the last.
    pub(super) fn is_upward(&self) -> bool {
        match self {
            Self::All(slots) | Self::Status { slots, .. } => slots.is_upward,
            Self::Chain { .. } | Self::Listed(_) => false,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ChainField {
    Customer,
    Login,
    Provider,
}

/// An index, or the whole table, that contains every matching row.
pub(super) struct AccessPath {
    pub(super) cursors: Vec<Cursor>,
    pub(super) count: u64,
    /// Conditions that every row of it fulfils.
    pub(super) covered_conditions: usize,
    pub(super) covers_scope: bool,
    /// It can only be read from its newest row.
    pub(super) is_chain: bool,
}

impl AccessPath {
    /// Every row of it matches.
    pub(super) fn covers(&self, filter: &Filter<TransactionField>) -> bool {
        self.covered_conditions == filter.conditions().len() && self.covers_scope
    }
}

impl Books {
    /// Every path to the matching rows.
    pub(super) fn paths(
        &self,
        filter: &Filter<TransactionField>,
        owner: Option<CustomerId>,
        any_brand: bool,
    ) -> Vec<AccessPath> {
        let slots = self.slots_of(filter);
        let no_scope = owner.is_none() && any_brand;
        let pinned = |cursors: Vec<(Cursor, u64)>| {
            let count = cursors.iter().fold(0, |sum, (_, count)| sum + count);
            let cursors: Vec<Cursor> = cursors.into_iter().map(|(cursor, _)| cursor).collect();
            let is_chain = cursors.iter().any(|cursor| matches!(cursor, Cursor::Chain { .. }));
            AccessPath { cursors, count, covered_conditions: 1, covers_scope: no_scope, is_chain }
        };
        // Rows whose keys have the hashes of the wanted ones: more than match, perhaps.
        let candidates = |rows: BTreeSet<Slot>| AccessPath {
            count: rows.len() as u64,
            cursors: vec![Cursor::Listed(rows.into_iter().collect())],
            covered_conditions: 0,
            covers_scope: false,
            is_chain: false,
        };
        let everything = AccessPath {
            cursors: vec![Cursor::All(slots)],
            count: (self.rows.len() as u64).min((slots.below - slots.from).into()),
            covered_conditions: 0,
            covers_scope: no_scope,
            is_chain: false,
        };
        let mut paths = vec![everything];
        if let Some(customer) = owner {
            let (cursor, count) = chain_cursor(ChainField::Customer, self.customers.get(&customer.0));
            paths.push(AccessPath {
                cursors: vec![cursor],
                count,
                covered_conditions: 0,
                covers_scope: any_brand,
                is_chain: true,
            });
        }
        if let Some(ids) = numbers(filter.pinned(TransactionField::Id)) {
            let slots: Vec<Slot> = ids.filter_map(|id| self.slot(TransactionId(id))).collect();
            let count = slots.len() as u64;
            paths.push(pinned(vec![(Cursor::Listed(slots), count)]));
        }
        if let Some(Values::Texts(references)) = filter.pinned(TransactionField::Reference) {
            let rows = references.iter().flat_map(|text| self.by_reference.candidates(key_hash(&**text)));
            paths.push(candidates(rows.collect()));
        }
        if let Some(Values::Texts(ids)) = filter.pinned(TransactionField::ProviderPaymentId)
            && ids.iter().all(|id| !id.is_empty())
        {
            let rows = ids.iter().flat_map(|id| self.by_provider_id.candidates(&**id));
            paths.push(candidates(rows.collect()));
        }
        let chains =
            |field, heads: Vec<Option<&Head>>| heads.into_iter().map(|head| chain_cursor(field, head)).collect();
        if let Some(ids) = numbers(filter.pinned(TransactionField::CustomerId)) {
            paths.push(pinned(chains(ChainField::Customer, ids.map(|id| self.customers.get(&id)).collect())));
        }
        if let Some(logins) = numbers(filter.pinned(TransactionField::Login)) {
            paths.push(pinned(chains(ChainField::Login, logins.map(|login| self.logins.get(&login)).collect())));
        }
        if let Some(Values::Texts(names)) = filter.pinned(TransactionField::Provider) {
            let heads = names.iter().map(|name| self.providers.get(&self.interner.known(name)?)).collect();
            paths.push(pinned(chains(ChainField::Provider, heads)));
        }
        if let Some(statuses) = numbers(filter.pinned(TransactionField::Status)) {
            let cursors = statuses.filter_map(|status| {
                let number = usize::try_from(status).ok()?;
                Some((Cursor::Status { number, slots }, self.statuses.get(number)?.len() as u64))
            });
            paths.push(pinned(cursors.collect()));
        }
        paths
    }

    /// Where rows of the ids that a filter leaves may be. They are read upward where the page can end the search so.
    fn slots_of(&self, filter: &Filter<TransactionField>) -> SlotRange {
        let (least, most) = filter.bounds(TransactionField::Id);
        let id = |bound: i64| u64::try_from(bound).unwrap_or(0);
        let is_upward = !filter.is_counted() && filter.by_id() == Some(Direction::Ascending) && self.rows.ids_rise();
        SlotRange { is_upward, ..self.rows.range_of(id(least), id(most)) }
    }

    /// The next row of a cursor.
    pub(super) fn position(&self, cursor: &Cursor) -> Option<Slot> {
        match cursor {
            Cursor::All(slots) if slots.from >= slots.below => None,
            Cursor::All(slots) => Some(if slots.is_upward { slots.from } else { slots.below - 1 }),
            Cursor::Status { number, slots } => {
                let mut rows = self.statuses.get(*number)?.range(slots.from..slots.below);
                if slots.is_upward { rows.next() } else { rows.next_back() }.copied()
            }
            Cursor::Chain { next, .. } => Some(*next).filter(|slot| *slot != NO_SLOT),
            Cursor::Listed(slots) => slots.iter().max().copied(),
        }
    }

    /// Reads the next rows of a cursor and returns how many were visited; 0 at its end.
    pub(super) fn take(&self, cursor: &mut Cursor, created: (i64, i64), batch: &mut Vec<Slot>) -> usize {
        match cursor {
            Cursor::All(slots) => return self.take_of_block(slots, created, batch),
            Cursor::Status { number, slots } => {
                let rows = self.statuses.get(*number).map(|set| set.range(slots.from..slots.below));
                if slots.is_upward {
                    batch.extend(rows.into_iter().flatten().take(BATCH));
                    slots.from = batch.last().map_or(slots.below, |last| last + 1);
                } else {
                    batch.extend(rows.into_iter().flat_map(Iterator::rev).take(BATCH));
                    slots.below = batch.last().copied().unwrap_or(slots.from);
                }
            }
            Cursor::Chain { field, next } => {
                while batch.len() < BATCH
                    && let Some(row) = self.rows.get(*next)
                {
                    batch.push(*next);
                    *next = match field {
                        ChainField::Customer => row.earlier.customer,
                        ChainField::Login => row.earlier.login,
                        ChainField::Provider => row.earlier.provider,
                    };
                }
            }
            Cursor::Listed(slots) => batch.extend(slots.drain(..slots.len().min(BATCH))),
        }
        batch.len()
    }

    /// Reads rows of one block, or skips a block whose rows were all created outside the bounds.
    fn take_of_block(&self, slots: &mut SlotRange, (from, to): (i64, i64), batch: &mut Vec<Slot>) -> usize {
        if slots.from >= slots.below {
            return 0;
        }
        let first = if slots.is_upward { slots.from } else { slots.below - 1 };
        let Some(bounds) = self.rows.bounds(first) else { return 0 };
        let start = first / BLOCK as Slot * BLOCK as Slot;
        let (start, end) = (start.max(slots.from), start.saturating_add(BLOCK as Slot).min(slots.below));
        let is_skipped = bounds.newest < from || bounds.oldest > to;
        if slots.is_upward {
            slots.from = if is_skipped { end } else { first.saturating_add(BATCH as Slot).min(end) };
            batch.extend((first..slots.from).filter(|_| !is_skipped));
        } else {
            slots.below = if is_skipped { start } else { end.saturating_sub(BATCH as Slot).max(start) };
            batch.extend((slots.below..end).rev().filter(|_| !is_skipped));
        }
        batch.len().max(1)
    }
}

fn chain_cursor(field: ChainField, head: Option<&Head>) -> (Cursor, u64) {
    let head = head.copied().unwrap_or(Head::EMPTY);
    (Cursor::Chain { field, next: head.newest }, head.count.into())
}

/// Pinned ids; a negative one matches nothing.
fn numbers(values: Option<&Values>) -> Option<impl Iterator<Item = u64>> {
    match values {
        Some(Values::Ints(numbers)) => Some(numbers.iter().filter_map(|number| u64::try_from(*number).ok())),
        Some(Values::Texts(_) | Values::Decimals(_)) | None => None,
    }
}
