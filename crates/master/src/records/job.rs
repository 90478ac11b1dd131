//! Records of jobs and of their specs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    Attempt, Job, JobId, JobOrigin, JobState, Outcome, Record, Timestamp, ValidSpec, millis,
};
use serde::{Deserialize, Serialize};

use super::body::body;
use super::demand::Demand;
use super::kind::{JOB, SPEC};

/// A job without its spec: all that the engine decides by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// Its place in the order of submission.
    pub sequence: u64,
    /// Where it stands.
    pub state: JobState,
    /// What became of it.
    pub outcome: Option<Outcome>,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// Who submitted it.
    pub submitted_by: String,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What it asks of the scheduler and of the engine.
    pub demand: Demand,
    /// How much of [`Demand::queue_timeout`] was left when this was written. `None` from its first start on.
    #[serde(
        default,
        with = "millis::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub queue_left: Option<Duration>,
    /// Tells a repeated submit from another job with the same id.
    pub digest: SpecDigest,
    /// Somebody asked for it to be stopped, with this grace.
    #[serde(
        default,
        with = "millis::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub stop_grace: Option<Duration>,
    /// Attempts that the infrastructure has cost so far.
    #[serde(default)]
    pub infra_failures: u32,
    /// Attempts that were followed by another one because the job had failed by itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub own_failures: u32,
    /// How much was left, when this was written, of the wait before another attempt. `None`: it does not wait for that.
    #[serde(
        default,
        with = "millis::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_left: Option<Duration>,
    /// When that wait is over, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Its current attempt was told to stop, or is to be told, because its worker is drained.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drained: bool,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// For listings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For search.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Why it was submitted.
    #[serde(default, skip_serializing_if = "is_manual")]
    pub origin: JobOrigin,
}

/// The first half of the SHA-256 of a spec's JSON, in hexadecimal. That of a job which repeats another one covers the
/// other's id too: with the same spec it is not the same submit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpecDigest(pub String);

impl JobRecord {
    /// The job as its users see it.
    pub fn into_job(self, spec: ValidSpec) -> Job {
        let mut job = Job::new(
            self.id,
            spec,
            self.sequence,
            self.submitted_at,
            self.submitted_by,
        );
        job.state = self.state;
        job.outcome = self.outcome;
        job.finished_at = self.finished_at;
        job.attempts = self.attempts;
        job.retry_at = self.retry_at;
        job.origin = self.origin;
        job
    }

    /// The record to keep. `live` as long as the engine still waits for something of it; from then on it has its place
    /// among what has ended, by the microsecond.
    pub fn to_record(&self, live: bool) -> Record {
        let mut record = Record::new(JOB, self.id.to_string(), body(self));
        record.fields.live = live;
        record.fields.order = self.sequence;
        let over = self.finished_at.filter(|_| !live);
        record.fields.ended = over.and_then(|at| u64::try_from(at.as_micros()).ok());
        record.fields.state = Some(Cow::Borrowed(self.state.as_str()));
        record.fields.name.clone_from(&self.name);
        record.fields.group = Some(self.demand.queue.to_string());
        record.fields.labels = self
            .labels
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        record
    }
}

pub(super) fn is_manual(origin: &JobOrigin) -> bool {
    *origin == JobOrigin::Manual
}

// serde hands a reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

// serde hands a reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
const fn is_false(truth: &bool) -> bool {
    !*truth
}

/// The record of a spec, from JSON that was made of a valid one.
pub fn spec_record(job: JobId, sequence: u64, spec_json: Bytes) -> Record {
    let mut record = Record::new(SPEC, job.to_string(), spec_json);
    record.fields.live = false;
    record.fields.order = sequence;
    record
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use jobyard_core::{ExecutorSpec, JobSpec};

    #[test]
    fn a_job_reads_back_as_it_was_written() {
        let spec = JobSpec::new(ExecutorSpec::new("process", "{}"))
            .validate()
            .expect("a valid spec");
        let record = JobRecord {
            id: JobId::from_uuid(uuid::Uuid::from_u128(1)),
            sequence: 7,
            state: JobState::Queued,
            outcome: None,
            submitted_at: Timestamp::from_micros(5),
            submitted_by: "ann".to_owned(),
            finished_at: None,
            demand: Demand::of(&spec),
            queue_left: Some(Duration::from_secs(9)),
            digest: SpecDigest("00".to_owned()),
            stop_grace: Some(Duration::from_secs(3)),
            infra_failures: 1,
            own_failures: 2,
            retry_left: Some(Duration::from_millis(1_500)),
            retry_at: Some(Timestamp::from_micros(8)),
            drained: true,
            attempts: Vec::new(),
            name: None,
            labels: BTreeMap::new(),
            origin: JobOrigin::Manual,
        };
        let kept = record.to_record(true);
        assert_eq!(read::<JobRecord>(&kept), Ok(record));
        assert_eq!(kept.fields.group.as_deref(), Some("default"));
    }
}
