//! Reading the journal of a launcher.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use jobyard_core::{AttemptId, Exit, Timestamp};

use super::Record;
use crate::cage::CageName;
use crate::protocol::{End, JOURNAL};

/// An attempt of which a journal tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remembered {
    /// Which one.
    pub attempt: AttemptId,
    /// What keeps hold of its processes, with the warden if it has one.
    pub cage: CageName,
    /// Where its output is.
    pub output: PathBuf,
    /// How far it had come.
    pub state: RememberedState,
    /// Whether it was being killed, since its time was over.
    pub expired: bool,
}

/// How far an attempt had come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RememberedState {
    /// It was about to be forked, or was. Its program was perhaps executed, perhaps not.
    Starting,
    /// Its program was executed.
    Running {
        /// Its main process.
        pid: u32,
        /// When that started, in the kernel's ticks since boot.
        start_time: u64,
    },
    /// Its main process had ended. What that left was perhaps not killed yet, and its output perhaps not complete.
    Exited {
        /// Its main process.
        pid: u32,
        /// When that started, in the kernel's ticks since boot.
        start_time: u64,
        /// How it ended.
        exit: Exit,
        /// When.
        at: Timestamp,
    },
    /// It was over.
    Ended {
        /// Its main process.
        pid: u32,
        /// All of it.
        end: End,
    },
}

/// Reads the journal in the directory of a launcher: every attempt that was not forgotten. An attempt of which it does
/// not tell was never started by this launcher, or not successfully, and nothing of it runs.
///
/// Blocks. While the launcher lives, this is only how far it was just now.
///
/// # Errors
///
/// The file cannot be read. That there is none is no error: nothing was started.
pub fn read(dir: &Path) -> io::Result<Vec<Remembered>> {
    let file = match File::open(dir.join(JOURNAL)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut from = BufReader::new(file);
    let mut attempts = BTreeMap::new();
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        if let Some(record) = line.strip_suffix(b"\n").and_then(Record::from_line) {
            apply(&mut attempts, record);
        }
        line.clear();
    }
    Ok(attempts.into_values().collect())
}

fn apply(attempts: &mut BTreeMap<AttemptId, Remembered>, record: Record) {
    let attempt = record.attempt();
    if record.is_last() {
        attempts.remove(&attempt);
        return;
    }
    if let Record::Starting { cage, output, .. } = record {
        let state = RememberedState::Starting;
        let remembered = Remembered {
            attempt,
            cage,
            output,
            state,
            expired: false,
        };
        attempts.insert(attempt, remembered);
        return;
    }
    let Some(known) = attempts.get_mut(&attempt) else {
        return;
    };
    match record {
        Record::Warden {
            pid, start_time, ..
        } => known.cage = known.cage.clone().with_warden(pid, start_time),
        Record::Expired { .. } => known.expired = true,
        Record::Running {
            pid, start_time, ..
        } => known.state = RememberedState::Running { pid, start_time },
        Record::Exited { exit, at, .. } => {
            if let RememberedState::Running { pid, start_time } = known.state {
                known.state = RememberedState::Exited {
                    pid,
                    start_time,
                    exit,
                    at,
                };
            }
        }
        Record::Ended { end, .. } => {
            let pid = match known.state {
                RememberedState::Running { pid, .. } | RememberedState::Exited { pid, .. } => pid,
                RememberedState::Starting | RememberedState::Ended { .. } => return,
            };
            known.state = RememberedState::Ended { pid, end };
        }
        Record::Starting { .. } | Record::NotStarted { .. } | Record::Forgotten { .. } => {}
    }
}
