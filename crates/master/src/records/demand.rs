//! The part of a job's spec that stays in memory.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{Group, OnDisconnect, Preference, Requirement, Resources, ValidSpec, millis};
use jobyard_scheduler::{Wants, WantsDraft};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The part of a spec by which the engine decides. What many jobs have in common is shared among them, so that a million
/// jobs alike hold it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The lane in which it waits.
    pub queue: Arc<str>,
    /// Its place within its queue: higher goes first.
    pub priority: i32,
    /// The group of which only so many run at once.
    pub group: Option<Arc<Group>>,
    /// What it asks of a worker.
    pub wants: Arc<Wants>,
    /// How long it may wait for its first start.
    pub queue_timeout: Option<Duration>,
    /// How often the infrastructure may fail it.
    pub infra_retries: u32,
    /// How often it may fail by itself and be run again.
    pub retries: u32,
    /// Which failures of its own are worth that, by the code with which the command line exits for them. Empty: all.
    pub retry_on: BTreeSet<u8>,
    /// Whether a second attempt is harmless.
    pub repeatable: bool,
    /// What becomes of an attempt when its worker and the master lose each other.
    pub on_disconnect: OnDisconnect,
    /// How long it may take to end, unless a stop says otherwise.
    pub grace: Duration,
}

impl Demand {
    /// What a spec asks for. The executor is a requirement like any other: workers offer `executor=NAME`; and so is, for
    /// a job with secrets, that its worker masks them.
    pub fn of(spec: &ValidSpec) -> Self {
        let mut draft = WantsDraft::default();
        draft.requirements.clone_from(&spec.requirements);
        // A checked executor name is always a valid value of a tag.
        draft
            .requirements
            .extend(format!("executor={}", spec.executor.name).parse::<Requirement>());
        if !spec.secret_env.is_empty() {
            draft
                .requirements
                .extend(MASKING_TAG.parse::<Requirement>());
        }
        draft.worker.clone_from(&spec.worker);
        draft.resources.clone_from(&spec.resources);
        draft.prefer.clone_from(&spec.prefer);
        Self {
            queue: spec.queue.as_str().into(),
            priority: spec.priority,
            group: spec.group.clone().map(Arc::new),
            wants: Arc::new(draft.into()),
            queue_timeout: spec.queue_timeout,
            infra_retries: spec.infra_retries,
            retries: spec.retries,
            retry_on: spec.retry_on.clone(),
            repeatable: spec.repeatable,
            on_disconnect: spec.on_disconnect,
            grace: spec.grace,
        }
    }

    /// What it takes of a worker.
    pub fn resources(&self) -> &Resources {
        &self.wants.draft().resources
    }
}

/// What is offered by workers that mask secrets, by what their programs say of themselves, and asked for by jobs that
/// bring some. In words that an explanation can show.
pub const MASKING_TAG: &str = "secrets=masked";

impl Serialize for Demand {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let draft = self.wants.draft();
        let stored = Stored {
            queue: Cow::Borrowed(&self.queue),
            requirements: Cow::Borrowed(&draft.requirements),
            worker: draft.worker.as_deref().map(Cow::Borrowed),
            resources: Cow::Borrowed(&draft.resources),
            prefer: Cow::Borrowed(&draft.prefer),
            priority: (self.priority != 0).then_some(self.priority),
            group: self.group.as_deref().map(Cow::Borrowed),
            queue_timeout: self.queue_timeout,
            infra_retries: self.infra_retries,
            retries: self.retries,
            retry_on: Cow::Borrowed(&self.retry_on),
            repeatable: self.repeatable,
            on_disconnect: self.on_disconnect,
            grace: self.grace,
        };
        stored.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Demand {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(from)?;
        let mut draft = WantsDraft::default();
        draft.requirements = stored.requirements.into_owned();
        draft.worker = stored.worker.map(Cow::into_owned);
        draft.resources = stored.resources.into_owned();
        draft.prefer = stored.prefer.into_owned();
        Ok(Self {
            queue: stored.queue.into(),
            priority: stored.priority.unwrap_or(0),
            group: stored.group.map(|group| Arc::new(group.into_owned())),
            wants: Arc::new(draft.into()),
            queue_timeout: stored.queue_timeout,
            infra_retries: stored.infra_retries,
            retries: stored.retries,
            retry_on: stored.retry_on.into_owned(),
            repeatable: stored.repeatable,
            on_disconnect: stored.on_disconnect,
            grace: stored.grace,
        })
    }
}

/// A demand as it is written.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    queue: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_empty")]
    requirements: Cow<'a, [Requirement]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worker: Option<Cow<'a, str>>,
    #[serde(flatten)]
    resources: Cow<'a, Resources>,
    #[serde(default, skip_serializing_if = "is_empty")]
    prefer: Cow<'a, [Preference]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<Cow<'a, Group>>,
    #[serde(
        default,
        with = "millis::option",
        skip_serializing_if = "Option::is_none"
    )]
    queue_timeout: Option<Duration>,
    infra_retries: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    retries: u32,
    #[serde(default, skip_serializing_if = "is_empty_set")]
    retry_on: Cow<'a, BTreeSet<u8>>,
    repeatable: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    on_disconnect: OnDisconnect,
    #[serde(with = "millis")]
    grace: Duration,
}

fn is_empty<T: Clone>(list: &[T]) -> bool {
    list.is_empty()
}

fn is_empty_set<T>(set: &BTreeSet<T>) -> bool {
    set.is_empty()
}

// serde hands a reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jobyard_core::{ExecutorSpec, JobSpec};

    fn demand(change: impl FnOnce(&mut JobSpec)) -> Demand {
        let mut spec = JobSpec::new(ExecutorSpec::new("Container", "{}"));
        change(&mut spec);
        Demand::of(&spec.validate().expect("a valid spec"))
    }

    #[test]
    fn the_executor_is_a_requirement() {
        let demand = demand(|_| {});
        let requirements = &demand.wants.draft().requirements;
        assert_eq!(requirements[0].to_string(), "executor=container");
    }

    #[test]
    fn a_job_with_secrets_requires_that_they_are_masked() {
        let demand = demand(|spec| {
            let secret = jobyard_core::SecretText::new("hunter2");
            spec.secret_env.insert("TOKEN".to_owned(), secret);
        });
        let requirements = &demand.wants.draft().requirements;
        assert_eq!(requirements[1].to_string(), MASKING_TAG);
        let json = serde_json::to_string(&demand).expect("JSON");
        assert!(!json.contains("hunter2"), "{json}");
    }

    #[test]
    fn everything_that_a_spec_asks_for_reads_back() {
        let demand = demand(|spec| {
            let requirement: Requirement = "os=linux".parse().expect("a requirement");
            spec.requirements = vec![requirement.clone()];
            spec.worker = Some("big".to_owned());
            spec.resources = Resources::of_slots(2).with("gpu", 1);
            spec.resources.cpu_millis = 1_500;
            spec.prefer = vec![Preference::new(requirement, 7)];
            spec.priority = -4;
            spec.group = Some(Group::new("deploy", 2));
            spec.queue = "nightly".to_owned();
            spec.queue_timeout = Some(Duration::from_mins(5));
            (spec.retries, spec.retry_on) = (2, BTreeSet::from([75, 137]));
            spec.on_disconnect = OnDisconnect::Stop;
        });
        let json = serde_json::to_string(&demand).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Demand>(&json).expect("a demand"),
            demand
        );
        assert_eq!(demand.resources().counts["gpu"], 1);
    }

    #[test]
    fn a_demand_of_a_version_that_knew_slots_alone_is_read() {
        let json = r#"{"queue": "default", "requirements": ["executor=process"], "slots": 3,
            "infra_retries": 3, "repeatable": true, "grace": 10000}"#;
        let demand: Demand = serde_json::from_str(json).expect("a demand");
        assert_eq!(demand.resources(), &Resources::of_slots(3));
        assert_eq!((demand.priority, demand.group), (0, None));
        assert_eq!(demand.queue_timeout, None);
        assert_eq!((demand.retries, demand.retry_on.len()), (0, 0));
        assert_eq!(demand.on_disconnect, OnDisconnect::Finish);
    }

    #[test]
    fn a_plain_job_is_written_as_it_always_was() {
        let json = serde_json::to_value(demand(|_| {})).expect("JSON");
        let keys: BTreeSet<&str> = json
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        let always = [
            "queue",
            "requirements",
            "slots",
            "infra_retries",
            "repeatable",
            "grace",
        ];
        assert_eq!(keys, BTreeSet::from(always));
    }
}
