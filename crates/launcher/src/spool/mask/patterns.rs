//! Many texts, and which of them another text begins with.

use std::collections::BTreeSet;
use std::ops::Range;

/// Patterns in order, with what it takes to find them. None is shorter than [`MIN_PATTERN_BYTES`].
pub(super) struct Patterns {
    /// All of them, in order, one behind the other.
    bytes: Vec<u8>,
    /// Where each ends in that.
    ends: Vec<u32>,
    /// The longest other pattern with which each begins.
    beginnings: Vec<Option<u32>>,
    starts: Starts,
}

/// The shortest pattern that is taken.
pub(super) const MIN_PATTERN_BYTES: usize = 2;

/// What a text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The length of the longest pattern with which it begins; 0: with none.
    pub(super) length: usize,
    /// A longer pattern begins with all of it.
    pub(super) may_grow: bool,
}

impl Patterns {
    /// These, apart from those that are too short.
    pub(super) fn new(patterns: BTreeSet<Vec<u8>>) -> Self {
        let patterns = patterns
            .into_iter()
            .filter(|pattern| pattern.len() >= MIN_PATTERN_BYTES);
        let mut made = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            beginnings: Vec::new(),
            starts: Starts::default(),
        };
        for pattern in patterns {
            made.add(&pattern);
        }
        made.bytes.shrink_to_fit();
        made.starts = Starts::new((0..made.len()).map(|index| made.pattern(index)));
        made
    }

    /// Adds one that comes behind all others.
    fn add(&mut self, pattern: &[u8]) {
        let last = self.len().checked_sub(1);
        let beginning = self.first_with(last, |other| pattern.starts_with(other));
        let number =
            |size: usize| u32::try_from(size).expect("secrets are limited to some kilobytes");
        self.beginnings.push(beginning.map(number));
        self.bytes.extend_from_slice(pattern);
        self.ends.push(number(self.bytes.len()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn range(&self, index: usize) -> Range<usize> {
        let end = |index: usize| self.ends[index] as usize;
        let start = index.checked_sub(1).map_or(0, end);
        start..end(index)
    }

    fn pattern(&self, index: usize) -> &[u8] {
        &self.bytes[self.range(index)]
    }

    /// A pattern, or the longest of its beginnings, for which this holds.
    fn first_with(&self, mut index: Option<usize>, holds: impl Fn(&[u8]) -> bool) -> Option<usize> {
        while let Some(this) = index
            && !holds(self.pattern(this))
        {
            index = self.beginnings[this].map(|index| index as usize);
        }
        index
    }

    /// The next place, from `at` on, at which a pattern may begin; `at` is then behind it. A pattern may begin with what
    /// the text has there, even if that is not all of it.
    pub(super) fn next_start(&self, text: &[u8], at: &mut usize) -> Option<usize> {
        self.starts.find(text, at);
        let start = *at;
        *at += 1;
        (start < text.len()).then_some(start)
    }

    /// What a text begins with.
    pub(super) fn at(&self, text: &[u8]) -> Found {
        // Whatever the text begins with is in order before it, and those that begin with the text right behind it.
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.pattern(middle) <= text {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // A pattern between one that the text begins with and the text begins with that one itself.
        let longest = self.first_with(low.checked_sub(1), |pattern| text.starts_with(pattern));
        Found {
            length: longest.map_or(0, |index| self.range(index).len()),
            may_grow: low < self.len() && self.pattern(low).starts_with(text),
        }
    }
}

/// Where patterns may begin. A search looks at the end of as many bytes as the shortest pattern has, and so learns by how
/// much it may go on; and where that is not at all, at their beginning.
#[derive(Debug, Default)]
struct Starts {
    /// How many bytes at the beginning of each pattern are looked at.
    window: usize,
    /// How many of these are looked up at once.
    block: usize,
    /// By the hash of such a block: how far its last place in any window is from the end of that, or, if it has none, how
    /// far a window may be moved; and [`FIRST`].
    table: Vec<u8>,
}

/// How many bytes are looked up at once, unless the window is shorter.
const BLOCK_BYTES: usize = 3;

/// How many bytes of each pattern are looked at, at most: more than that makes the table fuller than it makes the skips
/// longer.
const MAX_WINDOW_BYTES: usize = 16;

/// The table has two to the power of this many bytes: little beside the fastest cache.
const TABLE_BITS: u32 = 13;

/// A pattern begins with such a block.
const FIRST: u8 = 0x80;

impl Starts {
    fn new<'a>(patterns: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let Some(shortest) = patterns.clone().map(<[u8]>::len).min() else {
            return Self::default();
        };
        let window = shortest.min(MAX_WINDOW_BYTES);
        let block = window.min(BLOCK_BYTES);
        let last = window - block;
        let longest = u8::try_from(last + 1).expect("a window has a few bytes");
        let mut table = vec![longest; 1 << TABLE_BITS];
        for pattern in patterns {
            for (skip, start) in (0..longest).zip((0..=last).rev()) {
                let entry = &mut table[hash(&pattern[start..start + block])];
                *entry = skip.min(*entry & !FIRST) | *entry & FIRST;
            }
            table[hash(&pattern[..block])] |= FIRST;
        }
        Self {
            window,
            block,
            table,
        }
    }

    /// Goes on from `at` to where a pattern may begin, or to the end.
    fn find(&self, text: &[u8], at: &mut usize) {
        match self.block {
            BLOCK_BYTES => self.find_by::<BLOCK_BYTES>(text, at),
            _ => self.find_by::<MIN_PATTERN_BYTES>(text, at),
        }
    }

    fn find_by<const BLOCK: usize>(&self, text: &[u8], at: &mut usize) {
        let last = self.window - BLOCK;
        let Ok(table) = <&[u8; 1 << TABLE_BITS]>::try_from(self.table.as_slice()) else {
            return;
        };
        let entry = |start: usize| {
            let block = text.get(start..)?.first_chunk::<BLOCK>()?;
            Some(table[hash(block)])
        };
        let may_begin = |start: usize| entry(start).is_none_or(|entry| entry & FIRST > 0);
        while let Some(entry) = entry(*at + last) {
            match entry & !FIRST {
                0 if may_begin(*at) => return,
                skip => *at += usize::from(skip.max(1)),
            }
        }
        // Too little is there for the end of a window.
        while *at < text.len() && !may_begin(*at) {
            *at += 1;
        }
    }
}

/// Below the length of the table.
#[inline]
fn hash(block: &[u8]) -> usize {
    let mut word = 0_u32;
    for byte in block {
        word = word << 8 | u32::from(*byte);
    }
    // Multiplicative hashing with the golden ratio (Knuth, volume 3, 6.4).
    (word.wrapping_mul(0x9E37_79B1) >> (32 - TABLE_BITS)) as usize
}
