//! Masking of one stream.

use std::fmt;
use std::ops::Range;

use bytes::BytesMut;
use jobyard_core::MASK;

use super::masks::Masks;
use super::wrapped::Text;

/// Masks one stream as it comes, see [`mask`](super).
pub struct StreamMasker {
    masks: Masks,
    /// What came and is not decided: a pattern may begin with its first byte.
    held: Vec<u8>,
    /// So many of the bytes that are held back are masked already.
    covered: usize,
    /// What was given out last stands for bytes that touch those to come.
    is_masked: bool,
    /// How many letters of base64 stand right before what is held back, see [`Text`].
    letters_before: usize,
}

impl StreamMasker {
    /// At the beginning of a stream.
    pub fn new(masks: &Masks) -> Self {
        Self {
            masks: masks.clone(),
            held: Vec::new(),
            covered: 0,
            is_masked: false,
            letters_before: 0,
        }
    }

    /// Takes what came; appends what is certain now.
    pub fn push(&mut self, bytes: &[u8], out: &mut BytesMut) {
        if self.masks.is_empty() {
            return out.extend_from_slice(bytes);
        }
        out.reserve(bytes.len());
        if self.held.is_empty() {
            let from = self.give_out(bytes, false, out);
            self.held.extend_from_slice(&bytes[from..]);
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.extend_from_slice(bytes);
            let from = self.give_out(&text, false, out);
            // A copy, so that little that is held back keeps no large buffer.
            self.held.extend_from_slice(&text[from..]);
        }
    }

    /// Nothing follows; appends what was held back.
    pub fn finish(&mut self, out: &mut BytesMut) {
        let text = std::mem::take(&mut self.held);
        if !text.is_empty() {
            self.give_out(&text, true, out);
        }
        debug_assert_eq!(self.covered, 0, "all of it was given out");
        (self.is_masked, self.letters_before) = (false, 0);
    }

    /// Appends all that is certain of the text, and says from where on it is not.
    fn give_out(&mut self, bytes: &[u8], is_end: bool, out: &mut BytesMut) -> usize {
        let masks = self.masks.clone();
        let patterns = masks.patterns();
        let text = Text {
            bytes,
            letters_before: self.letters_before,
            is_end,
        };
        let broken = masks.wrapped().find(text);
        let mut broken_parts = broken.found.into_iter().peekable();
        let mut given = Given {
            text: bytes,
            to: self.covered,
            is_masked: self.is_masked,
            out,
        };
        let mut undecided = broken.undecided.unwrap_or(bytes.len());
        let mut at = 0;
        while let Some(start) = patterns.next_start(bytes, &mut at)
            && start <= undecided
        {
            while let Some(part) = broken_parts.next_if(|part| part.start <= start) {
                given.mask(part);
            }
            let found = patterns.at(&bytes[start..]);
            if found.length > 0 {
                given.mask(start..start + found.length);
            }
            if found.may_grow && !is_end {
                undecided = start;
                break;
            }
        }
        while let Some(part) = broken_parts.next_if(|part| part.start <= undecided) {
            given.mask(part);
        }
        given.plain(undecided);
        self.covered = given.to - undecided;
        self.is_masked = given.is_masked;
        self.letters_before = text.letters_before(undecided);
        undecided
    }
}

#[cfg(test)]
impl StreamMasker {
    pub(super) fn held_bytes(&self) -> usize {
        self.held.len()
    }
}

impl fmt::Debug for StreamMasker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamMasker")
            .field("held_bytes", &self.held.len())
            .finish_non_exhaustive()
    }
}

/// What was given out of a text.
struct Given<'a> {
    text: &'a [u8],
    /// Up to here.
    to: usize,
    /// Its last byte was masked.
    is_masked: bool,
    out: &'a mut BytesMut,
}

impl Given<'_> {
    /// What is not masked yet up to here is given out as it is.
    fn plain(&mut self, end: usize) {
        if end > self.to {
            self.out.extend_from_slice(&self.text[self.to..end]);
            self.to = end;
            self.is_masked = false;
        }
    }

    /// Masks a part that begins no earlier than the one before.
    fn mask(&mut self, part: Range<usize>) {
        self.plain(part.start);
        if !self.is_masked {
            self.out.extend_from_slice(MASK.as_bytes());
            self.is_masked = true;
        }
        self.to = self.to.max(part.end);
    }
}
