//! What a worker writes down, so that a later life knows what this one had.
//!
//! # The file
//!
//! `DATA/journal`, mode 0600 since specs hold environments. One entry a line, appended:
//!
//! ```text
//! CRC32 SPACE JSON NEWLINE
//! ```
//!
//! The checksum (CRC-32 of ISO-HDLC, as in gzip) is 8 lower-case hexadecimal digits over the bytes of the JSON, which is
//! a [`JournalEntry`](crate::agent::JournalEntry). What is wrong up to the end of the file was being written when the worker
//! or its machine died: it is dropped. If only the worker died, that is the last line, and nothing was done on its
//! account. A wrong line with right ones after it is damage, and refused.
//!
//! Entries are written, not synchronised: the system keeps what was written when the process dies. When the machine
//! dies, another boot begins, under which nothing that was accepted before can still run, and which the worker tells its
//! master in each hello: an attempt of which this worker knows nothing under another boot is over, and is not sent again.
//! So no attempt starts twice, whatever of the journal a power cut takes; what it may cost is a report. To wait for the
//! disk at each start would buy nothing but that, and would let a slow disk delay heartbeats.
//!
//! The file is rewritten without what is settled at each start, and when it has grown large: beside, then renamed.

mod file;
mod line;
mod live;

pub use self::file::{COMPACT_AT, Journal, JournalError};
