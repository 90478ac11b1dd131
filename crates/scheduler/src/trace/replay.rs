//! The side that reads.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use jobyard_core::Now;

use super::decoder::{self, Decoder, NoPolicy};
use super::digest::Digest;
use super::reader::{Broken, Reader};
use super::{MAGIC, VERSION};
use crate::{Decision, Event, Scheduler, Score};

/// Runs a trace through a new scheduler. Yields each event with the decisions that followed, as long as they are those
/// that were recorded; the first error is the last item.
///
/// The bytes may come from anywhere: what is no trace is refused, and what is read takes memory in proportion to its
/// size.
#[derive(Debug)]
pub struct Replay<'a> {
    records: Reader<'a>,
    decoder: Decoder,
    scheduler: Scheduler,
    events: u64,
    over: bool,
}

/// One event of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Which: 0 for the first.
    pub event_index: u64,
    /// When it happened.
    pub now: Now,
    /// What happened.
    pub event: Event,
    /// What followed.
    pub decisions: Vec<Decision>,
}

impl<'a> Replay<'a> {
    /// Reads the head of a trace.
    pub fn new(bytes: &'a [u8]) -> Result<Self, ReplayError> {
        Self::start(bytes, None)
    }

    /// The same for a trace of a host that placed by its own score. Must be the same score; a trace without one does not
    /// ask it.
    pub fn with_score(bytes: &'a [u8], score: Arc<dyn Score>) -> Result<Self, ReplayError> {
        Self::start(bytes, Some(score))
    }

    fn start(bytes: &'a [u8], score: Option<Arc<dyn Score>>) -> Result<Self, ReplayError> {
        let mut records = Reader::new(bytes);
        let magic = records.raw(MAGIC.len());
        if magic != Ok(MAGIC.as_slice()) {
            return Err(ReplayError::BadHeader);
        }
        match records.byte() {
            Ok(VERSION) => {}
            Ok(version) => return Err(ReplayError::UnknownVersion { version }),
            Err(_) => return Err(ReplayError::BadHeader),
        }
        let body = frame(&mut records).map_err(|_| ReplayError::BadHeader)?;
        let policy =
            decoder::policy(&mut Reader::new(body), score).map_err(|problem| match problem {
                NoPolicy::Broken => ReplayError::BadHeader,
                NoPolicy::ScoreNeeded => ReplayError::ScoreNeeded,
            })?;
        Ok(Self {
            records,
            decoder: Decoder::new(),
            scheduler: Scheduler::with_policy(policy),
            events: 0,
            over: false,
        })
    }

    /// The scheduler after the events so far: to ask it why a job waits.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The scheduler after the events so far, to go on with.
    pub fn into_scheduler(self) -> Scheduler {
        self.scheduler
    }

    fn step(&mut self) -> Result<Step, ReplayError> {
        let at = self.records.at();
        let body = frame(&mut self.records).map_err(|problem| match problem {
            Broken::Cut => ReplayError::Truncated { at },
            Broken::Wrong => ReplayError::Corrupt { at },
        })?;
        let record = self.decoder.record(&mut Reader::new(body));
        let (now, event, followed) = record.map_err(|_| ReplayError::Corrupt { at })?;
        let mut decisions = Vec::new();
        self.scheduler.handle(now, event.clone(), &mut decisions);
        let digest = (!decisions.is_empty()).then(|| Digest::of_decisions(&decisions));
        if followed.decisions != decisions.len() as u64 || followed.digest != digest {
            return Err(ReplayError::Diverged { event: self.events });
        }
        let event_index = self.events;
        self.events += 1;
        Ok(Step {
            event_index,
            now,
            event,
            decisions,
        })
    }
}

impl Iterator for Replay<'_> {
    type Item = Result<Step, ReplayError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over || self.records.is_empty() {
            return None;
        }
        let step = self.step();
        self.over = step.is_err();
        Some(step)
    }
}

/// The body of the next record.
fn frame<'a>(records: &mut Reader<'a>) -> Result<&'a [u8], Broken> {
    let size = records.small()?;
    let body = records.raw(size)?;
    if records.four()? == Digest::of(body) {
        Ok(body)
    } else {
        Err(Broken::Wrong)
    }
}

/// Why a trace cannot be replayed, or not further. Trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// These bytes are no trace, or the head of one is damaged.
    BadHeader,
    /// It was written by a version that this one does not know.
    UnknownVersion {
        /// Of the format.
        version: u8,
    },
    /// The host placed by its own score: use [`Replay::with_score`].
    ScoreNeeded,
    /// The last record is not whole, as after a crash. All before it was replayed.
    Truncated {
        /// Where it begins, in bytes.
        at: usize,
    },
    /// A record is damaged. All before it was replayed.
    Corrupt {
        /// Where it begins, in bytes.
        at: usize,
    },
    /// Other decisions followed than were recorded: another version decides otherwise, an event was not recorded, or the
    /// host's score is not the same.
    Diverged {
        /// After which event: 0 for the first.
        event: u64,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadHeader => f.write_str("the bytes are no trace of a scheduler"),
            Self::UnknownVersion { version } => {
                write!(f, "the trace has version {version}, and {VERSION} is known")
            }
            Self::ScoreNeeded => {
                f.write_str("the host placed by a score of its own, which the replay needs as well")
            }
            Self::Truncated { at } => {
                write!(f, "the trace ends within the record at byte {at}")
            }
            Self::Corrupt { at } => write!(f, "the record at byte {at} is damaged"),
            Self::Diverged { event } => {
                write!(
                    f,
                    "after event {event} other decisions followed than were recorded"
                )
            }
        }
    }
}

impl Error for ReplayError {}
