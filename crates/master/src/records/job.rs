//! Records of jobs and of their specs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{Attempt, Job, JobId, JobState, Outcome, Record, Timestamp, ValidSpec, millis};
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
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// For listings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For search.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The first half of the SHA-256 of a spec's JSON, in hexadecimal.
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
        job
    }

    /// The record to keep. `live` as long as the engine still waits for something of it.
    pub fn to_record(&self, live: bool) -> Record {
        let mut record = Record::new(JOB, self.id.to_string(), body(self));
        record.fields.live = live;
        record.fields.order = self.sequence;
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
            attempts: Vec::new(),
            name: None,
            labels: BTreeMap::new(),
        };
        let kept = record.to_record(true);
        assert_eq!(read::<JobRecord>(&kept), Ok(record));
        assert_eq!(kept.fields.group.as_deref(), Some("default"));
    }
}
