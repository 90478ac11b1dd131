//! One line of a journal.

use std::path::PathBuf;

use jobyard_core::{AttemptId, Exit, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cage::CageName;
use crate::protocol::End;

/// Something that happened to an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Record {
    /// It is about to be forked.
    Starting {
        attempt: AttemptId,
        cage: CageName,
        output: PathBuf,
    },
    /// This process was forked, and stands above what it forks itself.
    Warden {
        attempt: AttemptId,
        pid: u32,
        start_time: u64,
    },
    /// Its program was executed.
    Running {
        attempt: AttemptId,
        pid: u32,
        start_time: u64,
    },
    /// Its program was not executed, and nothing is left of it. Where something may be left, it stays at its start.
    NotStarted { attempt: AttemptId },
    /// Its time was over, and it is being killed for that.
    Expired { attempt: AttemptId },
    /// Its main process has ended.
    Exited {
        attempt: AttemptId,
        exit: Exit,
        at: Timestamp,
    },
    /// It is over.
    Ended { attempt: AttemptId, end: End },
    /// Somebody else has written down all of it.
    Forgotten { attempt: AttemptId },
}

/// What stands before the JSON: its checksum in hexadecimal, and a space.
const PREFIX_BYTES: usize = 9;

fn hex(number: u32) -> [u8; 8] {
    let mut digits = *b"00000000";
    for (digit, shift) in digits.iter_mut().zip((0..8).rev()) {
        *digit = b"0123456789abcdef"[(number >> (4 * shift)) as usize & 0xf];
    }
    digits
}

impl Record {
    /// Of which attempt.
    pub(crate) const fn attempt(&self) -> AttemptId {
        match self {
            Self::Starting { attempt, .. }
            | Self::Warden { attempt, .. }
            | Self::Running { attempt, .. }
            | Self::NotStarted { attempt }
            | Self::Expired { attempt }
            | Self::Exited { attempt, .. }
            | Self::Ended { attempt, .. }
            | Self::Forgotten { attempt } => *attempt,
        }
    }

    /// Whether nothing need be remembered of its attempt after it.
    pub(crate) const fn is_last(&self) -> bool {
        matches!(self, Self::NotStarted { .. } | Self::Forgotten { .. })
    }

    /// Appends a line, with its end. Nothing is appended if that fails.
    pub(super) fn write_line(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let begin = out.len();
        let json = begin + PREFIX_BYTES;
        out.resize(json, b' ');
        if let Err(error) = serde_json::to_writer(&mut *out, self) {
            out.truncate(begin);
            return Err(error);
        }
        let crc = hex(crc32fast::hash(&out[json..]));
        out[begin..begin + crc.len()].copy_from_slice(&crc);
        out.push(b'\n');
        Ok(())
    }

    /// From a line without its end; `None`: it is not whole, or not of this format.
    pub(super) fn from_line(line: &[u8]) -> Option<Self> {
        let (crc, rest) = line.split_first_chunk::<8>()?;
        let json = rest.strip_prefix(b" ")?;
        let crc = u32::from_str_radix(str::from_utf8(crc).ok()?, 16).ok()?;
        if crc != crc32fast::hash(json) {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}
