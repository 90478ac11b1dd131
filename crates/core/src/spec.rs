//! What a job asks for: the draft that people fill in, and the proof that it was checked.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::requirement::{MAX_REQUIREMENTS, Requirement};
use crate::text::{TextProblem, check_label, check_name};
use crate::time::millis;

/// The longest executor configuration, in bytes: what Linux lets one program take as arguments fits twice.
pub const MAX_CONFIG_BYTES: usize = 1024 * 1024;
/// How many slots one job may take.
pub const MAX_SLOTS: u32 = 4096;
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
    /// The lane in which it waits.
    pub queue: String,
    /// How many of a worker's slots it takes; at least 1.
    pub slots: u32,
    /// How long one attempt may run, counted from its start. `None`: as long as it likes.
    #[serde(with = "millis::option")]
    pub timeout: Option<Duration>,
    /// How long it may take to end after it was told to, before it is killed.
    #[serde(with = "millis")]
    pub grace: Duration,
    /// How often it may be run again because the infrastructure failed.
    pub infra_retries: u32,
    /// Whether a second attempt is harmless. If not, it runs again only when the first provably never started.
    pub repeatable: bool,
    /// Free metadata, for search.
    pub labels: BTreeMap<String, String>,
    /// How many bytes of one attempt's output are kept; what comes after is counted and dropped.
    pub log_limit: u64,
    /// Whether standard error goes into the same pipe as standard output, so that their order is exact.
    pub merge: bool,
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
        self.check()?;
        Ok(ValidSpec(Arc::new(self)))
    }

    fn check(&self) -> Result<(), InvalidSpec> {
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
        within("slots", u64::from(self.slots), 1, u64::from(MAX_SLOTS))?;
        within(
            "infra_retries",
            u64::from(self.infra_retries),
            0,
            u64::from(MAX_INFRA_RETRIES),
        )?;
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
        let max = MAX_DURATION.as_secs();
        if let Some(timeout) = self.timeout {
            if timeout.is_zero() {
                return Err(InvalidSpec::OutOfRange {
                    field: "timeout (s)",
                    value: 0,
                    min: 1,
                    max,
                });
            }
            within("timeout (s)", timeout.as_secs(), 0, max)?;
        }
        within("grace (s)", self.grace.as_secs(), 0, max)
    }
}

impl Default for JobSpec {
    fn default() -> Self {
        Self {
            name: None,
            executor: ExecutorSpec::new(PROCESS_EXECUTOR, "{}"),
            requirements: Vec::new(),
            worker: None,
            queue: DEFAULT_QUEUE.to_owned(),
            slots: 1,
            timeout: None,
            grace: DEFAULT_GRACE,
            infra_retries: 3,
            repeatable: true,
            labels: BTreeMap::new(),
            log_limit: DEFAULT_LOG_LIMIT,
            merge: false,
        }
    }
}

/// A spec that passed [`JobSpec::validate`]: the only kind that the parts of Jobyard hand on. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "JobSpec", into = "JobSpec")]
pub struct ValidSpec(Arc<JobSpec>);

impl ValidSpec {
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
}

impl InvalidSpec {
    fn text(field: &'static str) -> impl Fn(TextProblem) -> Self {
        move |problem| Self::Text { field, problem }
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
        refuse(|spec| spec.slots = 0, "slots");
        refuse(|spec| spec.slots = MAX_SLOTS + 1, "slots");
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
    fn debug_does_not_print_the_configuration() {
        let spec = JobSpec::new(ExecutorSpec::new("process", r#"{"env":{"KEY":"hunter2"}}"#));
        assert!(!format!("{spec:?}").contains("hunter2"));
    }
}
