//! The jobs of a load file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jobyard_core::{ExecutorSpec, JobSpec, MAX_DURATION, PROCESS_EXECUTOR, Resources, ValidSpec};
use jobyard_scheduler::simulate::MAX_LOAD_JOBS;
use jobyard_scheduler::{Wants, WantsDraft};
use serde::Deserialize;

use crate::job_file::{
    CoresText, DurationText, GroupText, PreferenceText, RequirementText, SizeText,
};

/// One job, or a series of jobs that are alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "JobDraft")]
pub(super) struct JobEntry {
    /// When the first arrives.
    pub(super) at: Duration,
    pub(super) count: usize,
    /// How long after the one before it each further one arrives.
    pub(super) every: Duration,
    pub(super) duration: Duration,
    /// What the scheduler is told about the duration.
    pub(super) expected: Option<Duration>,
    pub(super) spec: ValidSpec,
    pub(super) warm: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobDraft {
    at: Option<DurationText>,
    duration: DurationText,
    expected: Option<DurationText>,
    #[serde(default = "one")]
    count: usize,
    every: Option<DurationText>,
    #[serde(default)]
    tags: Vec<RequirementText>,
    #[serde(default)]
    prefer: Vec<PreferenceText>,
    worker: Option<String>,
    queue: Option<String>,
    priority: Option<i32>,
    group: Option<GroupText>,
    slots: Option<u32>,
    cpu: Option<CoresText>,
    memory: Option<SizeText>,
    #[serde(default)]
    resources: BTreeMap<String, u64>,
    #[serde(default)]
    warm: BTreeSet<String>,
}

const fn one() -> usize {
    1
}

impl TryFrom<JobDraft> for JobEntry {
    type Error = String;

    fn try_from(draft: JobDraft) -> Result<Self, String> {
        if draft.count == 0 || draft.count > MAX_LOAD_JOBS {
            return Err(format!(
                "count: {} is not between 1 and {MAX_LOAD_JOBS}",
                draft.count
            ));
        }
        let span =
            |text: &Option<DurationText>| text.as_ref().map_or(Duration::ZERO, |at| at.value);
        let (at, every) = (span(&draft.at), span(&draft.every));
        let steps = u32::try_from(draft.count - 1).unwrap_or(u32::MAX);
        if at.saturating_add(every.saturating_mul(steps)) > MAX_DURATION {
            return Err("every: the last one arrives later than a year after the beginning".into());
        }
        Ok(Self {
            at,
            count: draft.count,
            every,
            duration: draft.duration.value,
            expected: draft.expected.as_ref().map(|text| text.value),
            spec: draft.spec()?,
            warm: draft.warm,
        })
    }
}

impl JobDraft {
    /// Checked as if it were submitted.
    fn spec(&self) -> Result<ValidSpec, String> {
        let mut spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, "{}"));
        spec.requirements = self.tags.iter().map(|tag| tag.0.clone()).collect();
        spec.prefer = self.prefer.iter().map(PreferenceText::preference).collect();
        spec.worker.clone_from(&self.worker);
        spec.queue = self.queue.clone().unwrap_or(spec.queue);
        spec.priority = self.priority.unwrap_or(spec.priority);
        spec.group = self.group.as_ref().map(GroupText::group);
        spec.resources = taken(
            self.slots,
            self.cpu.as_ref(),
            self.memory.as_ref().map(|size| size.value),
            &self.resources,
        );
        spec.validate().map_err(|problem| problem.to_string())
    }
}

/// What a job takes of its worker.
pub(super) fn taken(
    slots: Option<u32>,
    cpu: Option<&CoresText>,
    memory: Option<u64>,
    named: &BTreeMap<String, u64>,
) -> Resources {
    let mut taken = Resources::of_slots(slots.unwrap_or(1));
    taken.cpu_millis = cpu.map_or(0, |cores| cores.millis);
    taken.memory_bytes = memory.unwrap_or(0);
    taken.counts.clone_from(named);
    taken
}

/// What a job with this spec asks of a worker.
pub(super) fn wants(spec: &JobSpec, warm: &BTreeSet<String>) -> Wants {
    let mut draft = WantsDraft::default();
    draft.requirements.clone_from(&spec.requirements);
    draft.worker.clone_from(&spec.worker);
    draft.resources.clone_from(&spec.resources);
    draft.prefer.clone_from(&spec.prefer);
    draft.warm.clone_from(warm);
    draft.into()
}
