//! Keeps secrets out of output.
//!
//! # What is found
//!
//! Of each secret: the whole of it, the same without white space around it, with either kind of line end, and each of its
//! lines that has at least [`MIN_PART_BYTES`]. Each of these as it is, and, from that length on, in the forms in
//! which programs print what they are given: base64 in both alphabets, at all three positions that bytes can have in it,
//! padded or not, and broken into lines anywhere; percent-encoded; escaped for JSON, XML and shells.
//!
//! A text of more than [`PIECE_BYTES`] is found by its pieces, which overlap: the whole of it is covered, and so is a part
//! that was cut off at such a place.
//!
//! Among the letters of base64 there may be line ends, wherever in an occurrence, each behind at least
//! [`MIN_LINE_LETTERS`] letters and right before the next one. They belong to the occurrence.
//!
//! # What becomes of it
//!
//! Every byte that lies in an occurrence of anything is replaced; occurrences that overlap or touch each other become one
//! [`MASK`](jobyard_core::MASK). So what comes out says neither how long a secret is nor, of two that overlap, any part.
//! Nothing else is changed, and nothing depends on how the output was cut into pieces: only what may still become an
//! occurrence is held back, at most [`PIECE_BYTES`] less one of each stream, and the line ends among these.
//!
//! # How
//!
//! The patterns are kept sorted. Those that are a beginning of a text are then found from its place in that order; those
//! of which the text is a beginning follow right behind it. Where none can begin is
//! found out by a table of what a pattern's first bytes consist of, which skips most positions unseen (Wu and Manber, "A
//! fast algorithm for multi-pattern searching", 1994).
//!
//! What has no line end within is found that way, and the rest around line ends alone: where the letters on both sides of
//! one are next to each other in some pattern, the letters around it are copied without line ends, and searched.

mod forms;
mod late;
mod masks;
mod patterns;
mod stream;
mod wrapped;

pub use self::forms::{MIN_PART_BYTES, PIECE_BYTES};
pub use self::late::{LateMaskFilter, LateMasks};
pub use self::masks::{MaskFilter, Masks};
pub use self::stream::StreamMasker;
pub use self::wrapped::MIN_LINE_LETTERS;

#[cfg(test)]
mod tests;
