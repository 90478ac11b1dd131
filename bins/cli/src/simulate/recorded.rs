//! A load that was recorded: what `jobyard jobs --json` prints.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{
    DEFAULT_QUEUE, ExecutorSpec, JobId, JobSpec, PROCESS_EXECUTOR, Preference, Requirement,
    ValidSpec,
};
use serde::{Deserialize, Deserializer};

use super::job_entry::taken;
use crate::job_file::{CoresText, GroupText};

/// A job that ran.
#[derive(Clone, Debug)]
pub(super) struct RecordedJob {
    pub(super) id: JobId,
    /// After the first of those that ran.
    pub(super) arrives_at: Duration,
    /// That of its last attempt.
    pub(super) duration: Duration,
    pub(super) spec: ValidSpec,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Recording {
    /// In the order of submission.
    pub(super) jobs: Vec<RecordedJob>,
    /// How many had no attempt that started and ended.
    pub(super) skipped: u64,
}

/// One job as it was printed. Further keys are left alone: the format grows.
#[derive(Deserialize)]
struct Printed {
    job_id: JobId,
    submitted_at: Moment,
    #[serde(default)]
    sequence: u64,
    #[serde(default)]
    attempts: Vec<PrintedAttempt>,
    queue: Option<String>,
    #[serde(default)]
    priority: i32,
    group: Option<GroupText>,
    #[serde(default)]
    tags: Vec<Requirement>,
    #[serde(default)]
    prefer: Vec<Preference>,
    worker: Option<String>,
    slots: Option<u32>,
    cpu: Option<CoresText>,
    memory: Option<u64>,
    #[serde(default)]
    resources: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct PrintedAttempt {
    started_at: Option<Moment>,
    finished_at: Option<Moment>,
}

/// Microseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(i64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let moment: jiff::Timestamp = text.parse().map_err(|_| {
            serde::de::Error::custom(format!(
                "{text:?} is no time: it is written as in 2027-01-15T08:00:00Z"
            ))
        })?;
        Ok(Self(moment.as_microsecond()))
    }
}

impl Moment {
    fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

/// Reads a list of jobs, or one a line. The error says where it is.
pub(super) fn read(text: &str) -> Result<Recording, String> {
    let mut printed: Vec<Printed> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        let lines = serde_json::Deserializer::from_str(text).into_iter();
        lines
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?
    };
    let all = printed.len();
    printed.retain(|job| job.duration().is_some());
    printed.sort_by_key(|job| (job.submitted_at, job.sequence));
    let first = printed.first().map(|job| job.submitted_at);
    let jobs: Vec<_> = printed
        .into_iter()
        .filter_map(|job| job.recorded(first?))
        .collect::<Result<_, String>>()?;
    let skipped = (all - jobs.len()) as u64;
    Ok(Recording { jobs, skipped })
}

impl Printed {
    fn duration(&self) -> Option<Duration> {
        let mut attempts = self.attempts.iter().rev();
        attempts.find_map(|attempt| Some(attempt.finished_at?.since(attempt.started_at?)))
    }

    fn recorded(self, first: Moment) -> Option<Result<RecordedJob, String>> {
        let duration = self.duration()?;
        let (id, arrives_at) = (self.job_id, self.submitted_at.since(first));
        let spec = self
            .spec()
            .map_err(|problem| format!("job {id}: {problem}"));
        Some(spec.map(|spec| RecordedJob {
            id,
            arrives_at,
            duration,
            spec,
        }))
    }

    fn spec(self) -> Result<ValidSpec, String> {
        let mut spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, "{}"));
        spec.resources = taken(self.slots, self.cpu.as_ref(), self.memory, &self.resources);
        spec.requirements = self.tags;
        spec.prefer = self.prefer;
        spec.worker = self.worker;
        spec.queue = self.queue.unwrap_or_else(|| DEFAULT_QUEUE.to_owned());
        spec.priority = self.priority;
        spec.group = self.group.as_ref().map(GroupText::group);
        spec.validate().map_err(|problem| problem.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAN: &str = r#"{"job_id":"0190a0b0-0000-7000-8000-000000000001","state":"finished","queue":"team",
        "priority":3,"group":{"key":"deploy","limit":1},"tags":["os=linux"],"prefer":[{"tag":"ssd","weight":5}],
        "worker":null,"slots":2,"cpu":1.5,"memory":1024,"resources":{"gpu":1},"sequence":7,
        "submitted_at":"2027-01-15T08:00:10Z","outcome":{"kind":"failed"},"attempts":[
        {"number":1,"started_at":"2027-01-15T08:00:11Z","finished_at":"2027-01-15T08:00:12.5Z"},
        {"number":2,"started_at":"2027-01-15T08:00:20Z","finished_at":"2027-01-15T08:00:25.25Z"}]}"#;
    const EARLIER: &str = r#"{"job_id":"0190a0b0-0000-7000-8000-000000000002","submitted_at":"2027-01-15T08:00:00Z",
        "cpu":null,"memory":null,"attempts":[{"started_at":"2027-01-15T08:00:01Z","finished_at":"2027-01-15T08:00:02Z"}]}"#;
    const WAITED: &str = r#"{"job_id":"0190a0b0-0000-7000-8000-000000000003","submitted_at":"2027-01-15T07:00:00Z",
        "attempts":[{"started_at":null,"finished_at":"2027-01-15T08:00:02Z"}]}"#;

    #[test]
    fn what_jobs_prints_is_a_load() {
        for text in [
            format!("[{RAN},{WAITED},{EARLIER}]"),
            format!("{RAN}\n{WAITED}\n{EARLIER}\n"),
        ] {
            let recording = read(&text).expect("a recording");
            assert_eq!(recording.skipped, 1);
            let [earlier, ran] = recording.jobs.as_slice() else {
                panic!("two ran: {recording:?}");
            };
            assert_eq!(
                (earlier.arrives_at, earlier.duration),
                (seconds(0), seconds(1))
            );
            assert_eq!(ran.arrives_at, seconds(10));
            assert_eq!(ran.duration, Duration::from_millis(5250));
            let spec = &ran.spec;
            assert_eq!((spec.queue.as_str(), spec.priority), ("team", 3));
            assert_eq!(spec.resources.slots, 2);
            assert_eq!(spec.resources.cpu_millis, 1500);
            assert_eq!(spec.resources.memory_bytes, 1024);
            assert_eq!(spec.resources.counts["gpu"], 1);
            assert_eq!(spec.requirements[0].to_string(), "os=linux");
            assert_eq!(spec.prefer[0].weight, 5);
            assert_eq!(spec.group.as_ref().map(|group| group.limit), Some(1));
        }
    }

    #[test]
    fn what_nobody_printed_is_refused_with_its_place() {
        let error = read("[{\"job_id\": 7}]").expect_err("no id");
        assert!(error.contains("line 1"), "{error}");
        let error = read(
            "{\"job_id\":\"0190a0b0-0000-7000-8000-000000000001\",\n\"submitted_at\":\"now\"}",
        );
        let error = error.expect_err("no time");
        assert!(
            error.contains("no time") && error.contains("line 2"),
            "{error}"
        );
        let wrong = RAN.replace("\"slots\":2", "\"slots\":0");
        let error = read(&wrong).expect_err("no slots");
        assert!(error.contains("000000000001: slots"), "{error}");
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }
}
