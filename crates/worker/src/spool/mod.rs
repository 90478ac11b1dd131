//! The output of attempts on disk, until the master has it.
//!
//! # Files
//!
//! `DATA/spool/JOB.NUMBER/`: a directory per attempt in the format of [`jobyard_launcher::spool`]. Segments are deleted
//! when the master has all of them. A launcher writes the directory itself and says how far it is; what this process
//! finds there at its start is read as far as it is whole, and cut only where this process itself goes on writing.
//!
//! # Limits
//!
//! All output together has a [budget](DEFAULT_SPOOL_BUDGET). What the master has goes first, by segments, as soon as it has
//! them. When the rest exceeds the budget, the output of the attempt of which the master lacks most is given up: it is lost
//! from where the master has it, and the job goes on. Attempts of which it lacks less than [`GUARANTEED_BYTES`] keep theirs.
//!
//! An attempt's output ends at the limit of its spec, or where the disk refused: what comes after is counted and
//! dropped, and never delays the job. In memory there is at most one frame per writer and one batch per reader.

mod budget;
mod log;
mod reader;
mod sink;
mod store;
mod tombstone;

pub use self::budget::{DEFAULT_SPOOL_BUDGET, GUARANTEED_BYTES};
pub use self::log::{LogProgress, SpoolLog};
pub use self::reader::{CHUNK_COST, ReadError, SpoolReader};
pub use self::sink::SpoolSink;
pub use self::store::{Discarded, Spool, SpoolError};
pub use jobyard_launcher::spool::SEGMENT_BYTES;
