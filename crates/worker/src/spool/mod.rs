//! The output of attempts on disk, until the master has it.
//!
//! # Files
//!
//! `DATA/spool/JOB.NUMBER/OFFSET`: a directory per attempt, made with its first byte of output; in it segments, each
//! named by the offset of its first byte (20 decimal digits), and begun anew when it has reached
//! [`SEGMENT_BYTES`]. A segment is a sequence of frames:
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
//! Frames are written, not synchronised. After a crash the last frame may be cut off; what follows the last whole frame
//! is removed. Segments are deleted when the master has all of them.
//!
//! # Limits
//!
//! An attempt's output ends at the limit of its spec, or where the disk refused: what comes after is counted and
//! dropped, and never delays the job. In memory there is at most one frame per writer and one batch per reader.

mod frame;
mod log;
mod reader;
mod sink;
mod store;

pub use self::log::{LogProgress, SEGMENT_BYTES, SpoolLog};
pub use self::reader::{ReadError, SpoolReader};
pub use self::sink::SpoolSink;
pub use self::store::{Discarded, Spool, SpoolError};
