//! Records of workers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jobyard_core::{
    AdminState, BootId, FEATURE_LEASES, FEATURE_MASKING, Record, Resources, TagSet, Timestamp,
    WorkerFacts, WorkerId, millis,
};
use jobyard_pki::SpkiHash;
use serde::{Deserialize, Serialize};

use super::body::body;
use super::kind::WORKER;

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
    /// Tags that refuse every job which does not name them, as it said last.
    #[serde(default, skip_serializing_if = "TagSet::is_empty")]
    pub exclusive: TagSet,
    /// What it had for jobs last.
    #[serde(flatten)]
    pub capacity: Resources,
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
    /// Which abilities it said last that it has, of those that this version knows.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<String>,
    /// The longest lease that it was ever promised since its machine booted; written before it is promised. `None`: none
    /// was.
    #[serde(
        default,
        with = "millis::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub lease: Option<Duration>,
    /// How far its drain is, while [`admin`](Self::admin) says that it drains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainRecord>,
}

/// A drain as it is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRecord {
    /// How much was left of its time when this was written. `None`: it may take as long as it likes.
    #[serde(
        default,
        with = "millis::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub left: Option<Duration>,
    /// Whether it was said already that nothing is left on the worker.
    #[serde(default)]
    pub over: bool,
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
            exclusive: TagSet::new(),
            capacity: Resources::default(),
            env: BTreeMap::new(),
            boot: None,
            key: None,
            enrolled_at: at,
            last_contact: None,
            features: BTreeSet::new(),
            lease: None,
            drain: None,
        }
    }

    /// Whether it ends attempts before its lease does, where they ask for that.
    pub fn knows_leases(&self) -> bool {
        self.features.contains(FEATURE_LEASES)
    }

    /// Whether it keeps the secrets of jobs out of their output.
    pub fn knows_masking(&self) -> bool {
        self.features.contains(FEATURE_MASKING)
    }

    /// Everything that it offers, its token's tags included, and its exclusive ones: a job that names one finds it. A
    /// tag beyond the limit is left out: the worker's own come last.
    pub fn all_tags(&self) -> TagSet {
        let mut all = self.token_tags.clone();
        for tag in self.exclusive.iter().chain(self.tags.iter()) {
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

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn record() -> WorkerRecord {
        let id = WorkerId::from_uuid(uuid::Uuid::from_u128(1));
        WorkerRecord::new(id, 1, "a".to_owned(), Timestamp::from_micros(5))
    }

    fn tag(text: &str) -> jobyard_core::Tag {
        text.parse().expect("a tag")
    }

    #[test]
    fn a_worker_reads_back_as_it_was_written() {
        let mut worker = record();
        worker.exclusive.insert(tag("gpu-only")).expect("room");
        worker.capacity = Resources::of_slots(4).with("gpu", 2);
        worker.capacity.memory_bytes = 1 << 30;
        worker.features.insert(FEATURE_LEASES.to_owned());
        worker.lease = Some(Duration::from_mins(1));
        worker.admin = AdminState::Draining;
        worker.drain = Some(DrainRecord {
            left: Some(Duration::from_secs(9)),
            over: true,
        });
        assert_eq!(read(&worker.to_record()), Ok(worker));
    }

    #[test]
    fn a_worker_of_a_version_that_knew_slots_alone_is_read() {
        let mut body = serde_json::to_value(record()).expect("JSON");
        let fields = body.as_object_mut().expect("an object");
        fields.insert("slots".to_owned(), 6.into());
        let kept = Record::new(WORKER, "x", body.to_string());
        let read: WorkerRecord = read(&kept).expect("a worker");
        assert_eq!(read.capacity, Resources::of_slots(6));
        assert!(read.exclusive.is_empty());
        assert_eq!((read.lease, read.drain), (None, None));
        assert!(!read.knows_leases() && !read.knows_masking());
    }

    #[test]
    fn a_job_that_names_an_exclusive_tag_finds_it() {
        let mut worker = record();
        worker.exclusive.insert(tag("gpu-only")).expect("room");
        assert!(worker.all_tags().contains(&tag("gpu-only")));
    }
}
