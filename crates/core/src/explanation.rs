//! Why a job waits, as data.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AttemptNumber, Complaint, JobState, Requirement, Tag, WorkerId, show_amount};

/// Whether a waiting job will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitVerdict {
    /// No worker of the fleet as it is could ever run it.
    Never,
    /// At least one could, and cannot now.
    NotNow,
    /// The fleet is not known: the master has just started, or workers may yet come into being.
    NotKnownYet,
}

impl WaitVerdict {
    /// As JSON names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::NotNow => "not_now",
            Self::NotKnownYet => "not_known_yet",
        }
    }
}

/// Why a job waits; for a job that does not wait, only where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Where the job stands.
    pub state: JobState,
    /// Whether it will run; `None` if it does not wait.
    pub verdict: Option<WaitVerdict>,
    /// What holds it back, most important first. Never empty while there is a verdict.
    pub reasons: Vec<WaitReason>,
    /// What would let it start, each alone or after what stands before it, simplest first. Empty if only time helps.
    pub help: Vec<Help>,
}

impl Explanation {
    /// Of a job that does not wait.
    pub const fn not_waiting(state: JobState) -> Self {
        Self {
            state,
            verdict: None,
            reasons: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Of a job that waits.
    pub const fn waiting(verdict: WaitVerdict, reasons: Vec<WaitReason>) -> Self {
        Self {
            state: JobState::Queued,
            verdict: Some(verdict),
            reasons,
            help: Vec::new(),
        }
    }

    /// The same with what would help.
    #[must_use]
    pub fn with_help(mut self, help: Vec<Help>) -> Self {
        self.help = help;
        self
    }
}

/// One reason why a job waits. Shown by `Display` as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitReason {
    /// There is no worker at all.
    NoWorkers,
    /// The master has just started and waits for its workers to come back.
    FleetUnknown,
    /// Workers that nobody knows yet may come into being: the fleet grows on demand.
    FleetMayGrow,
    /// Workers fail this requirement.
    RequirementUnmet {
        /// Which one.
        requirement: Requirement,
        /// How many workers fail it.
        failing: u32,
        /// Of how many.
        workers: u32,
    },
    /// Workers take only jobs that name this tag of theirs, and this one does not.
    Excluded {
        /// Which tag.
        tag: Tag,
        /// How many workers have it as an exclusive tag.
        workers: u32,
    },
    /// It asks for one worker, and there is none of that name or id.
    NamedWorkerUnknown {
        /// The name or id.
        worker: String,
    },
    /// It takes more of a resource than any worker has that would do otherwise.
    TooMuch {
        /// Which resource: `slots`, `cpu` (thousandths of a core), `memory` (bytes) or a name.
        resource: String,
        /// How much it takes.
        asked: u64,
        /// The most that one such worker has.
        largest: u64,
    },
    /// A worker that comes near, and what it lacks. Nearest first.
    Nearest {
        /// Its id.
        worker: WorkerId,
        /// Its name.
        name: String,
        /// What it lacks. Never empty.
        lacks: Vec<Lack>,
    },
    /// The queue runs as many jobs as it may.
    QueueFull {
        /// Which queue.
        queue: String,
        /// How many of its jobs have a worker.
        running: u64,
        /// How many may.
        limit: u64,
    },
    /// The concurrency group runs as many jobs as this one allows.
    GroupFull {
        /// Which group.
        group: String,
        /// How many of its jobs have a worker.
        running: u64,
        /// Below how many this job starts.
        limit: u64,
    },
    /// Matching workers have too little room.
    Busy {
        /// How many.
        workers: u32,
    },
    /// Matching workers have room, and it is kept for a job that waits longer for more of it.
    KeptForOthers {
        /// How many.
        workers: u32,
    },
    /// It has waited long enough: room on this worker is kept for it until there is enough.
    Reserved {
        /// Which worker.
        worker: WorkerId,
        /// Its name.
        name: String,
    },
    /// It waits a while for a worker that holds what it uses, although others have room.
    WaitsForWarm {
        /// How many such workers there are, all without room.
        workers: u32,
    },
    /// Matching workers are silent.
    Silent {
        /// How many.
        workers: u32,
    },
    /// Matching workers are suspended or draining.
    Suspended {
        /// How many.
        workers: u32,
    },
    /// Matching workers take no jobs at the moment, by their own judgement.
    Complaining {
        /// How many.
        workers: u32,
        /// What the first of them say, by name; at most [`MAX_COMPLAINING`].
        said: Vec<WorkerComplaints>,
    },
    /// It failed, and waits before it is tried again.
    RetryWait {
        /// For so long still.
        #[serde(with = "crate::time::millis")]
        left: Duration,
        /// The attempt that failed.
        after: AttemptNumber,
    },
    /// Jobs stand before it in its queue, by priority or because they came first.
    Behind {
        /// How many.
        jobs: u64,
    },
    /// Queues go first that have had less than their share, or have a higher class.
    QueuesFirst {
        /// How many.
        queues: u64,
    },
}

/// How many workers that complain are named one by one.
pub const MAX_COMPLAINING: usize = 16;

/// What one worker complains about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkerComplaints {
    /// Its name.
    pub name: String,
    /// What it says; empty where that is not known.
    pub complaints: Vec<Complaint>,
}

impl WorkerComplaints {
    /// A worker and what it says.
    pub const fn new(name: String, complaints: Vec<Complaint>) -> Self {
        Self { name, complaints }
    }
}

impl fmt::Display for WorkerComplaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name)?;
        for (at, complaint) in self.complaints.iter().enumerate() {
            write!(f, "{}{complaint}", if at == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

/// What keeps one worker from being enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lack {
    /// It does not meet a requirement.
    Requirement {
        /// Which one.
        requirement: Requirement,
    },
    /// It takes only jobs that name this tag.
    Exclusive {
        /// Which tag.
        tag: Tag,
    },
    /// It has too little of a resource, even when idle.
    Resource {
        /// Which resource.
        resource: String,
        /// How much is asked for.
        asked: u64,
        /// How much it has.
        has: u64,
    },
}

/// Something that would let a job start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Help {
    /// One worker that offers and has all of this.
    Worker {
        /// What it has to meet; as the job asks for it.
        requirements: Vec<Requirement>,
        /// What it has to have at least, besides one slot: names and amounts.
        resources: Vec<(String, u64)>,
        /// What it has to be called, if the job names it.
        name: Option<String>,
    },
    /// This worker, connected again.
    Connect {
        /// Its name.
        name: String,
    },
    /// This worker, resumed.
    Resume {
        /// Its name.
        name: String,
    },
    /// This worker, without what it complains of.
    Relieve {
        /// Its name.
        name: String,
    },
    /// A higher limit of the queue.
    RaiseQueueLimit {
        /// Which queue.
        queue: String,
        /// At least so high.
        above: u64,
    },
    /// An end of a job of the group, or a higher limit.
    FreeGroup {
        /// Which group.
        group: String,
    },
    /// The job itself asking to be allowed there: naming the exclusive tag.
    NameTag {
        /// Which tag.
        tag: Tag,
    },
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkers => {
                f.write_str("no worker has enrolled: start one with `jobyard-worker`")
            }
            Self::FleetUnknown => f.write_str(
                "the master has just started and waits for its workers to connect again",
            ),
            Self::RetryWait { left, after } => write!(
                f,
                "attempt {after} failed; the next one is due in {} s",
                left.as_secs_f64().ceil()
            ),
            Self::FleetMayGrow => {
                f.write_str("no worker will do yet, and more may come: the fleet grows on demand")
            }
            Self::RequirementUnmet {
                requirement,
                failing,
                workers,
            } => write!(
                f,
                "{failing} of {workers} workers do not meet `{requirement}`"
            ),
            Self::Excluded { tag, workers } => {
                write!(
                    f,
                    "workers that take only jobs which name `{tag}`: {workers}"
                )
            }
            Self::NamedWorkerUnknown { worker } => {
                write!(f, "there is no worker `{worker}`: see `jobyard workers`")
            }
            Self::TooMuch {
                resource,
                asked,
                largest,
            } => write!(
                f,
                "it takes {} and no worker that would do otherwise has more than {}",
                with_unit(resource, *asked),
                show_amount(resource, *largest)
            ),
            Self::Nearest { name, lacks, .. } => {
                write!(f, "`{name}` comes near: it ")?;
                for (at, lack) in lacks.iter().enumerate() {
                    write!(f, "{}{lack}", if at == 0 { "" } else { ", and " })?;
                }
                Ok(())
            }
            Self::QueueFull {
                queue,
                running,
                limit,
            } => write!(
                f,
                "queue `{queue}` may run {limit} at once, and {running} of its jobs have a worker"
            ),
            Self::GroupFull {
                group,
                running,
                limit,
            } => write!(
                f,
                "group `{group}` may run {limit} at once, and {running} of its jobs have a worker"
            ),
            Self::Busy { workers } => write!(f, "matching workers with too little room: {workers}"),
            Self::KeptForOthers { workers } => write!(
                f,
                "matching workers whose room is kept for a job that waits longer: {workers}"
            ),
            Self::Reserved { name, .. } => write!(
                f,
                "it has waited long: room on `{name}` is kept for it until there is enough"
            ),
            Self::WaitsForWarm { workers } => write!(
                f,
                "it waits a while for one of the workers that hold what it uses, all busy: {workers}"
            ),
            Self::Silent { workers } => {
                write!(f, "matching workers that are not connected: {workers}")
            }
            Self::Suspended { workers } => {
                write!(
                    f,
                    "matching workers that are suspended or draining: {workers}"
                )
            }
            Self::Complaining { workers, said } => {
                write!(
                    f,
                    "matching workers that take no jobs for a reason of their own: {workers}"
                )?;
                for (at, worker) in said.iter().enumerate() {
                    write!(f, "{}{worker}", if at == 0 { " (" } else { ", " })?;
                }
                f.write_str(if said.is_empty() { "" } else { ")" })
            }
            Self::Behind { jobs } => write!(f, "jobs before it in its queue: {jobs}"),
            Self::QueuesFirst { queues } => write!(f, "queues that go first now: {queues}"),
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requirement { requirement } => write!(f, "does not meet `{requirement}`"),
            Self::Exclusive { tag } => write!(f, "takes only jobs that name `{tag}`"),
            Self::Resource {
                resource,
                asked,
                has,
            } => write!(
                f,
                "has {} of the {}",
                show_amount(resource, *has),
                with_unit(resource, *asked)
            ),
        }
    }
}

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker {
                requirements,
                resources,
                name,
            } => {
                f.write_str("one worker")?;
                if let Some(name) = name {
                    write!(f, " named `{name}`")?;
                }
                let terms = requirements.iter().map(|term| format!("`{term}`"));
                let amounts = resources
                    .iter()
                    .map(|(resource, amount)| with_unit(resource, *amount));
                let parts: Vec<_> = terms.chain(amounts).collect();
                if !parts.is_empty() {
                    write!(f, " with {}", parts.join(" and "))?;
                }
                Ok(())
            }
            Self::Connect { name } => write!(f, "worker `{name}` connected again"),
            Self::Resume { name } => write!(f, "`jobyard worker resume {name}`"),
            Self::Relieve { name } => write!(
                f,
                "worker `{name}` without what it complains of: see `jobyard worker show {name}`"
            ),
            Self::RaiseQueueLimit { queue, above } => {
                write!(f, "`jobyard queue set {queue} --max-running` above {above}")
            }
            Self::FreeGroup { group } => {
                write!(
                    f,
                    "the end of a job of group `{group}`, or a higher limit of it"
                )
            }
            Self::NameTag { tag } => write!(f, "`--tag {tag}` on the job"),
        }
    }
}

fn with_unit(resource: &str, amount: u64) -> String {
    let shown = show_amount(resource, amount);
    match resource {
        "slots" => format!("{shown} slots"),
        "cpu" => format!("{shown} cores"),
        "memory" => format!("{shown} of memory"),
        name => format!("{shown} of `{name}`"),
    }
}
