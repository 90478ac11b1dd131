//! What a launcher writes down, so that everything is known when it dies.
//!
//! # The file
//!
//! `journal` in the launcher's directory: one line for each thing that happened, written before anybody is told of it.
//! A line is the CRC-32 (ISO-HDLC) of the rest in eight hexadecimal digits, a space, and JSON. A line that is not whole
//! or not right is skipped: it is what a death, or a full disk, has left of one.
//!
//! Lines are written, not synchronised. They survive the death of the launcher, which is what they are for. After a loss
//! of power the machine has booted anew, and nothing runs of which they could tell.
//!
//! The file grows with each attempt, and is written anew without the forgotten ones when it has become large.
//!
//! # For whom
//!
//! An agent that finds the directory of a dead launcher (its `lock` can be taken) [`read`]s what was: each attempt that
//! was not forgotten, and how far it had come. What had ended is reported as it ended. What had not is killed by
//! [`CageName::end_left_over`](crate::cage::CageName::end_left_over).

mod reader;
mod record;
mod writer;

pub use self::reader::{Remembered, RememberedState, read};
pub(crate) use self::record::Record;
pub(crate) use self::writer::Journal;

#[cfg(test)]
mod tests;
