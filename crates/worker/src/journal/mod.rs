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
//! a [`JournalEntry`](crate::agent::JournalEntry). A last line that is cut off or does not match was being written when the worker died:
//! it is dropped, and nothing was done on its account. A wrong line before the last is damage, and refused.
//!
//! Entries are written, not synchronised: the system keeps what was written when the process dies, and when the
//! machine dies another boot begins, under which nothing that was accepted before can still run. What a power cut may
//! cost is a report; its attempt then ends at the master as one whose worker restarted.
//!
//! The file is rewritten without what is settled at each start, and when it has grown large: beside, then renamed.

mod file;
mod line;
mod live;

pub use self::file::{COMPACT_AT, Journal, JournalError};
