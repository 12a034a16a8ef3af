//! A list that grows without moving what it holds: in chunks of a fixed size, so that an addition copies at most one small
//! first chunk or the list of chunks, however long the list is.

/// Values in a chunk. A list of 2^32 values, as many as there are slots, has 4,194,304 chunks; one of the blocks and
/// segments that hold them has a few thousand.
const CHUNK: usize = 1024;

pub(super) struct Chunked<T> {
    chunks: Vec<Vec<T>>,
    moved: u64,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), moved: 0 }
    }
}

impl<T> Chunked<T> {
    pub(super) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    pub(super) fn last(&self) -> Option<&T> {
        self.chunks.last()?.last()
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut T> {
        self.chunks.last_mut()?.last_mut()
    }

    pub(super) fn push(&mut self, value: T) {
        if self.chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
            // A short list stays small; after its first chunk it is long enough to fill whole ones.
            let chunk = Vec::with_capacity(if self.chunks.is_empty() { 0 } else { CHUNK });
            self.moved += push(&mut self.chunks, chunk);
        }
        if let Some(chunk) = self.chunks.last_mut() {
            self.moved += push(chunk, value);
        }
    }

    /// How many values and chunks growth has moved so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }
}

/// Appends, and returns how many values had to be moved for it.
pub(super) fn push<T>(list: &mut Vec<T>, value: T) -> u64 {
    let moved = if list.len() == list.capacity() { list.len() } else { 0 };
    list.push(value);
    moved as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_where_they_were_pushed_and_growth_moves_few() {
        let mut list = Chunked::default();
        let mut slowest = 0;
        for value in 0..300_000_usize {
            let before = list.moved();
            assert_eq!(list.len(), value);
            list.push(value);
            slowest = slowest.max(list.moved() - before);
            assert_eq!(list.last(), Some(&value));
        }
        assert!((0..300_000).all(|index| list.get(index) == Some(&index)) && list.get(300_000).is_none());
        *list.get_mut(200_000).unwrap() = 7;
        *list.last_mut().unwrap() = 8;
        assert_eq!((list.get(200_000), list.get(299_999)), (Some(&7), Some(&8)));
        assert!(slowest <= CHUNK as u64, "{slowest}");
    }
}
