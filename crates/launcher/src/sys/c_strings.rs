//! Lists of strings as the kernel wants them.

use std::ffi::c_char;
use std::ptr;

/// A list of strings without NULs in them, each ended by a NUL, and the list by a null pointer.
#[derive(Debug)]
pub(super) struct CStrings {
    /// Never changed after the pointers are made.
    bytes: Vec<u8>,
    pointers: Vec<*const c_char>,
}

impl CStrings {
    /// Joins the pieces of each string.
    pub(super) fn new<'s, const N: usize>(
        strings: impl ExactSizeIterator<Item = [&'s str; N]> + Clone,
    ) -> Result<Self, HasNul> {
        let length = strings
            .clone()
            .map(|pieces| pieces.iter().map(|piece| piece.len()).sum::<usize>() + 1)
            .sum();
        let mut bytes = Vec::with_capacity(length);
        let mut offsets = Vec::with_capacity(strings.len());
        for pieces in strings {
            offsets.push(bytes.len());
            for piece in pieces {
                if piece.as_bytes().contains(&0) {
                    return Err(HasNul);
                }
                bytes.extend_from_slice(piece.as_bytes());
            }
            bytes.push(0);
        }
        let start = bytes.as_ptr();
        let pointers = offsets
            .into_iter()
            .map(|offset| start.wrapping_add(offset).cast())
            .chain([ptr::null()])
            .collect();
        Ok(Self { bytes, pointers })
    }

    /// The list; valid for as long as this value is.
    pub(super) fn as_ptr(&self) -> *const *const c_char {
        debug_assert!(self.bytes.last().is_none_or(|last| *last == 0));
        self.pointers.as_ptr()
    }
}

/// A string has a NUL in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HasNul;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuse_a_string_with_a_nul() {
        assert!(CStrings::new([["a"], ["b\0c"]].into_iter()).is_err());
    }

    #[test]
    fn every_string_ends_with_a_nul() {
        let strings = CStrings::new([["A", "=", "1"], ["B", "=", ""]].into_iter());
        let strings = strings.expect("no NUL");
        assert_eq!(strings.bytes, b"A=1\0B=\0");
        assert_eq!(strings.pointers.len(), 3);
        assert!(strings.pointers[2].is_null());
    }
}
