//! What is asked and answered about jobs.

use std::collections::BTreeMap;
use std::pin::Pin;

use futures_core::Stream;

use super::ControlError;
use crate::{
    AttemptId, AttemptNumber, Job, JobId, JobState, LogChunk, LogStatus, Outcome, OutputStream,
    ValidSpec,
};

/// How many jobs one submit call takes. Larger lists go in several calls, each idempotent.
pub const MAX_SUBMIT_JOBS: usize = 1_000;

/// A job to submit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewJob {
    /// Its id, minted or chosen by the client.
    pub id: JobId,
    /// What it asks for.
    pub spec: ValidSpec,
}

impl NewJob {
    /// A job with this id.
    pub const fn new(id: JobId, spec: ValidSpec) -> Self {
        Self { id, spec }
    }
}

/// A job that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Submitted {
    /// Its id.
    pub id: JobId,
    /// Whether it is new; false if it was known already.
    pub created: bool,
}

impl Submitted {
    /// The answer for one job.
    pub const fn new(id: JobId, created: bool) -> Self {
        Self { id, created }
    }
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobQuery {
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only of this queue.
    pub queue: Option<String>,
    /// Only with all of these labels.
    pub labels: BTreeMap<String, String>,
    /// At most this many; 0 means 100, the most is [`MAX_PAGE`](crate::MAX_PAGE).
    pub limit: usize,
    /// What the page before said in [`JobPage::next`].
    pub after: Option<u64>,
}

/// A page of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// What to ask for next; `None` at the end.
    pub next: Option<u64>,
}

impl JobPage {
    /// These jobs, and where the next page begins.
    pub const fn new(jobs: Vec<Job>, next: Option<u64>) -> Self {
        Self { jobs, next }
    }
}

/// Which output to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogQuery {
    /// Of which job.
    pub job: JobId,
    /// Of which attempt; `None`: the newest, or with `follow` each that is still to come as well.
    pub attempt: Option<AttemptNumber>,
    /// From which byte on (of the first attempt that is shown).
    pub from: u64,
    /// Only the last so many bytes of what is there now; wins over `from`.
    pub tail: Option<u64>,
    /// Only the last so many lines of what is there now, of [`stream`](Self::stream) if one is chosen and else of the
    /// one sequence; wins over `tail` and `from`. A last line without a line end counts.
    pub tail_lines: Option<u64>,
    /// Only this stream. Offsets stay those of the one sequence.
    pub stream: Option<OutputStream>,
    /// Go on until the job (or the chosen attempt) is over and its output complete; without, stop at what is there.
    pub follow: bool,
}

impl LogQuery {
    /// All that is there of the newest attempt.
    pub const fn new(job: JobId) -> Self {
        Self {
            job,
            attempt: None,
            from: 0,
            tail: None,
            tail_lines: None,
            stream: None,
            follow: false,
        }
    }
}

/// Output as it arrives. Ends after [`LogItem::End`] or an error. Dropping it ends the reading.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<LogItem, ControlError>> + Send>>;

/// A piece of what a follower sees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogItem {
    /// Where the reading begins, before anything was printed: who asks again, for this attempt and from there, misses
    /// nothing, whatever happened meanwhile. First item, and once; masters of earlier releases do not say it.
    Begin {
        /// Whose output comes first; also if the attempt is still to come.
        attempt: AttemptId,
        /// The first byte.
        from: u64,
    },
    /// Output.
    Chunk {
        /// Whose.
        attempt: AttemptId,
        /// The bytes.
        chunk: LogChunk,
    },
    /// The output of one attempt is over.
    AttemptEnd {
        /// Whose.
        attempt: AttemptId,
        /// What is held of it.
        log: LogStatus,
    },
    /// Nothing follows. Last item.
    End {
        /// What became of the job; `None` if it is not finished.
        outcome: Option<Outcome>,
    },
}
