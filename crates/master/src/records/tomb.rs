//! What stays of jobs that retention has removed.

use jobyard_core::{AttemptId, JobId, JobOrigin, Record, Timestamp};
use serde::{Deserialize, Serialize};

use super::body::body;
use super::job::{JobRecord, SpecDigest, is_manual};
use super::kind::RETENTION;

/// What stays of a job: enough to know a late repeat of its submit, and whose it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tomb {
    /// Tells a repeated submit from another job with the same id.
    pub digest: SpecDigest,
    /// Who submitted it.
    pub owner: String,
    /// Why it was submitted.
    #[serde(default, skip_serializing_if = "is_manual")]
    pub origin: JobOrigin,
}

impl Tomb {
    /// What stays of this job.
    pub fn of(job: &JobRecord) -> Self {
        Self {
            digest: job.digest.clone(),
            owner: job.submitted_by.clone(),
            origin: job.origin,
        }
    }

    /// The record to keep of a job that is forgotten now.
    pub fn to_record(&self, job: JobId, now: Timestamp) -> Record {
        let when = u64::try_from(now.as_micros()).unwrap_or(0);
        Record::tombstone(job.to_string(), when, body(self))
    }
}

/// How far retention has come. Written with each portion that is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRecord {
    /// The highest place in the order of submission of any job that was removed: the next job stands above it, even if
    /// nothing is left.
    pub sequence: u64,
    /// Attempts of the last portion. Their output is removed after the commit; a term that begins does it once more.
    pub logs: Vec<AttemptId>,
}

impl RetentionRecord {
    /// The key of the one record.
    pub const KEY: &str = "jobs";

    /// The record to keep.
    pub fn to_record(&self) -> Record {
        let mut record = Record::new(RETENTION, Self::KEY, body(self));
        record.fields.live = false;
        record
    }
}
