//! Builds the books from the blocks of an image. Blocks are decoded on any thread and added in their order; what is not an
//! image of this format ends it. Rows that changed since are applied afterwards.

use std::collections::BTreeSet;

use crate::aggregate::Aggregate;
use crate::change::{Change, Counters};
use crate::digest::{PostedDigest, PostedTotals, ServerTotal, TotalsElsewhere};
use crate::ids::{ConfigId, EventId, Seq, ServerName, TransactionId};
use crate::money::Currency;
use crate::operation::OperationKey;
use crate::status::TransactionStatus;
use crate::time::UnixTime;
use crate::transaction::Transaction;

use super::Books;
use super::hash_index::{Slot, SlotIndex};
use super::heads::{Head, Heads};
use super::image::{UNRECORDED, UNSETTLED, kind};
use super::indexing::reference_hash;
use super::interner::Labels;
use super::postings::Postings;
use super::postings::has_unrecorded;
use super::rows::{Chain, NO_ID, NO_SLOT, Row};

/// A block with its rows in memory of their own.
pub enum ImageBlock {
    Rows(ImageRows),
    Other(Box<[u8]>),
}

/// Opaque: rows with their configs and flags.
pub struct ImageRows(Vec<(Row, ConfigId, u8)>);

/// The books while an image is loaded.
#[derive(Default)]
pub struct ImageLoader {
    books: Books,
    /// Of the row that is the newest of its customer, login and provider so far: its number in the chain; of others 0.
    chains: [Vec<u32>; 3],
    statuses: Vec<Vec<Slot>>,
    unsettled: Vec<TransactionId>,
    unrecorded: Vec<TransactionId>,
    /// What the last block states: how many rows there are, and what they posted.
    end: Option<(Slot, PostedTotals)>,
}

/// The books of an image, to which the rows that changed since are applied.
pub struct LoadedImage {
    pub books: Books,
    /// Over the operations that were posted at the embedded server; the books know the others.
    pub posted: PostedDigest,
    /// Transactions with an operation without a recorded outcome.
    pub unrecorded: BTreeSet<TransactionId>,
}

impl ImageBlock {
    /// How many rows are in it.
    pub fn rows(&self) -> usize {
        match self {
            Self::Rows(ImageRows(rows)) => rows.len(),
            Self::Other(_) => 0,
        }
    }

    /// `None` where it is no block of an image.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        if *first != kind::ROWS {
            return Some(Self::Other(bytes.into()));
        }
        let mut r = Fields(rest);
        let mut rows = Vec::with_capacity(256);
        while !r.0.is_empty() {
            rows.push(read_row(&mut r)?);
        }
        Some(Self::Rows(ImageRows(rows)))
    }
}

fn read_row(r: &mut Fields<'_>) -> Option<(Row, ConfigId, u8)> {
    let (id, customer_id, login) = (r.u64()?, r.u64()?, r.u64()?);
    let (created_time, config) = (r.u64()?.cast_signed(), ConfigId(r.u64()?));
    let earlier = Chain { customer: r.u32()?, login: r.u32()?, provider: r.u32()? };
    let (labels, short_amount, key_hash, length) = (r.u32()?, r.u32()?, r.u32()?, r.u32()?);
    let currency = u16::from_le_bytes(r.array()?);
    let [kind, source, status, key_space, reason, flags] = r.array()?;
    let packed = r.bytes(length as usize)?.into();
    let row = Row {
        id,
        customer_id,
        login,
        created_time,
        touched: 0,
        earlier,
        labels,
        short_amount,
        key_hash,
        currency,
        kind,
        source,
        status,
        key_space,
        reason,
        packed,
    };
    Some((row, config, flags))
}

impl ImageLoader {
    /// For an image of books whose keys were seeded with this.
    pub fn seeded(secret: &str) -> Self {
        let mut loader = Self::default();
        loader.books.seed_keys(secret);
        loader
    }

    /// Adds the next block; `None` where the image cannot be of the books.
    pub fn add(&mut self, block: ImageBlock) -> Option<()> {
        let bytes = match block {
            ImageBlock::Rows(ImageRows(rows)) => {
                return rows.into_iter().try_for_each(|(row, config, flags)| self.add_row(row, config, flags));
            }
            ImageBlock::Other(bytes) => bytes,
        };
        let (first, rest) = bytes.split_first()?;
        let mut r = Fields(rest);
        let rows = self.books.rows.next_slot();
        match *first {
            kind::REFERENCES => {
                let Books { by_reference, rows: known, .. } = &mut self.books;
                load_slots(by_reference, &mut r, rows, |slot| known.get(slot).map_or(0, reference_hash))?;
            }
            kind::KEYS => {
                let Books { by_key, rows: known, .. } = &mut self.books;
                let seed = by_key.seed;
                load_slots(&mut by_key.slots, &mut r, rows, |slot| known.get(slot).map_or(0, |row| seed.hash_of(row)))?;
            }
            kind::PROVIDER_IDS => {
                self.books.by_provider_id.reserve_segments(r.segments()?);
                while !r.0.is_empty() {
                    let hash = u32::try_from(r.u64()?).ok()?;
                    self.books.by_provider_id.insert_hashed(hash, r.u32().filter(|slot| *slot < rows)?);
                }
            }
            kind::SEEN => {
                self.books.events.seen.reserve_segments(r.segments()?);
                while !r.0.is_empty() {
                    self.books.events.seen.remember_hashed([r.u64()?, r.u64()?], EventId(r.u64()?));
                }
            }
            kind::TEXTS => {
                while !r.0.is_empty() {
                    let length = r.u32()? as usize;
                    let known = self.books.interner.texts() as u32;
                    let number = self.books.interner.number(std::str::from_utf8(r.bytes(length)?).ok()?);
                    (number == known).then_some(())?;
                }
            }
            kind::LABELS => {
                while !r.0.is_empty() {
                    let (provider, method, brand, config) = (r.u32()?, r.u32()?, r.u32()?, r.u64()?);
                    let labels = Labels { provider, method, brand, config };
                    self.books.interner.push_labels(labels);
                }
            }
            kind::CURRENCIES => {
                while !r.0.is_empty() {
                    let currency = Currency::from_code(std::str::from_utf8(r.bytes(3)?).ok()?)?;
                    self.books.interner.currency_number(currency);
                }
            }
            kind::END => {
                let rows = r.u32()?;
                self.end = Some((rows, r.totals()?));
            }
            _ => return None,
        }
        Some(())
    }

    fn add_row(&mut self, row: Row, config: ConfigId, flags: u8) -> Option<()> {
        if row.id == NO_ID {
            let first_id = row.customer_id;
            self.books.rows.push_removed(row, first_id);
            self.chains.iter_mut().for_each(|counts| counts.push(0));
            return Some(());
        }
        let slot = self.books.rows.next_slot();
        let id = TransactionId(row.id);
        let status = TransactionStatus::from_number(row.status.into())?;
        let earlier = [row.earlier.customer, row.earlier.login, row.earlier.provider];
        for (counts, earlier) in self.chains.iter_mut().zip(earlier) {
            let before = if earlier == NO_SLOT { 0 } else { std::mem::take(counts.get_mut(earlier as usize)?) };
            counts.push(before.checked_add(1)?);
        }
        if status == TransactionStatus::ManualReview {
            self.books.reviewed.insert(id);
        }
        if flags & UNSETTLED != 0 {
            self.unsettled.push(id);
        }
        if flags & UNRECORDED != 0 {
            self.unrecorded.push(id);
        }
        let number = usize::from(status.number());
        if self.statuses.len() <= number {
            self.statuses.resize_with(number + 1, Vec::new);
        }
        self.statuses.get_mut(number)?.push(slot);
        self.books.count_activity(config, UnixTime(row.created_time), status, None);
        self.books.note_displaced(row.id, slot);
        self.books.uses.replace(row.customer_id, None, Some(row.taken()));
        self.books.rows.push(row);
        Some(())
    }

    /// The books, once every block was added.
    pub fn finish(self) -> Option<LoadedImage> {
        let Self { mut books, chains, statuses, unsettled, unrecorded, end } = self;
        let (rows, posted) = end?;
        (rows == books.rows.next_slot()).then_some(())?;
        let [customers, logins, providers] = chains;
        books.customers = heads(&customers, |slot| books.rows.get(slot).map(|row| row.customer_id))?;
        books.logins = heads(&logins, |slot| books.rows.get(slot).map(|row| row.login))?;
        books.providers =
            heads(&providers, |slot| books.rows.get(slot).map(|row| books.interner.labels(row.labels).provider))?;
        for (set, slots) in books.statuses.iter_mut().zip(statuses) {
            *set = slots.into_iter().collect();
        }
        books.unsettled = unsettled.into_iter().collect();
        let unrecorded: BTreeSet<TransactionId> = unrecorded.into_iter().collect();
        books.postings = Postings::loaded(posted.elsewhere, unrecorded.clone());
        Some(LoadedImage { books, posted: posted.embedded, unrecorded })
    }
}

fn load_slots(index: &mut SlotIndex, r: &mut Fields<'_>, rows: Slot, hash_again: impl Fn(Slot) -> u64) -> Option<()> {
    index.reserve_segments(r.segments()?);
    while !r.0.is_empty() {
        index.insert(r.u64()?, r.u32().filter(|slot| *slot < rows)?, &hash_again);
    }
    Some(())
}

/// The newest row of each key.
fn heads<K: Copy + Eq + std::hash::Hash>(counts: &[u32], key: impl Fn(Slot) -> Option<K>) -> Option<Heads<K>> {
    let newest = || counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let mut heads = Heads::default();
    heads.reserve(newest().count());
    for (slot, count) in newest() {
        let newest = Slot::try_from(slot).ok()?;
        heads.put(key(newest)?, Head { newest, count: *count });
    }
    Some(heads)
}

impl LoadedImage {
    /// Applies a row that changed since the image was begun: a transaction or an operation. False where the row contradicts the
    /// image in what never changes: then it is not of these books.
    pub fn apply(&mut self, change: &Change) -> bool {
        let id = match change {
            Change::Transaction(row) => row.id,
            Change::Operation(row) => row.transaction_id,
            Change::Event(_)
            | Change::Config(_)
            | Change::ConfigDeleted(_)
            | Change::Override(_)
            | Change::Approval(_) => return false,
        };
        let before = self.books.aggregate(id);
        if let (Some(before), Change::Transaction(row)) = (&before, change) {
            let frozen = |of: &Transaction| {
                (of.customer_id, of.login, of.config_id, of.created_time, of.reference.clone(), of.provider.clone())
            };
            if frozen(&before.transaction) != frozen(row) {
                return false;
            }
        }
        if let Some(before) = &before {
            before.operations.iter().for_each(|operation| self.posted.take_out(&before.transaction, operation));
        }
        self.books.apply_change(change, Seq(0), &[]);
        match self.books.aggregate(id) {
            Some(after) => self.note(id, &after),
            // An operation whose transaction has no row.
            None => return matches!(change, Change::Operation(_)),
        }
        true
    }

    fn note(&mut self, id: TransactionId, after: &Aggregate) {
        after.operations.iter().for_each(|operation| self.posted.count_in(&after.transaction, operation));
        if has_unrecorded(&after.operations) {
            self.unrecorded.insert(id);
        } else {
            self.unrecorded.remove(&id);
        }
    }

    pub fn set_counters(&mut self, counters: Counters) {
        self.books.set_counters(counters);
    }
}

/// Reads fields of a fixed size; `None` beyond the end.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn bytes(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// More than any table of 2^32 rows has are refused, because they are reserved.
    fn segments(&mut self) -> Option<usize> {
        self.u32().filter(|count| *count < 1 << 26).map(|count| count as usize)
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = self.u32()? as usize;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    /// What [`put_totals`](super::image) wrote.
    fn totals(&mut self) -> Option<PostedTotals> {
        let count = self.u64()?;
        let embedded = PostedDigest { count, sum: u128::from_le_bytes(self.array()?) };
        let servers = self.u32()?;
        let elsewhere = (0..servers).map(|_| {
            let server = ServerName::read(self.text()?)?;
            let (count, recent) = (self.u64()?, self.u32()?);
            let recent = (0..recent).map(|_| {
                let time = UnixTime(self.u64()?.cast_signed());
                Some((time, OperationKey::read(self.text()?)?))
            });
            let recent = recent.collect::<Option<_>>()?;
            Some((server, ServerTotal { count, recent }))
        });
        Some(PostedTotals { elsewhere: TotalsElsewhere(elsewhere.collect::<Option<_>>()?), embedded })
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
}
