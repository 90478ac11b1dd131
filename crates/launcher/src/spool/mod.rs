//! The format in which output waits on a worker's disk.
//!
//! # Files
//!
//! One directory per attempt, made with its first byte of output; in it segments, each named by the offset of its first
//! byte (20 decimal digits), and begun anew when it has reached [`SEGMENT_BYTES`]. A segment is a sequence of frames:
//!
//! | bytes | what | encoding |
//! |---|---|---|
//! | 4 | CRC-32 (ISO-HDLC) of everything after it | big-endian |
//! | 4 | length of the output in this frame, 1 to 65,536 | big-endian |
//! | 8 | offset of its first byte in the attempt's one sequence | big-endian |
//! | 8 | when it was read: microseconds since 1970, the worker's clock | big-endian, signed |
//! | 1 | stream: 1 standard output, 2 standard error | |
//! | n | the output | as it came |
//!
//! Offsets count what is kept: they are given after a [`Filter`] has masked what must not be seen.
//!
//! One process writes a directory, and others read it meanwhile: a frame that is not whole yet is the end so far. Only
//! who goes on writing may cut it off. Frames are written, not synchronised.

pub mod frame;

mod filter;
pub mod mask;
mod writer;

pub use self::filter::{Filter, PassThrough};
pub use self::mask::{LateMaskFilter, LateMasks, MaskFilter, Masks, StreamMasker};
pub use self::writer::{SEGMENT_BYTES, SpoolWriter, segment_path};
