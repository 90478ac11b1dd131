//! What happened, in order: the events of jobs, workers and the master itself.

use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, AttemptNumber, Complaint, ControlError, Epoch, JobId, Outcome, RetryBudget,
    Timestamp, WorkerId,
};

/// Something that happened and that is durable.
///
/// Each has its place in one sequence for the whole cluster, from 1, without a gap, across restarts of the master. An
/// event becomes visible with the commit of what it tells of, never before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Its place.
    pub seq: u64,
    /// When, by the master's clock for people.
    pub time: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

impl Event {
    /// Something that happened.
    pub const fn new(seq: u64, time: Timestamp, what: Happening) -> Self {
        Self { seq, time, what }
    }
}

/// What happened. In JSON, `kind` says which, and the fields stand beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happening {
    /// A master began to lead.
    TermBegan {
        /// Its term.
        epoch: Epoch,
    },
    /// A job was accepted.
    JobSubmitted {
        /// Which.
        job_id: JobId,
        /// Who submitted it.
        by: String,
        /// Where it waits.
        queue: String,
        /// The job that it repeats, by `retry`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_of: Option<JobId>,
    },
    /// An attempt was sent to a worker.
    AttemptAssigned {
        /// Of which job.
        job_id: JobId,
        /// Which of its attempts.
        attempt: AttemptNumber,
        /// Where to.
        worker_id: WorkerId,
    },
    /// An attempt runs.
    AttemptStarted {
        /// Of which job.
        job_id: JobId,
        /// Which of its attempts.
        attempt: AttemptNumber,
        /// Where.
        worker_id: WorkerId,
    },
    /// An attempt ended.
    AttemptFinished {
        /// Of which job.
        job_id: JobId,
        /// Which of its attempts.
        attempt: AttemptNumber,
        /// Where it was.
        worker_id: WorkerId,
        /// What became of it.
        outcome: Outcome,
    },
    /// A job waits for another attempt.
    JobRequeued {
        /// Which.
        job_id: JobId,
        /// After which attempt.
        attempt: AttemptNumber,
        /// Who pays.
        budget: RetryBudget,
        /// How long it waits before it may be sent again.
        #[serde(with = "crate::time::millis")]
        wait: Duration,
    },
    /// Somebody asked for a job to be stopped.
    JobStopping {
        /// Which.
        job_id: JobId,
        /// Who.
        by: String,
        /// Whether it is ended in the books at once.
        force: bool,
    },
    /// A job is over.
    JobFinished {
        /// Which.
        job_id: JobId,
        /// What became of it.
        outcome: Outcome,
    },
    /// A machine joined.
    WorkerEnrolled {
        /// Who.
        worker_id: WorkerId,
        /// What it is called.
        name: String,
    },
    /// A worker opened a session.
    WorkerConnected {
        /// Who.
        worker_id: WorkerId,
        /// From where.
        address: String,
    },
    /// A worker's session is over.
    WorkerDisconnected {
        /// Who.
        worker_id: WorkerId,
    },
    /// A worker was suspended.
    WorkerSuspended {
        /// Who.
        worker_id: WorkerId,
        /// By whom.
        by: String,
    },
    /// A worker was resumed.
    WorkerResumed {
        /// Who.
        worker_id: WorkerId,
        /// By whom.
        by: String,
    },
    /// A worker gets no more jobs, and is to finish those that it has.
    WorkerDraining {
        /// Who.
        worker_id: WorkerId,
        /// By whom.
        by: String,
    },
    /// A worker that drains has nothing left.
    WorkerDrained {
        /// Who.
        worker_id: WorkerId,
    },
    /// A worker was removed.
    WorkerRemoved {
        /// Who.
        worker_id: WorkerId,
        /// By whom.
        by: String,
    },
    /// What a worker complains about has changed.
    WorkerComplained {
        /// Who.
        worker_id: WorkerId,
        /// What it says; empty: it takes jobs again.
        complaints: Vec<Complaint>,
    },
    /// The settings of a queue have changed.
    QueueChanged {
        /// Which.
        queue: String,
        /// By whom.
        by: String,
    },
    /// Something that this version does not know.
    #[serde(untagged)]
    Other {
        /// What it is called.
        kind: String,
        /// Everything else that is said of it.
        #[serde(flatten)]
        details: std::collections::BTreeMap<String, EventDetail>,
    },
}

/// A value of an event that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EventDetail {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// Several.
    List(Vec<EventDetail>),
    /// Several with names.
    Map(std::collections::BTreeMap<String, EventDetail>),
    /// Nothing.
    None,
}

impl Happening {
    /// What became of a job or an attempt, where it tells of an end.
    pub const fn outcome(&self) -> Option<Outcome> {
        match *self {
            Self::AttemptFinished { outcome, .. } | Self::JobFinished { outcome, .. } => {
                Some(outcome)
            }
            _ => None,
        }
    }

    /// The attempt that it tells of.
    pub const fn attempt(&self) -> Option<AttemptId> {
        match *self {
            Self::AttemptAssigned {
                job_id, attempt, ..
            }
            | Self::AttemptStarted {
                job_id, attempt, ..
            }
            | Self::AttemptFinished {
                job_id, attempt, ..
            }
            | Self::JobRequeued {
                job_id, attempt, ..
            } => Some(AttemptId::new(job_id, attempt)),
            _ => None,
        }
    }
}

/// Which events to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventQuery {
    /// From this place on; `None`: with `follow` only what happens from now on, else everything that is kept.
    pub from: Option<u64>,
    /// Go on with what happens later; without, end at what is there.
    pub follow: bool,
}

impl EventQuery {
    /// From this place on, to the end of what is there or beyond.
    pub const fn new(from: Option<u64>, follow: bool) -> Self {
        Self { from, follow }
    }
}

/// Events in order, without a gap. Ends after an error, or at the end of what is there. Dropping it ends the reading.
///
/// A reader that is slow is not waited for: it reads what is kept, at its own speed. If it falls behind what is kept, it
/// is told [`ControlError::Gone`].
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Event, ControlError>> + Send>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_newer_version_keeps_what_it_says() {
        let text = r#"{"seq":7,"time":5,"kind":"moon_rose","phase":"full","of":[1,true,null]}"#;
        let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let event: Event = serde_json::from_value(value.clone()).expect("an event");
        let Happening::Other { kind, details } = &event.what else {
            panic!("{event:?}");
        };
        assert_eq!((kind.as_str(), details.len()), ("moon_rose", 2));
        assert_eq!(serde_json::to_value(&event).expect("JSON"), value);
    }

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let what = Happening::AttemptFinished {
            job_id: JobId::from_uuid(uuid::Uuid::from_u128(1)),
            attempt: AttemptNumber::FIRST,
            worker_id: WorkerId::from_uuid(uuid::Uuid::from_u128(2)),
            outcome: Outcome::Succeeded,
        };
        let event = Event::new(3, Timestamp::from_micros(9), what);
        let text = serde_json::to_string(&event).expect("JSON");
        assert!(text.contains(r#""kind":"attempt_finished""#), "{text}");
        assert_eq!(serde_json::from_str::<Event>(&text).ok(), Some(event));
    }
}
