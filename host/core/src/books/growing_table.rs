//! A hash table that is never hashed again as a whole: linear hashing over small segments. Each insertion that raises the
//! mean above its limit splits one segment, whose entries are all that is hashed again; the segments take turns.

use hashbrown::HashTable;

use super::chunked::Chunked;

/// Entries per segment beyond which the next one is split. A segment holds between half of it and twice as many, in tables
/// of 256 or 512 places: a split reads a few hundred rows, well under a millisecond.
const SEGMENT: usize = 192;

/// The bits of a hash above those that pick the place within a segment, and below those that its table tags entries with.
const SEGMENT_BITS_FROM: u32 = 20;

pub(super) struct GrowingTable<T> {
    segments: Chunked<HashTable<T>>,
    entries: usize,
    moved: u64,
}

impl<T> Default for GrowingTable<T> {
    fn default() -> Self {
        Self { segments: Chunked::default(), entries: 0, moved: 0 }
    }
}

impl<T> GrowingTable<T> {
    /// Reserves, while the table is empty, for so many entries.
    pub(super) fn reserve(&mut self, entries: usize) {
        self.reserve_segments(entries.div_ceil(SEGMENT));
    }

    /// Makes, while the table is empty, so many segments.
    pub(super) fn reserve_segments(&mut self, count: usize) {
        if self.segments.len() > 0 {
            return;
        }
        let halved = count - count.checked_ilog2().map_or(0, |bits| 1 << bits);
        for index in 0..count {
            let is_half = index < halved || index >= count - halved;
            self.segments.push(HashTable::with_capacity(if is_half { SEGMENT } else { 2 * SEGMENT }));
        }
    }

    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// The entries of one segment. Read in the order of the segments, up to the last one that there is then, every entry that
    /// stays in the table is met, although segments are split meanwhile; some are met twice.
    pub(super) fn segment_at(&self, index: usize) -> impl Iterator<Item = &T> {
        self.segments.get(index).into_iter().flatten()
    }

    pub(super) fn find(&self, hash: u64, is_equal: impl FnMut(&T) -> bool) -> Option<&T> {
        self.segment(hash)?.find(hash, is_equal)
    }

    pub(super) fn find_mut(&mut self, hash: u64, is_equal: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let index = segment_of(hash, self.segments.len());
        self.segments.get_mut(index)?.find_mut(hash, is_equal)
    }

    /// The entries that may have this hash, in no order.
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = &T> {
        self.segment(hash).into_iter().flat_map(move |segment| segment.iter_hash(hash))
    }

    /// Inserts an entry that is not in the table; the others are hashed again where their segment grows.
    pub(super) fn insert_new(&mut self, hash: u64, entry: T, hash_again: impl Fn(&T) -> u64) {
        if self.segments.len() == 0 {
            self.segments.push(HashTable::new());
        }
        self.entries += 1;
        // First: the entry that is inserted is not hashed again, because its row may not be where it will be.
        if self.entries > self.segments.len() * SEGMENT {
            self.split(&hash_again);
        }
        let index = segment_of(hash, self.segments.len());
        let Some(segment) = self.segments.get_mut(index) else { return };
        if segment.len() == segment.capacity() {
            self.moved += segment.len() as u64;
        }
        segment.insert_unique(hash, entry, hash_again);
    }

    pub(super) fn remove(&mut self, hash: u64, is_equal: impl FnMut(&T) -> bool) {
        let index = segment_of(hash, self.segments.len());
        let found = self.segments.get_mut(index).and_then(|segment| segment.find_entry(hash, is_equal).ok());
        if let Some(found) = found {
            found.remove();
            self.entries -= 1;
        }
    }

    /// How many entries growth has moved or hashed again so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved + self.segments.moved()
    }

    /// Adds a segment, which takes its entries from the one whose turn it is.
    fn split(&mut self, hash_again: impl Fn(&T) -> u64) {
        let added = self.segments.len();
        let turn = added - added.checked_ilog2().map_or(0, |bits| 1 << bits);
        let Some(segment) = self.segments.get_mut(turn) else { return };
        self.moved += segment.len() as u64;
        let entries = std::mem::replace(segment, HashTable::with_capacity(SEGMENT));
        let mut moving = HashTable::with_capacity(SEGMENT);
        for entry in entries {
            let hash = hash_again(&entry);
            let half = if segment_of(hash, added + 1) == added { &mut moving } else { &mut *segment };
            half.insert_unique(hash, entry, &hash_again);
        }
        self.segments.push(moving);
    }

    fn segment(&self, hash: u64) -> Option<&HashTable<T>> {
        self.segments.get(segment_of(hash, self.segments.len()))
    }
}

/// The segment of a hash among so many: those that were not split yet in this round hold what their halves will.
fn segment_of(hash: u64, count: usize) -> usize {
    let bits = (hash >> SEGMENT_BITS_FROM) as usize;
    let mask = count.next_power_of_two() - 1;
    let index = bits & mask;
    if index < count { index } else { index & (mask >> 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: u64) -> u64 {
        let mixed = (key ^ (key >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    fn insert(table: &mut GrowingTable<u64>, key: u64) -> u64 {
        let before = table.moved();
        table.insert_new(hash(key), key, |known| hash(*known));
        table.moved() - before
    }

    fn holds(table: &GrowingTable<u64>, key: u64) -> bool {
        table.find(hash(key), |known| *known == key).is_some()
    }

    #[test]
    fn s1_an_insertion_hashes_few_entries_again_however_large_the_table_is() {
        let mut table = GrowingTable::default();
        let slowest = (0..4_000_000).map(|key| insert(&mut table, key)).max();
        // A segment that is full and one that is split, each of a few hundred, or the first chunk of segments.
        assert!(slowest <= Some(1_400), "{slowest:?}");
        assert!((0..4_000_000).step_by(997).all(|key| holds(&table, key)));
        assert!((4_000_000..4_100_000).all(|key| !holds(&table, key)));
    }

    #[test]
    fn every_entry_is_found_at_each_size_and_a_removed_one_is_not() {
        for reserved in [0, 1, 1_000, 5_000, 100_000] {
            let mut table = GrowingTable::default();
            table.reserve(reserved);
            for key in 0..5_000 {
                insert(&mut table, key);
                assert!(holds(&table, key) && holds(&table, key / 2) && !holds(&table, key + 1), "{reserved} {key}");
            }
            for key in (0..5_000).step_by(2) {
                table.remove(hash(key), |known| *known == key);
                table.remove(hash(key), |known| *known == key);
            }
            assert!((0..5_000).all(|key| holds(&table, key) == (key % 2 == 1)), "{reserved}");
            assert_eq!(table.entries, 2_500);
        }
    }

    #[test]
    fn an_entry_is_not_hashed_again_while_it_is_inserted() {
        let mut table = GrowingTable::default();
        for key in 0..2_000 {
            table.insert_new(hash(key), key, |known| if *known < key { hash(*known) } else { 0 });
        }
        assert!((0..2_000).all(|key| holds(&table, key)));
    }

    #[test]
    fn a_reserved_table_moves_nothing_until_it_is_full() {
        for reserved in [150, 1_000, 70_000, 100_000, 131_072] {
            let mut table = GrowingTable::default();
            table.reserve(reserved);
            let moved: u64 = (0..reserved as u64).map(|key| insert(&mut table, key)).sum();
            assert!(moved < reserved as u64 / 10, "{reserved}: {moved}");
        }
    }

    #[test]
    fn entries_of_one_hash_share_a_segment_and_are_all_found() {
        let mut table = GrowingTable::default();
        for key in 0..2_000_u64 {
            table.insert_new(7, key, |_| 7);
        }
        let mut found: Vec<u64> = table.candidates(7).copied().collect();
        found.sort_unstable();
        assert!(found.into_iter().eq(0..2_000));
    }
}
