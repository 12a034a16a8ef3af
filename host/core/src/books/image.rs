//! The books as blocks of bytes, in bounded parts, so that a start need not make them from rows again; the way back is
//! `image_loading`. It knows neither files nor checksums.
//!
//! An image is copied while decisions go on. It holds the rows that existed when it was begun, each as it was when it was
//! copied: whoever loads it applies again every row that changed since the beginning, which is the same as applying it once.
//! What can be derived from the rows is not in it.

use crate::digest::PostedTotals;
use crate::ids::TransactionId;

use super::hash_index::Slot;
use super::indexing::reference_hash;
use super::postings::has_unrecorded;
use super::rows::{NO_ID, NO_SLOT, Row};
use super::{Books, row_codec};

/// Raised by whatever changes a block or a packed row: an image of another format is not read. The test of packed rows
/// fails where they change.
pub const IMAGE_FORMAT: u32 = 11;

/// Rows in a block. Each is unpacked for what it posted, about a microsecond: a hold stays below half a millisecond.
const ROWS_PER_BLOCK: Slot = 256;
/// Segments of a table in a block, each of a few hundred entries; two of the tables read a row for each entry.
const SEGMENTS_PER_BLOCK: usize = 8;
/// Shared texts in a block.
const TEXTS_PER_BLOCK: usize = 1024;

/// What a block holds; its first byte.
pub(super) mod kind {
    pub(in crate::books) const ROWS: u8 = 1;
    pub(in crate::books) const REFERENCES: u8 = 2;
    pub(in crate::books) const KEYS: u8 = 3;
    pub(in crate::books) const PROVIDER_IDS: u8 = 4;
    pub(in crate::books) const SEEN: u8 = 5;
    pub(in crate::books) const TEXTS: u8 = 6;
    pub(in crate::books) const LABELS: u8 = 7;
    pub(in crate::books) const CURRENCIES: u8 = 8;
    pub(in crate::books) const END: u8 = 9;
}

/// The row has work that is due or will become due.
pub(super) const UNSETTLED: u8 = 1;
/// The row has an operation without a recorded outcome.
pub(super) const UNRECORDED: u8 = 2;

/// How far an image is copied.
#[derive(Debug)]
pub struct ImageCopy {
    /// Later rows are not in the image.
    rows: Slot,
    kind: u8,
    next: usize,
    posted: PostedTotals,
    /// A row cannot be unpacked.
    has_unreadable: bool,
}

impl ImageCopy {
    /// Whether every row is in it; otherwise it is no image, and is given up.
    pub fn is_whole(&self) -> bool {
        !self.has_unreadable
    }
}

impl Books {
    /// Begins an image; `None` while an operation waits for its transaction, which no image holds.
    pub fn begin_image(&self) -> Option<ImageCopy> {
        let copy = ImageCopy {
            rows: self.rows.next_slot(),
            kind: kind::ROWS,
            next: 0,
            posted: PostedTotals::default(),
            has_unreadable: false,
        };
        self.early_operations.is_empty().then_some(copy)
    }

    /// Writes the next block and returns true; false once the image is whole.
    pub fn copy_image(&self, copy: &mut ImageCopy, block: &mut Vec<u8>) -> bool {
        block.clear();
        block.push(copy.kind);
        let next = copy.next;
        let written = match copy.kind {
            kind::ROWS => self.copy_rows(copy, block),
            kind::REFERENCES => {
                let table = self.by_reference.table();
                copy_segments(copy, block, table.segments(), |block, rows, index| {
                    for slot in table.segment_at(index).copied().filter(|slot| *slot < rows) {
                        put_slot(block, self.rows.get(slot).map_or(0, reference_hash), slot);
                    }
                })
            }
            kind::KEYS => {
                let (table, seed) = (self.by_key.slots.table(), self.by_key.seed);
                copy_segments(copy, block, table.segments(), |block, rows, index| {
                    for slot in table.segment_at(index).copied().filter(|slot| *slot < rows) {
                        put_slot(block, self.rows.get(slot).map_or(0, |row| seed.hash_of(row)), slot);
                    }
                })
            }
            kind::PROVIDER_IDS => {
                let table = self.by_provider_id.table();
                copy_segments(copy, block, table.segments(), |block, rows, index| {
                    for entry in table.segment_at(index).filter(|entry| entry.slot < rows) {
                        put_slot(block, entry.hash.into(), entry.slot);
                    }
                })
            }
            kind::SEEN => {
                let table = self.events.seen.table();
                copy_segments(copy, block, table.segments(), |block, _, index| {
                    for known in table.segment_at(index) {
                        known.key.into_iter().chain([known.id.0]).for_each(|word| put_u64(block, word));
                    }
                })
            }
            kind::TEXTS => {
                let until = self.interner.texts().min(next.saturating_add(TEXTS_PER_BLOCK));
                for number in next..until {
                    let text = self.interner.text(number as u32);
                    put_u32(block, text.len() as u32);
                    block.extend_from_slice(text.as_bytes());
                }
                copy.next = until;
                until > next
            }
            kind::LABELS => {
                let until = self.interner.label_numbers().min(next.saturating_add(TEXTS_PER_BLOCK));
                for number in next..until {
                    let labels = self.interner.labels(number as u32);
                    [labels.provider, labels.method, labels.brand].into_iter().for_each(|text| put_u32(block, text));
                    put_u64(block, labels.config);
                }
                copy.next = until;
                until > next
            }
            // There are fewer than 200.
            kind::CURRENCIES => {
                let codes = self.interner.currencies().iter().skip(next);
                codes.for_each(|currency| block.extend_from_slice(currency.code().as_bytes()));
                copy.next = self.interner.currencies().len();
                block.len() > 1
            }
            kind::END if next == 0 => {
                put_u32(block, copy.rows);
                put_totals(block, &copy.posted);
                copy.next = 1;
                true
            }
            _ => return false,
        };
        if !written && copy.kind < kind::END {
            (copy.kind, copy.next) = (copy.kind + 1, 0);
            return self.copy_image(copy, block);
        }
        written
    }

    fn copy_rows(&self, copy: &mut ImageCopy, block: &mut Vec<u8>) -> bool {
        let first = Slot::try_from(copy.next).unwrap_or(Slot::MAX);
        let until = copy.rows.min(first.saturating_add(ROWS_PER_BLOCK));
        for slot in first..until {
            let Some(row) = self.rows.get(slot) else {
                put_gap(block, self.rows.first_id().unwrap_or_default());
                continue;
            };
            let Some(known) = row_codec::unpack(row, &self.interner) else {
                copy.has_unreadable = true;
                continue;
            };
            known.operations.iter().for_each(|operation| copy.posted.add(&known.transaction, operation));
            let unsettled = if self.unsettled.contains(&TransactionId(row.id)) { UNSETTLED } else { 0 };
            let unrecorded = if has_unrecorded(&known.operations) { UNRECORDED } else { 0 };
            put_row(block, row, known.transaction.config_id.0, unsettled | unrecorded);
        }
        copy.next = until as usize;
        until > first
    }
}

/// Writes the number of segments, and the entries of the next few.
fn copy_segments(
    copy: &mut ImageCopy,
    block: &mut Vec<u8>,
    segments: usize,
    put_entries: impl Fn(&mut Vec<u8>, Slot, usize),
) -> bool {
    let next = copy.next;
    copy.next = segments.min(next.saturating_add(SEGMENTS_PER_BLOCK));
    put_u32(block, segments as u32);
    (next..copy.next).for_each(|index| put_entries(block, copy.rows, index));
    copy.next > next
}

fn put_row(block: &mut Vec<u8>, row: &Row, config: u64, flags: u8) {
    let words = [row.id, row.customer_id, row.login, row.created_time.cast_unsigned(), config];
    words.into_iter().for_each(|word| put_u64(block, word));
    let earlier = row.earlier;
    let chain = [earlier.customer, earlier.login, earlier.provider];
    let halves = [row.labels, row.short_amount, row.key_hash, row.packed.len() as u32];
    chain.into_iter().chain(halves).for_each(|half| put_u32(block, half));
    block.extend_from_slice(&row.currency.to_le_bytes());
    block.extend_from_slice(&[row.kind, row.source, row.status, row.key_space, row.reason, flags]);
    block.extend_from_slice(&row.packed);
}

/// A slot whose row was taken back: no other row moves into it. Its block has the id by which slots are counted.
fn put_gap(block: &mut Vec<u8>, first_id: u64) {
    [NO_ID, first_id, 0, 0, 0].into_iter().for_each(|word| put_u64(block, word));
    [NO_SLOT, NO_SLOT, NO_SLOT, 0, 0, 0, 0].into_iter().for_each(|half| put_u32(block, half));
    block.extend_from_slice(&[0; 8]);
}

fn put_slot(block: &mut Vec<u8>, hash: u64, slot: Slot) {
    put_u64(block, hash);
    put_u32(block, slot);
}

fn put_u64(block: &mut Vec<u8>, word: u64) {
    block.extend_from_slice(&word.to_le_bytes());
}

fn put_u32(block: &mut Vec<u8>, half: u32) {
    block.extend_from_slice(&half.to_le_bytes());
}

fn put_totals(block: &mut Vec<u8>, posted: &PostedTotals) {
    put_u64(block, posted.embedded.count);
    block.extend_from_slice(&posted.embedded.sum.to_le_bytes());
    put_u32(block, posted.elsewhere.0.len() as u32);
    for (server, total) in &posted.elsewhere.0 {
        put_text(block, server.as_str());
        put_u64(block, total.count);
        put_u32(block, total.recent.len() as u32);
        for (time, key) in &total.recent {
            put_u64(block, time.0.cast_unsigned());
            put_text(block, key.as_str());
        }
    }
}

fn put_text(block: &mut Vec<u8>, text: &str) {
    put_u32(block, text.len() as u32);
    block.extend_from_slice(text.as_bytes());
}
