//! One line of a journal.

use std::fmt::Write as _;
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

/// What most lines have at most.
const USUAL_BYTES: usize = 768;

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
    pub(super) fn write_line(&self, out: &mut String) -> Result<(), serde_json::Error> {
        let mut json = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut json, self)?;
        let json = str::from_utf8(&json).map_err(serde::ser::Error::custom)?;
        let crc = crc32fast::hash(json.as_bytes());
        // A string takes everything.
        let _ = write!(out, "{crc:08x} ");
        out.push_str(json);
        out.push('\n');
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
