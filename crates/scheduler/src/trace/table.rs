//! Values that were written before, by number. Both sides fill their tables by the same rule.

use std::hash::Hash;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// How many values a table of a trace holds. A full one is emptied, and begins anew.
pub const MAX_TABLE_ENTRIES: usize = 1 << 16;

/// How many bytes the values of a table take in the trace at most, before it is emptied: so that neither side holds
/// much more than a scheduler does anyway.
pub const MAX_TABLE_BYTES: usize = 16 << 20;

/// The longest text that goes into a table, in bytes: no tag is longer. Longer ones are written out each time, so that
/// a short trace never stands for much more than its own size.
pub const MAX_TABLE_TEXT: usize = 256;

/// When a table is emptied.
#[derive(Debug, Default)]
struct Fill {
    entries: usize,
    bytes: usize,
}

impl Fill {
    /// Counts a new value of so many bytes. Whether the table has to be emptied before it takes it.
    fn add(&mut self, bytes: usize) -> bool {
        let full = self.entries >= MAX_TABLE_ENTRIES || self.bytes >= MAX_TABLE_BYTES;
        if full {
            *self = Self::default();
        }
        self.entries += 1;
        self.bytes += bytes;
        full
    }
}

/// From values to numbers.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    known: HashMap<T, usize, FixedState>,
    fill: Fill,
}

impl<T: Eq + Hash> Numbers<T> {
    /// An empty table whose hashes nobody can foresee who does not know the seed.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            known: HashMap::with_hasher(FixedState::with_seed(seed)),
            fill: Fill::default(),
        }
    }

    pub(super) fn number<Q>(&self, value: &Q) -> Option<usize>
    where
        Q: Eq + Hash + ?Sized,
        T: std::borrow::Borrow<Q>,
    {
        self.known.get(value).copied()
    }

    /// A value that is not known, and took so many bytes.
    pub(super) fn add(&mut self, value: T, bytes: usize) {
        if self.fill.add(bytes) {
            self.known.clear();
        }
        self.known.insert(value, self.known.len());
    }
}

/// From numbers to values.
#[derive(Debug)]
pub(super) struct Values<T> {
    known: Vec<T>,
    fill: Fill,
}

impl<T> Values<T> {
    pub(super) fn new() -> Self {
        Self {
            known: Vec::new(),
            fill: Fill::default(),
        }
    }

    pub(super) fn value(&self, number: usize) -> Option<&T> {
        self.known.get(number)
    }

    /// A value that took so many bytes.
    pub(super) fn add(&mut self, value: T, bytes: usize) {
        if self.fill.add(bytes) {
            self.known.clear();
        }
        self.known.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_empty_their_tables_at_the_same_moment() {
        let mut numbers = Numbers::new(7);
        let mut values = Values::new();
        for value in 0..3 * MAX_TABLE_ENTRIES as u64 {
            numbers.add(value, 1);
            values.add(value, 1);
            let number = numbers.number(&value).expect("known");
            assert_eq!(values.value(number), Some(&value));
        }
        assert!(values.known.len() <= MAX_TABLE_ENTRIES);
        assert_eq!(numbers.number(&0), None);
    }

    #[test]
    fn large_values_fill_a_table_sooner() {
        let mut values = Values::new();
        for value in 0..40 {
            values.add(value, 1 << 20);
        }
        assert!(values.known.len() <= 16);
    }
}
