//! From a file to a load that can run.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobyard_core::{JobId, JobSpec};
use jobyard_scheduler::simulate::{self, Load, LoadJob, MAX_LOAD_JOBS, Report};
use jobyard_scheduler::{JobDemand, Wants};
use uuid::Uuid;

use super::fleet::fleet;
use super::job_entry::{JobEntry, wants};
use super::load_file::LoadFile;
use super::recorded::{self, Recording};
use crate::failure::Failure;
use crate::job_file::{MAX_FILE_BYTES, parse_document};

/// A load, and how its parts are called.
#[derive(Debug)]
pub(crate) struct Plan {
    load: Load,
    /// The workers that are alike: how they are called together, and how many they are. In the order of the load.
    pub(super) alike: Vec<(String, usize)>,
    /// Of the jobs that stand in the file: which entry, and which of its series, both from 1.
    written: BTreeMap<JobId, (usize, usize)>,
    /// Recorded jobs that never ran.
    pub(crate) skipped: u64,
    /// Where they were recorded.
    pub(crate) recording: Option<PathBuf>,
}

impl Plan {
    /// Reads a load file, and the recording that it names. Blocks on that.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = read_text(path)?;
        let file: LoadFile =
            parse_document(path, &text).map_err(|error| Failure::usage(error.to_string()))?;
        let in_file =
            |problem: String| Failure::usage(problem).with_context(path.display().to_string());
        let recording = match &file.jobs_from {
            None => None,
            Some(name) => {
                let name = path.parent().unwrap_or(Path::new("")).join(name);
                let recorded = recorded::read(&read_text(&name)?).map_err(|problem| {
                    Failure::usage(problem).with_context(name.display().to_string())
                })?;
                Some((name, recorded))
            }
        };
        Self::of(&file, recording).map_err(in_file)
    }

    fn of(file: &LoadFile, recording: Option<(PathBuf, Recording)>) -> Result<Self, String> {
        let mut load = Load::default();
        load.policy = file.policy.policy()?;
        load.workers = fleet(&file.workers)?;
        if load.workers.is_empty() {
            return Err("there is no worker in it: describe them in `[[workers]]`".to_owned());
        }
        load.queues = file.queues.iter().map(|queue| queue.0.clone()).collect();
        let alike = file.workers.iter();
        let mut plan = Self {
            alike: alike.map(|entry| (entry.title(), entry.count)).collect(),
            load,
            written: BTreeMap::new(),
            skipped: 0,
            recording: None,
        };
        let (name, recorded) = recording.unzip();
        plan.add_jobs(&file.jobs, &recorded.unwrap_or_default())?;
        plan.recording = name;
        Ok(plan)
    }

    fn add_jobs(&mut self, entries: &[JobEntry], recording: &Recording) -> Result<(), String> {
        let recorded = recording.jobs.len();
        let all = entries
            .iter()
            .fold(recorded, |all, entry| all.saturating_add(entry.count));
        if all > MAX_LOAD_JOBS {
            return Err(format!(
                "there are {all} jobs, and at most {MAX_LOAD_JOBS} can be simulated"
            ));
        }
        if all == 0 {
            let skipped = recording.skipped;
            return Err(if skipped > 0 {
                format!("none of the {skipped} recorded jobs ever ran")
            } else {
                "there is no job in it: describe them in `[[jobs]]` or name a recording in `jobs_from`"
                    .to_owned()
            });
        }
        self.skipped = recording.skipped;
        self.add_recorded(recording);
        for (number, entry) in (1..).zip(entries) {
            self.add_series(number, entry);
        }
        let jobs = &mut self.load.jobs;
        jobs.sort_by_key(|job| job.arrives_at);
        for (order, job) in (1..).zip(jobs) {
            job.demand.order = order;
        }
        Ok(())
    }

    fn add_recorded(&mut self, recording: &Recording) {
        let mut known: HashSet<Arc<Wants>> = HashSet::new();
        for job in &recording.jobs {
            let wants = wants(&job.spec, &BTreeSet::new());
            let wants = known
                .get(&wants)
                .cloned()
                .unwrap_or_else(|| Arc::new(wants));
            known.insert(Arc::clone(&wants));
            let demand = demand(job.id, &job.spec, &wants);
            let job = LoadJob::new(demand, job.arrives_at, job.duration);
            self.load.jobs.push(job);
        }
    }

    fn add_series(&mut self, entry_number: usize, entry: &JobEntry) {
        let wants = Arc::new(wants(&entry.spec, &entry.warm));
        let mut at = entry.at;
        for number in 1..=entry.count {
            // Far from every id that was ever minted.
            let id = self.load.jobs.len() as u128 + 1;
            let id = JobId::from_uuid(Uuid::from_u128(id));
            self.written.insert(id, (entry_number, number));
            let mut demand = demand(id, &entry.spec, &wants);
            demand.expected = entry.expected;
            self.load
                .jobs
                .push(LoadJob::new(demand, at, entry.duration));
            at = at.saturating_add(entry.every);
        }
    }

    /// Lets it happen.
    pub(crate) fn run(&self) -> Result<Report, Failure> {
        simulate::run(&self.load).map_err(|error| Failure::usage(error.to_string()))
    }

    /// How a person finds a job: in the file, or by its id.
    pub(super) fn name_of(&self, job: JobId) -> String {
        match self.written.get(&job) {
            Some((entry, number)) => format!("number {number} of entry {entry} of `jobs`"),
            None => job.to_string(),
        }
    }
}

fn demand(id: JobId, spec: &JobSpec, wants: &Arc<Wants>) -> JobDemand {
    let mut demand = JobDemand::of(id, 0, Arc::clone(wants));
    demand.queue = spec.queue.as_str().into();
    demand.priority = spec.priority;
    demand.group.clone_from(&spec.group);
    demand
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    let limit = MAX_FILE_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Failure::usage(format!(
            "{name} is larger than {MAX_FILE_BYTES} bytes"
        )));
    }
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{name} is not text (UTF-8)")))
}
