//! Sorts many values in bounded pieces of work: the first are known long before the last, so that whoever holds a lock sorts
//! no page whole.

use std::cmp::Ordering;

/// Values sorted at once.
const SORTED_AT_ONCE: usize = 512;
/// Values divided in one piece of work before it ends; at least one part is, however large.
const DIVIDED_AT_ONCE: usize = 16_384;

/// Values of which the next in order are taken.
#[derive(Debug)]
pub(super) struct SortedParts<T> {
    /// Unsorted; every value of a part comes after those of the parts behind it in the list.
    parts: Vec<Vec<T>>,
    /// Comes before every part.
    sorted: std::vec::IntoIter<T>,
}

impl<T> SortedParts<T> {
    pub(super) fn new(values: Vec<T>) -> Self {
        Self { parts: vec![values], sorted: Vec::new().into_iter() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sorted.len() == 0 && self.parts.iter().all(Vec::is_empty)
    }

    /// One piece of work: up to `most` next values, or none where it was to divide what is left. The order is always the same.
    pub(super) fn take(&mut self, most: usize, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
        let mut divided = 0;
        while self.sorted.len() == 0 && divided < DIVIDED_AT_ONCE {
            let Some(mut part) = self.parts.pop() else { break };
            if part.len() <= SORTED_AT_ONCE {
                part.sort_by(&compare);
                self.sorted = part.into_iter();
                continue;
            }
            divided += part.len();
            let middle = part.len() / 2;
            part.select_nth_unstable_by(middle, &compare);
            let later = part.split_off(middle);
            self.parts.extend([later, part]);
        }
        self.sorted.by_ref().take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn s6_fifty_thousand_values_are_sorted_in_pieces_of_bounded_work() {
        for count in [0_u64, 1, 511, 512, 513, 3_000, 50_000] {
            let values: Vec<u64> = (0..count).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            let mut expected = values.clone();
            expected.sort_unstable();
            let (mut parts, mut sorted, mut slowest) = (SortedParts::new(values), Vec::new(), 0);
            while !parts.is_empty() {
                let compared = Cell::new(0_u64);
                sorted.extend(parts.take(256, |left, right| {
                    compared.set(compared.get() + 1);
                    left.cmp(right)
                }));
                slowest = slowest.max(compared.get());
            }
            assert!(sorted == expected, "{count}");
            // A sort of all takes sixteen times as many as there are.
            assert!(slowest <= 5 * count.max(5_000), "{count}: {slowest}");
        }
    }
}
