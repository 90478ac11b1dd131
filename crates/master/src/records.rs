//! What the master writes into its store, and how it reads it back.
//!
//! | kind | key | live | body |
//! |---|---|---|---|
//! | `job` | job id | until it is finished and its output settled | [`JobRecord`] |
//! | `spec` | job id | no: fetched when an attempt is sent or shown | the [`JobSpec`](jobyard_core::JobSpec) as it was accepted |
//! | `worker` | worker id | yes, removed ones too: they must stay refused | [`WorkerRecord`] |
//! | `token` | token id | yes | [`TokenRecord`] |
//! | `audit` | place | no | [`AuditEntry`] |
//!
//! A job's spec is written once; what changes is small.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    AdminState, Attempt, AuditEntry, BootId, Epoch, Job, JobId, JobState, Outcome, Record,
    RecordKind, Requirement, TagSet, Timestamp, ValidSpec, WorkerFacts, WorkerId, millis,
};
use jobyard_pki::{SpkiHash, TokenRecord};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Jobs.
pub const JOB: RecordKind = RecordKind("job");
/// Specs of jobs.
pub const SPEC: RecordKind = RecordKind("spec");
/// Workers.
pub const WORKER: RecordKind = RecordKind("worker");
/// Join tokens.
pub const TOKEN: RecordKind = RecordKind("token");
/// The audit trail.
pub const AUDIT: RecordKind = RecordKind("audit");

/// What a term needs to resume, in the order in which it is needed.
pub const LIVE_KINDS: [RecordKind; 3] = [TOKEN, WORKER, JOB];

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

/// The part of a spec by which the engine decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The lane in which it waits.
    pub queue: String,
    /// What it asks of a worker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<Requirement>,
    /// The only worker that will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// How many slots it takes.
    pub slots: u32,
    /// How often the infrastructure may fail it.
    pub infra_retries: u32,
    /// Whether a second attempt is harmless.
    pub repeatable: bool,
    /// How long it may take to end, unless a stop says otherwise.
    #[serde(with = "millis")]
    pub grace: Duration,
}

impl Demand {
    /// What a spec asks for. The executor is a requirement like any other: workers offer `executor=NAME`.
    pub fn of(spec: &ValidSpec) -> Self {
        let mut requirements = spec.requirements.clone();
        // A checked executor name is always a valid value of a tag.
        requirements.extend(format!("executor={}", spec.executor.name).parse::<Requirement>());
        Self {
            queue: spec.queue.clone(),
            requirements,
            worker: spec.worker.clone(),
            slots: spec.slots,
            infra_retries: spec.infra_retries,
            repeatable: spec.repeatable,
            grace: spec.grace,
        }
    }
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
        record.fields.group = Some(self.demand.queue.clone());
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

/// A worker as it is remembered; whether it is connected is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// Its id.
    pub id: WorkerId,
    /// Its place in the order of enrolment.
    pub sequence: u64,
    /// Its name.
    pub name: String,
    /// What an administrator has decided.
    pub admin: AdminState,
    /// What it said of itself last.
    pub facts: WorkerFacts,
    /// What it offered by itself last.
    pub tags: TagSet,
    /// What the token with which it joined gives it.
    pub token_tags: TagSet,
    /// How many slots it offered last.
    pub slots: u32,
    /// What each of its jobs finds in its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The boot of its last session.
    pub boot: Option<BootId>,
    /// Of the key with which it enrolled.
    pub key: Option<SpkiHash>,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// When it was last heard, as of its last change or the end of its last session.
    pub last_contact: Option<Timestamp>,
}

impl WorkerRecord {
    /// A worker that enrols now.
    pub fn new(id: WorkerId, sequence: u64, name: String, at: Timestamp) -> Self {
        Self {
            id,
            sequence,
            name,
            admin: AdminState::Active,
            facts: WorkerFacts::default(),
            tags: TagSet::new(),
            token_tags: TagSet::new(),
            slots: 0,
            env: BTreeMap::new(),
            boot: None,
            key: None,
            enrolled_at: at,
            last_contact: None,
        }
    }

    /// Everything that it offers, its token's tags included. A tag beyond the limit is left out: the worker's own come
    /// after the token's.
    pub fn all_tags(&self) -> TagSet {
        let mut all = self.token_tags.clone();
        for tag in self.tags.iter() {
            if all.insert(tag).is_err() {
                break;
            }
        }
        all
    }

    /// The record to keep.
    pub fn to_record(&self) -> Record {
        let mut record = Record::new(WORKER, self.id.to_string(), body(self));
        record.fields.order = self.sequence;
        record.fields.name = Some(self.name.clone());
        record.fields.state = Some(Cow::Borrowed(match self.admin {
            AdminState::Removed => "removed",
            AdminState::Suspended => "suspended",
            AdminState::Draining => "draining",
            _ => "active",
        }));
        record
    }
}

/// The record of a join token.
pub fn token_record(token: &TokenRecord) -> Record {
    let mut record = Record::new(TOKEN, token.id.as_str(), body(token));
    record.fields.order = u64::try_from(token.created_at.as_micros()).unwrap_or(0);
    record
}

/// The record of an audit entry that has its place.
pub fn audit_record(entry: &AuditEntry) -> Record {
    let mut record = Record::new(AUDIT, entry.seq.to_string(), body(entry));
    record.fields.live = false;
    record.fields.order = entry.seq;
    record.fields.name = Some(entry.action.clone());
    record
}

/// Reads the body of a record.
pub fn read<T: DeserializeOwned>(record: &Record) -> Result<T, DamagedRecord> {
    serde_json::from_slice(&record.body).map_err(|error| DamagedRecord {
        kind: record.kind,
        key: record.key.clone(),
        problem: error.to_string(),
    })
}

/// A record whose body is not of its kind's form. An operator has to look at it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record {kind} {key} is damaged: {problem}")]
pub struct DamagedRecord {
    /// What it is.
    pub kind: RecordKind,
    /// Which one.
    pub key: String,
    /// What was found.
    pub problem: String,
}

/// Where the counters stand that no live record holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The term.
    pub epoch: Epoch,
    /// The highest place of a job so far.
    pub job_sequence: u64,
    /// The highest place of an audit entry so far.
    pub audit_seq: u64,
}

fn body<T: Serialize>(value: &T) -> Bytes {
    let json = serde_json::to_vec(value);
    Bytes::from(json.expect("records hold only texts, numbers, lists and maps with text keys"))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_executor_is_a_requirement() {
        let spec = JobSpec::new(ExecutorSpec::new("Container", "{}"))
            .validate()
            .expect("valid");
        assert_eq!(
            Demand::of(&spec).requirements[0].to_string(),
            "executor=container"
        );
    }

    #[test]
    fn a_damaged_body_is_named() {
        let record = Record::new(JOB, "x", "{");
        let error = read::<JobRecord>(&record).expect_err("no JSON");
        assert!(error.to_string().contains("job x"), "{error}");
    }
}
