//! What a job asks for: the draft that people fill in, and the proof that it was checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::requirement::{MAX_REQUIREMENTS, Requirement};
use crate::resources::{InvalidResources, Resources};
use crate::secret::{
    MAX_SECRET_BYTES, MAX_SECRETS, SecretProblem, SecretText, check_variable, exposed, total_bytes,
};
use crate::text::{TextProblem, check_label, check_name};
use crate::time::millis;

/// The longest executor configuration, in bytes: what Linux lets one program take as arguments fits twice.
pub const MAX_CONFIG_BYTES: usize = 1024 * 1024;
/// How many slots one job may take.
pub const MAX_SLOTS: u32 = 4096;
/// How far from 0 the priority of a job may lie, up and down.
pub const MAX_PRIORITY: i32 = 1_000_000;
/// How many preferences one job may have.
pub const MAX_PREFERENCES: usize = 16;
/// The largest weight of a preference.
pub const MAX_PREFERENCE_WEIGHT: u32 = 1_000;
/// The largest limit of a concurrency group.
pub const MAX_GROUP_LIMIT: u32 = 1_000_000;
/// How many labels one job may carry.
pub const MAX_LABELS: usize = 64;
/// The longest value of a label, in bytes.
pub const MAX_LABEL_BYTES: usize = 256;
/// The longest timeout and the longest grace: a year, so that deadlines stay far from overflow.
pub const MAX_DURATION: Duration = Duration::from_hours(365 * 24);
/// How often a job may be run again because the infrastructure failed.
pub const MAX_INFRA_RETRIES: u32 = 100;
/// How much of an attempt's output is kept if the spec does not say: 1 GiB.
pub const DEFAULT_LOG_LIMIT: u64 = 1 << 30;
/// The most that a spec may ask to keep of an attempt's output: 1 TiB.
pub const MAX_LOG_LIMIT: u64 = 1 << 40;
/// How long a process may take to end after it was told to, if the spec does not say.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// The queue of jobs that name none.
pub const DEFAULT_QUEUE: &str = "default";
/// The executor of jobs that name none.
pub const PROCESS_EXECUTOR: &str = "process";

/// How often a job may be run again because it failed by itself.
pub const MAX_RETRIES: u32 = 100;

/// What becomes of an attempt when its worker and the master do not hear each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnDisconnect {
    /// The worker goes on, and reports when it is back. If it stays away for long, another attempt begins elsewhere, and
    /// the two may run at the same time for a while.
    #[default]
    Finish,
    /// The worker ends it before its lease is over, and another attempt begins only after that: two never run at the
    /// same time.
    Stop,
}

impl OnDisconnect {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Finish, Self::Stop];

    /// As JSON, job files and the command line name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finish => "finish",
            Self::Stop => "stop",
        }
    }

    // serde hands a reference.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    const fn is_finish(&self) -> bool {
        matches!(self, Self::Finish)
    }
}

/// Everything that a job asks for. A plain value: fill in what differs from [`JobSpec::new`], then
/// [`validate`](JobSpec::validate) it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct JobSpec {
    /// For people; not unique. Letters, digits and `. _ - / : @` and spaces, at most 128 bytes.
    pub name: Option<String>,
    /// Who runs it, and what that one is told.
    pub executor: ExecutorSpec,
    /// All of these must hold for the worker.
    pub requirements: Vec<Requirement>,
    /// Only this worker will do: its name or its id.
    pub worker: Option<String>,
    /// What it would rather have, among the workers that will do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefer: Vec<Preference>,
    /// The lane in which it waits.
    pub queue: String,
    /// Its place within its queue: higher goes first. Between -[`MAX_PRIORITY`] and [`MAX_PRIORITY`].
    #[serde(skip_serializing_if = "is_normal")]
    pub priority: i32,
    /// The group of which only so many run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// What it takes of a worker while it runs; at least one slot.
    #[serde(flatten)]
    pub resources: Resources,
    /// The most that it may use; its executor holds it to that where its machine can. What is reserved of memory and
    /// processor time (`resources`) is such a limit as well, unless another one is set here.
    #[serde(skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// How long it may wait for its first start before it ends as timed out. `None`: as long as it takes.
    #[serde(with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub queue_timeout: Option<Duration>,
    /// How long one attempt may run, counted from its start. `None`: as long as it likes.
    #[serde(with = "millis::option")]
    pub timeout: Option<Duration>,
    /// How long it may take to end after it was told to, before it is killed.
    #[serde(with = "millis")]
    pub grace: Duration,
    /// How often it may be run again because the infrastructure failed.
    pub infra_retries: u32,
    /// How often it may be run again because it failed by itself.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// Which failures of its own are worth another attempt: the codes with which the command line exits for them (its
    /// exit code, 128 + the signal, 124 for a timeout, 126 and 127 for a start that failed); 1 to 255. Empty: all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub retry_on: BTreeSet<u8>,
    /// Whether a second attempt is harmless. If not, it runs again only when the first provably never started.
    pub repeatable: bool,
    /// What becomes of an attempt when its worker and the master lose each other.
    #[serde(skip_serializing_if = "OnDisconnect::is_finish")]
    pub on_disconnect: OnDisconnect,
    /// Free metadata, for search.
    pub labels: BTreeMap<String, String>,
    /// How many bytes of one attempt's output are kept; what comes after is counted and dropped.
    pub log_limit: u64,
    /// Whether standard error goes into the same pipe as standard output, so that their order is exact.
    pub merge: bool,
    /// Variables of its environment whose values are masked in its output and shown to nobody: at most
    /// [`MAX_SECRETS`], of [`MAX_SECRET_BYTES`] together. They win over the worker's variables. Every value is written
    /// where a spec is written: see [`ValidSpec::hide_secrets`].
    #[serde(with = "exposed", skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_env: BTreeMap<String, SecretText>,
}

/// Which executor runs a job, and its configuration, which only that executor can read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExecutorSpec {
    /// The name under which workers offer it.
    pub name: String,
    /// For the executor alone. The executors of this project take JSON.
    pub config: String,
}

impl ExecutorSpec {
    /// Names an executor and what it is told.
    pub fn new(name: impl Into<String>, config: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            config: config.into(),
        }
    }
}

/// A soft requirement: of the workers that will do, those go first whose preferences weigh most together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Preference {
    /// What would be nice.
    pub tag: Requirement,
    /// How nice; 1 to [`MAX_PREFERENCE_WEIGHT`].
    pub weight: u32,
}

impl Preference {
    /// This much weight for this requirement.
    pub const fn new(tag: Requirement, weight: u32) -> Self {
        Self { tag, weight }
    }
}

/// A concurrency group: of all jobs that name the same key, in whatever queue, so many run at once at most.
///
/// Each job brings the limit that holds for itself: it starts only while fewer jobs of the group run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Group {
    /// Which group. As the name of a job.
    pub key: String,
    /// How many may run at once, this one included; 1 to [`MAX_GROUP_LIMIT`].
    pub limit: u32,
}

impl Group {
    /// At most `limit` jobs of the group `key`.
    pub fn new(key: impl Into<String>, limit: u32) -> Self {
        Self {
            key: key.into(),
            limit,
        }
    }
}

// serde hands a reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
const fn is_normal(priority: &i32) -> bool {
    *priority == 0
}

// serde hands a reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The largest limit that can be set, in the unit of its kind: 2^53, which every form of JSON can tell apart from its
/// neighbours.
pub const MAX_LIMIT: u64 = 1 << 53;

impl JobSpec {
    /// What an executor shall hold the job to: its limits, and of what it reserved, memory and processor time.
    pub fn effective_limits(&self) -> Limits {
        let positive = |amount: u64| (amount > 0).then_some(amount);
        let mut reserved = Limits::NONE;
        reserved.memory = positive(self.resources.memory_bytes);
        reserved.cpu = positive(self.resources.cpu_millis);
        self.limits.or(reserved)
    }
}

impl fmt::Debug for ExecutorSpec {
    /// Leaves the configuration out: environments hold what should not be in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ExecutorSpec({}, {} bytes)",
            self.name,
            self.config.len()
        )
    }
}

impl JobSpec {
    /// A job for this executor with every default.
    pub fn new(executor: ExecutorSpec) -> Self {
        Self {
            executor,
            ..Self::default()
        }
    }

    /// Checks every field against its limits. The one way to a [`ValidSpec`].
    pub fn validate(self) -> Result<ValidSpec, InvalidSpec> {
        self.check(false)?;
        Ok(ValidSpec(Arc::new(self)))
    }

    /// The same for a spec that is only shown, of which secrets may be [hidden](SecretText::is_hidden).
    pub fn validate_shown(self) -> Result<ValidSpec, InvalidSpec> {
        self.check(true)?;
        Ok(ValidSpec(Arc::new(self)))
    }

    fn check(&self, may_hide: bool) -> Result<(), InvalidSpec> {
        self.check_secrets(may_hide)?;
        if let Some(name) = &self.name {
            check_label(name).map_err(InvalidSpec::text("name"))?;
        }
        if let Some(worker) = &self.worker {
            check_name(worker).map_err(InvalidSpec::text("worker"))?;
        }
        check_name(&self.queue).map_err(InvalidSpec::text("queue"))?;
        check_name(&self.executor.name).map_err(InvalidSpec::text("executor"))?;
        within(
            "executor.config (bytes)",
            self.executor.config.len() as u64,
            0,
            MAX_CONFIG_BYTES as u64,
        )?;
        self.check_order()?;
        let slots = u64::from(self.resources.slots);
        within("slots", slots, 1, u64::from(MAX_SLOTS))?;
        self.resources.check()?;
        for kind in self.limits.kinds() {
            let limit = self.limits.of(kind).unwrap_or_default();
            within(kind.field(), limit, kind.least(), MAX_LIMIT)?;
        }
        within(
            "infra_retries",
            u64::from(self.infra_retries),
            0,
            u64::from(MAX_INFRA_RETRIES),
        )?;
        let retries = u64::from(self.retries);
        within("retries", retries, 0, u64::from(MAX_RETRIES))?;
        if self.retry_on.contains(&0) {
            within("retry_on", 0, 1, u64::from(u8::MAX))?;
        }
        within("log_limit", self.log_limit, 0, MAX_LOG_LIMIT)?;
        within(
            "tags (number)",
            self.requirements.len() as u64,
            0,
            MAX_REQUIREMENTS as u64,
        )?;
        within(
            "labels (number)",
            self.labels.len() as u64,
            0,
            MAX_LABELS as u64,
        )?;
        for (key, value) in &self.labels {
            check_name(key).map_err(InvalidSpec::text("labels"))?;
            within(
                "labels (bytes of a value)",
                value.len() as u64,
                0,
                MAX_LABEL_BYTES as u64,
            )?;
            if value.chars().any(char::is_control) {
                return Err(InvalidSpec::Text {
                    field: "labels",
                    problem: TextProblem::Control,
                });
            }
        }
        positive("timeout (s)", self.timeout)?;
        positive("queue_timeout (s)", self.queue_timeout)?;
        within("grace (s)", self.grace.as_secs(), 0, MAX_DURATION.as_secs())
    }

    fn check_secrets(&self, may_hide: bool) -> Result<(), InvalidSpec> {
        let secrets = &self.secret_env;
        within(
            "secret_env (number)",
            secrets.len() as u64,
            0,
            MAX_SECRETS as u64,
        )?;
        let bytes = total_bytes(secrets) as u64;
        within("secret_env (bytes)", bytes, 0, MAX_SECRET_BYTES as u64)?;
        for (name, value) in secrets {
            check_variable(name, value, may_hide).map_err(|problem| InvalidSpec::Secret {
                name: name.escape_debug().to_string(),
                problem,
            })?;
        }
        Ok(())
    }

    /// What decides when it goes, and where it would rather go.
    fn check_order(&self) -> Result<(), InvalidSpec> {
        if self.priority.unsigned_abs() > MAX_PRIORITY.unsigned_abs() {
            return Err(InvalidSpec::Priority {
                value: self.priority,
            });
        }
        if let Some(group) = &self.group {
            check_label(&group.key).map_err(InvalidSpec::text("group"))?;
            let limit = u64::from(group.limit);
            within("group (limit)", limit, 1, u64::from(MAX_GROUP_LIMIT))?;
        }
        let preferences = self.prefer.len() as u64;
        within("prefer (number)", preferences, 0, MAX_PREFERENCES as u64)?;
        for preference in &self.prefer {
            let weight = u64::from(preference.weight);
            within(
                "prefer (weight)",
                weight,
                1,
                u64::from(MAX_PREFERENCE_WEIGHT),
            )?;
        }
        Ok(())
    }
}

impl Default for JobSpec {
    fn default() -> Self {
        Self {
            name: None,
            executor: ExecutorSpec::new(PROCESS_EXECUTOR, "{}"),
            requirements: Vec::new(),
            worker: None,
            prefer: Vec::new(),
            queue: DEFAULT_QUEUE.to_owned(),
            priority: 0,
            group: None,
            resources: Resources::of_slots(1),
            limits: Limits::NONE,
            queue_timeout: None,
            timeout: None,
            grace: DEFAULT_GRACE,
            infra_retries: 3,
            retries: 0,
            retry_on: BTreeSet::new(),
            repeatable: true,
            on_disconnect: OnDisconnect::Finish,
            labels: BTreeMap::new(),
            log_limit: DEFAULT_LOG_LIMIT,
            merge: false,
            secret_env: BTreeMap::new(),
        }
    }
}

/// A spec that passed [`JobSpec::validate`]: the only kind that the parts of Jobyard hand on. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "JobSpec")]
pub struct ValidSpec(Arc<JobSpec>);

impl ValidSpec {
    /// The same without the values of its secrets: for whoever shall only see it, and for what is written down in more
    /// places than one. Nothing can be run by it that needs them.
    #[must_use]
    pub fn hide_secrets(&self) -> Self {
        if self.secret_env.is_empty() {
            return self.clone();
        }
        let mut spec = self.to_spec();
        for value in spec.secret_env.values_mut() {
            *value = SecretText::hidden();
        }
        Self(Arc::new(spec))
    }

    /// Whether it names secrets of which a value is hidden.
    pub fn has_hidden_secrets(&self) -> bool {
        self.secret_env.values().any(SecretText::is_hidden)
    }

    /// A copy to change; it has to be validated again.
    pub fn to_spec(&self) -> JobSpec {
        JobSpec::clone(&self.0)
    }
}

impl Deref for ValidSpec {
    type Target = JobSpec;

    fn deref(&self) -> &JobSpec {
        &self.0
    }
}

impl TryFrom<JobSpec> for ValidSpec {
    type Error = InvalidSpec;

    fn try_from(spec: JobSpec) -> Result<Self, InvalidSpec> {
        spec.validate()
    }
}

/// A spec as a file has it: perhaps without the values of its secrets.
#[derive(Deserialize)]
struct Written(JobSpec);

impl TryFrom<Written> for ValidSpec {
    type Error = InvalidSpec;

    fn try_from(written: Written) -> Result<Self, InvalidSpec> {
        written.0.validate_shown()
    }
}

impl From<ValidSpec> for JobSpec {
    fn from(spec: ValidSpec) -> Self {
        spec.to_spec()
    }
}

/// Why a spec is refused. Its author's fault; the same spec will be refused again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSpec {
    /// A text holds what it may not.
    #[error("{field}: {problem}")]
    Text {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: TextProblem,
    },
    /// A number lies outside its limits.
    #[error("{field}: {value} is not between {min} and {max}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: u64,
        /// The smallest that is allowed.
        min: u64,
        /// The largest that is allowed.
        max: u64,
    },
    /// The priority lies outside its limits.
    #[error("priority: {value} is not between -{MAX_PRIORITY} and {MAX_PRIORITY}")]
    Priority {
        /// What it says.
        value: i32,
    },
    /// What it takes of a worker cannot be.
    #[error("resources: {0}")]
    Resources(#[from] InvalidResources),
    /// A secret cannot be one.
    #[error("secret_env: {name}: {problem}")]
    Secret {
        /// Of which variable.
        name: String,
        /// What is wrong.
        problem: SecretProblem,
    },
}

impl InvalidSpec {
    fn text(field: &'static str) -> impl Fn(TextProblem) -> Self {
        move |problem| Self::Text { field, problem }
    }
}

/// A time that is not zero and not too long, if there is one.
fn positive(field: &'static str, time: Option<Duration>) -> Result<(), InvalidSpec> {
    match time {
        Some(Duration::ZERO) => within(field, 0, 1, MAX_DURATION.as_secs()),
        Some(time) => within(field, time.as_secs(), 0, MAX_DURATION.as_secs()),
        None => Ok(()),
    }
}

fn within(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), InvalidSpec> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(InvalidSpec::OutOfRange {
            field,
            value,
            min,
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> JobSpec {
        JobSpec::new(ExecutorSpec::new(
            PROCESS_EXECUTOR,
            r#"{"command":["true"]}"#,
        ))
    }

    #[test]
    fn the_defaults_are_valid() {
        assert!(spec().validate().is_ok());
    }

    #[test]
    fn refuse_what_lies_outside_its_limits() {
        let refuse = |change: fn(&mut JobSpec), field: &str| {
            let mut spec = spec();
            change(&mut spec);
            let error = spec.validate().expect_err(field).to_string();
            assert!(error.starts_with(field), "{error}");
        };
        refuse(|spec| spec.resources.slots = 0, "slots");
        refuse(|spec| spec.resources.slots = MAX_SLOTS + 1, "slots");
        refuse(
            |spec| spec.resources = Resources::of_slots(1).with("cpu", 1),
            "resources",
        );
        refuse(|spec| spec.priority = MAX_PRIORITY + 1, "priority");
        refuse(|spec| spec.priority = i32::MIN, "priority");
        refuse(|spec| spec.group = Some(Group::new("deploy", 0)), "group");
        refuse(|spec| spec.group = Some(Group::new("", 1)), "group");
        refuse(
            |spec| spec.prefer = vec![Preference::new("ssd".parse().expect("a requirement"), 0)],
            "prefer",
        );
        refuse(
            |spec| spec.queue_timeout = Some(Duration::ZERO),
            "queue_timeout",
        );
        refuse(|spec| spec.timeout = Some(Duration::ZERO), "timeout");
        refuse(|spec| spec.grace = MAX_DURATION * 2, "grace");
        refuse(|spec| spec.name = Some("\u{1b}[31m".to_owned()), "name");
        refuse(|spec| spec.queue = String::new(), "queue");
        refuse(
            |spec| spec.executor.config = " ".repeat(MAX_CONFIG_BYTES + 1),
            "executor.config",
        );
        refuse(
            |spec| drop(spec.labels.insert("k".to_owned(), "\n".to_owned())),
            "labels",
        );
    }

    #[test]
    fn a_spec_that_asks_for_nothing_new_is_written_as_before() {
        let json = serde_json::to_value(spec()).expect("JSON");
        for key in [
            "prefer",
            "priority",
            "group",
            "cpu_millis",
            "memory_bytes",
            "counts",
            "queue_timeout",
            "secret_env",
        ] {
            assert_eq!(json.get(key), None, "{key}");
        }
        assert_eq!(json["slots"], 1);
        let mut asks = spec();
        asks.resources = Resources::of_slots(2).with("gpu", 1);
        asks.group = Some(Group::new("deploy/prod", 1));
        let json = serde_json::to_string(&asks).expect("JSON");
        assert_eq!(
            serde_json::from_str::<JobSpec>(&json).expect("reads back"),
            asks
        );
    }

    fn with_secret(value: &str) -> JobSpec {
        let mut spec = spec();
        spec.secret_env
            .insert("TOKEN".to_owned(), SecretText::new(value));
        spec
    }

    #[test]
    fn refuse_secrets_that_cannot_be_masked_xl4() {
        for (value, says) in [("", "empty"), ("x", "one character"), ("***", "asterisks")] {
            let error = with_secret(value).validate().expect_err(value).to_string();
            assert!(error.starts_with("secret_env: TOKEN: it "), "{error}");
            assert!(error.contains(says), "{error}");
        }
        let long = with_secret(&"x".repeat(MAX_SECRET_BYTES)).validate();
        assert!(matches!(long, Err(InvalidSpec::OutOfRange { .. })));
        let mut many = spec();
        for number in 0..=MAX_SECRETS {
            many.secret_env
                .insert(format!("S{number}"), SecretText::new("secret"));
        }
        assert!(matches!(
            many.validate(),
            Err(InvalidSpec::OutOfRange { .. })
        ));
    }

    #[test]
    fn hidden_secrets_are_in_nothing_that_is_written_and_run_nothing() {
        let whole = with_secret("hunter2").validate().expect("valid");
        assert!(!format!("{whole:?}").contains("hunter2"));
        let json = serde_json::to_string(&whole).expect("JSON");
        let read: ValidSpec = serde_json::from_str(&json).expect("reads back");
        assert_eq!(read, whole);

        let hidden = whole.hide_secrets();
        assert!(hidden.has_hidden_secrets() && !whole.has_hidden_secrets());
        let json = serde_json::to_string(&hidden).expect("JSON");
        assert!(
            json.contains("TOKEN") && !json.contains("hunter2"),
            "{json}"
        );
        let read: ValidSpec = serde_json::from_str(&json).expect("reads back");
        assert_eq!(read, hidden);
        assert!(hidden.to_spec().validate().is_err());
        assert!(hidden.to_spec().validate_shown().is_ok());
    }

    #[test]
    fn debug_does_not_print_the_configuration() {
        let spec = JobSpec::new(ExecutorSpec::new("process", r#"{"env":{"KEY":"hunter2"}}"#));
        assert!(!format!("{spec:?}").contains("hunter2"));
    }
}
