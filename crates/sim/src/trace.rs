//! The history of a world: its end as notes for people, all of it as one number.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use jobyard_core::{AttemptId, Steady};

use crate::agenda::short;

/// How many notes are kept for the report of a failure: about the last second of a busy world.
const MAX_NOTES: usize = 160;

/// Keeps the last notes, and a hash over all of them.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    notes: VecDeque<Note>,
    /// Every note is kept.
    pub(crate) is_whole: bool,
    /// Everything about each attempt: a world has few of them, and each has a short life.
    attempts: BTreeMap<AttemptId, Vec<Note>>,
    hash: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) at: Steady,
    pub(crate) what: &'static str,
    pub(crate) worker: Option<usize>,
    pub(crate) attempt: Option<AttemptId>,
}

impl Trace {
    pub(crate) fn note(&mut self, note: Note) {
        self.mix(&note.at.as_micros().to_le_bytes());
        self.mix(note.what.as_bytes());
        self.mix(&note.worker.unwrap_or(usize::MAX).to_le_bytes());
        if let Some(attempt) = note.attempt {
            self.mix(attempt.job.as_uuid().as_bytes());
            self.mix(&attempt.number.get().to_le_bytes());
            let known = self.attempts.entry(attempt).or_default();
            known.push(note.clone());
        }
        if self.notes.len() >= MAX_NOTES && !self.is_whole {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn last_notes(&self) -> Vec<String> {
        self.notes.iter().map(ToString::to_string).collect()
    }

    /// The whole history of every attempt whose job a text names.
    pub(crate) fn histories(&self, text: &str) -> Vec<String> {
        let named = |attempt: &AttemptId| text.contains(&attempt.job.to_string());
        self.attempts
            .iter()
            .filter(|(attempt, _)| named(attempt))
            .flat_map(|(_, notes)| notes.iter().map(ToString::to_string))
            .collect()
    }

    /// FNV-1a over words of eight bytes, which is enough to tell two histories apart.
    fn mix(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.hash = (self.hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3);
            self.hash ^= self.hash >> 29;
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.at.as_micros();
        write!(f, "{:>4}.{:06} ", micros / 1_000_000, micros % 1_000_000)?;
        match self.worker {
            Some(worker) => write!(f, "w{worker} ")?,
            None => f.write_str("   ")?,
        }
        f.write_str(self.what)?;
        if let Some(attempt) = self.attempt {
            write!(f, " {}/{}", short(attempt.job), attempt.number)?;
        }
        Ok(())
    }
}
