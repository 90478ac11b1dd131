//! Base64 that was broken into lines.

use std::collections::BTreeSet;
use std::ops::Range;

use super::forms::PIECE_BYTES;
use super::patterns::Patterns;

/// How many letters a line of base64 has at least if it goes on in the next one. Programs break it at 64 or 76; nearly no
/// other text has so many letters of base64 at the end of a line, whose last ones would have to be held back.
pub const MIN_LINE_LETTERS: usize = 16;

/// Patterns of base64, which are found with line ends between their letters.
pub(super) struct Wrapped {
    patterns: Patterns,
    triples: Triples,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Broken {
    /// All occurrences that have a line end among their letters, and maybe others; those that begin first come first.
    pub(super) found: Vec<Range<usize>>,
    /// One may begin here that is longer than the text; of those that begin behind this none is named.
    pub(super) undecided: Option<usize>,
}

impl Wrapped {
    pub(super) fn new(patterns: BTreeSet<Vec<u8>>) -> Self {
        Self {
            triples: Triples::new(&patterns),
            patterns: Patterns::new(patterns),
        }
    }

    /// Looks at each line end.
    pub(super) fn find(&self, text: Text<'_>) -> Broken {
        let mut broken = Broken::default();
        if self.patterns.is_empty() {
            return broken;
        }
        let (mut examined, mut from) = (0, 0);
        while let Some(at) = text.line_end(from) {
            from = at + 1;
            let is_pair = at > 0 && text.bytes[at - 1] == b'\r';
            let end = at - usize::from(is_pair);
            let may_cross = self.triples.may_cross(text.bytes, end, from);
            if !may_cross || end <= examined || matches!(text.after(end), After::Nothing) {
                continue;
            }
            let view = View::new(text, examined..end, &self.triples);
            self.examine(&view, &mut broken);
            if broken.undecided.is_some() {
                break;
            }
            examined = view.end;
            from = from.max(examined);
        }
        broken
    }

    /// Finds what begins before the last line end that may be crossed.
    fn examine(&self, view: &View, broken: &mut Broken) {
        let mut at = 0;
        while let Some(start) = self.patterns.next_start(&view.letters, &mut at)
            && start < view.before
        {
            let found = self.patterns.at(&view.letters[start..]);
            if found.length > 0 {
                let last = view.place(start + found.length - 1);
                broken.found.push(view.place(start)..last + 1);
            }
            if found.may_grow && view.is_open {
                broken.undecided = Some(view.place(start));
                return;
            }
        }
    }
}

/// A part of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// How many letters of base64 stand right before it, as far as [`MIN_LINE_LETTERS`] of them count.
    pub(super) letters_before: usize,
    /// Nothing follows.
    pub(super) is_end: bool,
}

/// What follows on letters.
#[derive(Clone, Copy)]
enum After {
    /// Letters, from here on.
    Letters(usize),
    /// What has not come yet.
    Unknown,
    /// Something else.
    Nothing,
}

impl Text<'_> {
    /// The next line feed, or a carriage return that is the last byte so far.
    fn line_end(self, from: usize) -> Option<usize> {
        let mut searched = from;
        // Many bytes at once, which is several times faster than one by one.
        let (words, _) = self.bytes[from..].as_chunks::<8>();
        for word in words {
            // The first byte that is a line feed becomes zero, and the first to borrow (Warren, "Hacker's Delight", 6-1).
            let word = u64::from_le_bytes(*word) ^ 0x0A0A_0A0A_0A0A_0A0A;
            let found = word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080;
            if found > 0 {
                return Some(searched + found.trailing_zeros() as usize / 8);
            }
            searched += 8;
        }
        let found = self.bytes[searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let is_cut = || from < self.bytes.len() && self.bytes.ends_with(b"\r");
        found
            .map(|index| searched + index)
            .or_else(|| is_cut().then(|| self.bytes.len() - 1))
    }

    /// How many letters stand right before this place, of which at most [`MIN_LINE_LETTERS`] are counted.
    pub(super) fn letters_before(self, at: usize) -> usize {
        let letters = last_letters(&self.bytes[..at], MIN_LINE_LETTERS);
        let further = if letters == at {
            self.letters_before
        } else {
            0
        };
        MIN_LINE_LETTERS.min(letters + further)
    }

    /// What follows on the letters that end here, if a line end is left out.
    fn after(self, end: usize) -> After {
        let next = match &self.bytes[end..] {
            [] => end,
            [b'\r', b'\n', ..] => end + 2,
            [b'\n', ..] | [b'\r'] => end + 1,
            _ => return After::Nothing,
        };
        if next > end && self.letters_before(end) < MIN_LINE_LETTERS {
            return After::Nothing;
        }
        match self.bytes.get(next) {
            Some(byte) if is_letter(*byte) => After::Letters(next),
            None if !self.is_end => After::Unknown,
            _ => After::Nothing,
        }
    }

    /// Where letters end that go on here, behind a line end.
    fn before(self, start: usize) -> Option<usize> {
        let end = match &self.bytes[..start] {
            [.., b'\r', b'\n'] => start - 2,
            [.., b'\n'] => start - 1,
            _ => return None,
        };
        (self.letters_before(end) == MIN_LINE_LETTERS).then_some(end)
    }
}

/// The letters around line ends, without any between.
struct View {
    letters: Vec<u8>,
    /// Where each line of them begins: among the letters, and in the text.
    lines: Vec<(usize, usize)>,
    /// How many letters stand before the last line end that a pattern may cross,
    before: usize,
    /// which is here.
    end: usize,
    /// More may follow.
    is_open: bool,
}

/// How many letters a pattern that crosses a line end can have on either side of it.
const MOST_LETTERS: usize = PIECE_BYTES - 1;

impl View {
    /// As many letters as a pattern can have that crosses the line end behind this range and begins in it. The same of
    /// each line end among them that a pattern may cross.
    fn new(text: Text<'_>, range: Range<usize>, triples: &Triples) -> Self {
        let (start, before) = Self::start(text, &range);
        let mut view = Self {
            letters: Vec::with_capacity(before + MOST_LETTERS),
            lines: Vec::new(),
            before,
            end: range.end,
            is_open: false,
        };
        let mut next = start;
        while view.letters.len() < view.before + MOST_LETTERS {
            let most = view.before + MOST_LETTERS - view.letters.len();
            view.lines.push((view.letters.len(), next));
            let line = first_letters(&text.bytes[next..], most);
            view.letters.extend_from_slice(line);
            let end = next + line.len();
            match text.after(end) {
                After::Letters(at) => {
                    if at > end && triples.may_cross(text.bytes, end, at) {
                        (view.before, view.end) = (view.letters.len(), end);
                    }
                    next = at;
                }
                after => {
                    view.is_open = matches!(after, After::Unknown);
                    break;
                }
            }
        }
        view
    }

    /// Where it begins, and how many letters there are from there to the end of the range.
    fn start(text: Text<'_>, range: &Range<usize>) -> (usize, usize) {
        let (mut start, mut letters, mut end) = (range.end, 0, range.end);
        loop {
            let line = last_letters(&text.bytes[range.start..end], MOST_LETTERS - letters);
            if line > 0 {
                (start, letters) = (end - line, letters + line);
            }
            match text.before(start) {
                Some(before) if line > 0 && letters < MOST_LETTERS && before > range.start => {
                    end = before;
                }
                _ => return (start, letters),
            }
        }
    }

    /// Where a letter stands in the text.
    fn place(&self, letter: usize) -> usize {
        let line = self.lines.partition_point(|(first, _)| *first <= letter);
        let (first, place) = self.lines[line - 1];
        place + (letter - first)
    }
}

/// A letter of either alphabet, or what fills up the last group.
const fn is_letter(byte: u8) -> bool {
    const LETTERS: [bool; 256] = {
        let mut letters = [false; 256];
        let (all, mut index) = (b"+/-_=", 0);
        while index < all.len() {
            letters[all[index] as usize] = true;
            index += 1;
        }
        let mut byte = 0;
        while byte < 128_u8 {
            letters[byte as usize] |= byte.is_ascii_alphanumeric();
            byte += 1;
        }
        letters
    };
    LETTERS[byte as usize]
}

/// The letters with which a text begins, so many at most.
fn first_letters(text: &[u8], most: usize) -> &[u8] {
    let text = &text[..most.min(text.len())];
    let other = text.iter().position(|byte| !is_letter(*byte));
    &text[..other.unwrap_or(text.len())]
}

/// With how many letters a text ends, so many at most.
fn last_letters(text: &[u8], most: usize) -> usize {
    let text = &text[text.len().saturating_sub(most)..];
    let other = text.iter().rposition(|byte| !is_letter(*byte));
    other.map_or(text.len(), |index| text.len() - 1 - index)
}

/// Which three letters follow on each other in any pattern: a bit for each hash.
struct Triples(Vec<u64>);

/// There are two to the power of this many bits: 16 KiB, of which the letters of ten usual tokens set one in a hundred.
const TRIPLE_BITS: u32 = 17;

impl Triples {
    fn new(patterns: &BTreeSet<Vec<u8>>) -> Self {
        let mut bits = vec![0; 1 << (TRIPLE_BITS - u64::BITS.ilog2())];
        for pattern in patterns {
            for triple in pattern.windows(3) {
                let (word, bit) = Self::place(triple);
                bits[word] |= bit;
            }
        }
        Self(bits)
    }

    fn place(triple: &[u8]) -> (usize, u64) {
        let letters = triple.iter().map(|letter| u32::from(*letter));
        let word = letters.fold(0_u32, |word, letter| word << 8 | letter);
        // As with the blocks at which patterns begin.
        let hash = word.wrapping_mul(0x9E37_79B1) >> (u32::BITS - TRIPLE_BITS);
        ((hash / u64::BITS) as usize, 1 << (hash % u64::BITS))
    }

    /// Whether a pattern may have letters before `end` and, behind a line end, from `next` on. It has six or more: at least
    /// two on either side, or three on one.
    fn may_cross(&self, text: &[u8], end: usize, next: usize) -> bool {
        let before = text[..end].last_chunk::<3>();
        let after = text[next..].first_chunk::<3>();
        let (Some(before), Some(after)) = (before, after) else {
            // Too little is there.
            return true;
        };
        let around = [*before, *after];
        let has = |first: usize| {
            let (word, bit) = Self::place(&around.as_flattened()[first..first + 3]);
            self.0[word] & bit > 0
        };
        match (has(1), has(2)) {
            (true, true) => true,
            (true, false) => has(0),
            (false, true) => has(3),
            (false, false) => false,
        }
    }
}
