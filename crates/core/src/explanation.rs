//! Why a job waits, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{JobState, Requirement, WorkerId};

/// Whether a waiting job will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitVerdict {
    /// No worker of the fleet as it is could ever run it.
    Never,
    /// At least one could, and cannot now.
    NotNow,
    /// The fleet is not known yet: the master has just started.
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
}

impl Explanation {
    /// Of a job that does not wait.
    pub const fn not_waiting(state: JobState) -> Self {
        Self {
            state,
            verdict: None,
            reasons: Vec::new(),
        }
    }

    /// Of a job that waits.
    pub const fn waiting(verdict: WaitVerdict, reasons: Vec<WaitReason>) -> Self {
        Self {
            state: JobState::Queued,
            verdict: Some(verdict),
            reasons,
        }
    }
}

/// One reason why a job waits. Shown by `Display` as a sentence that says what would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitReason {
    /// There is no worker at all.
    NoWorkers,
    /// The master has just started and waits for its workers to come back.
    FleetUnknown,
    /// Workers fail this requirement.
    RequirementUnmet {
        /// Which one.
        requirement: Requirement,
        /// How many workers fail it.
        failing: u32,
        /// Of how many.
        workers: u32,
    },
    /// It asks for one worker, and there is none of that name or id.
    NamedWorkerUnknown {
        /// The name or id.
        worker: String,
    },
    /// It takes more slots than any matching worker has.
    TooManySlots {
        /// How many it takes.
        asked: u32,
        /// The most that one matching worker has.
        largest: u32,
    },
    /// The worker that comes nearest, and what it lacks.
    Nearest {
        /// Its id.
        worker: WorkerId,
        /// Its name.
        name: String,
        /// What it does not meet.
        lacks: Vec<Requirement>,
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
    /// Matching workers have no free slots.
    Busy {
        /// How many.
        workers: u32,
    },
    /// Others wait longer for the same workers.
    Behind {
        /// How many jobs stand before it in its queue.
        jobs: u64,
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
            Self::RequirementUnmet {
                requirement,
                failing,
                workers,
            } => write!(
                f,
                "{failing} of {workers} workers do not meet `{requirement}`: one worker with it would help"
            ),
            Self::NamedWorkerUnknown { worker } => {
                write!(f, "there is no worker `{worker}`: see `jobyard workers`")
            }
            Self::TooManySlots { asked, largest } => write!(
                f,
                "it takes {asked} slots and no matching worker has more than {largest}"
            ),
            Self::Nearest { name, lacks, .. } => {
                write!(f, "the nearest worker is `{name}`")?;
                for (at, requirement) in lacks.iter().enumerate() {
                    write!(
                        f,
                        "{}`{requirement}`",
                        if at == 0 { ", which lacks " } else { " and " }
                    )?;
                }
                Ok(())
            }
            Self::Silent { workers } => {
                write!(f, "matching workers that are not connected: {workers}")
            }
            Self::Suspended { workers } => write!(
                f,
                "matching workers that are suspended or draining: {workers}; `jobyard worker resume` would help"
            ),
            Self::Busy { workers } => {
                write!(f, "matching workers with too few free slots: {workers}")
            }
            Self::Behind { jobs } => write!(f, "jobs before it in its queue: {jobs}"),
        }
    }
}
