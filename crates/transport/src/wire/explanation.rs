//! Why jobs wait.

use jobyard_core::{Explanation, MAX_REQUIREMENTS, Requirement, WaitReason, WaitVerdict};

use super::InvalidMessage;
use super::field::{
    choice, id_bytes, kind, list, same_names, short_text, texts, to_texts, worker_id,
};
use crate::generated::v1;

/// More reasons than kinds of reasons times requirements of a job.
const MAX_REASONS: usize = 1024;

same_names!(WaitVerdict, [Never, NotNow, NotKnownYet], Unspecified);

impl From<Explanation> for v1::Explanation {
    fn from(explanation: Explanation) -> Self {
        let verdict = explanation.verdict.map(v1::WaitVerdict::from);
        Self {
            state: v1::JobState::from(explanation.state).into(),
            verdict: verdict.unwrap_or_default().into(),
            reasons: explanation.reasons.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Explanation> for Explanation {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Explanation) -> Result<Self, InvalidMessage> {
        let verdict = match wire.verdict {
            0 => None,
            verdict => Some(choice::<v1::WaitVerdict, WaitVerdict>("verdict", verdict)?),
        };
        let mut explanation = Self::not_waiting(choice::<v1::JobState, _>("state", wire.state)?);
        explanation.verdict = verdict;
        explanation.reasons = list("reasons", wire.reasons, MAX_REASONS)?;
        Ok(explanation)
    }
}

impl From<WaitReason> for v1::WaitReason {
    fn from(reason: WaitReason) -> Self {
        use v1::wait_reason::Kind;

        let kind = match reason {
            WaitReason::NoWorkers => Some(Kind::NoWorkers(v1::Nothing {})),
            WaitReason::FleetUnknown => Some(Kind::FleetUnknown(v1::Nothing {})),
            WaitReason::RequirementUnmet {
                requirement,
                failing,
                workers,
            } => Some(Kind::RequirementUnmet(v1::RequirementUnmet {
                requirement: requirement.to_string(),
                failing,
                workers,
            })),
            WaitReason::NamedWorkerUnknown { worker } => Some(Kind::NamedWorkerUnknown(worker)),
            WaitReason::TooManySlots { asked, largest } => {
                Some(Kind::TooManySlots(v1::TooManySlots { asked, largest }))
            }
            WaitReason::Nearest {
                worker,
                name,
                lacks,
            } => Some(Kind::Nearest(v1::NearestWorker {
                worker: id_bytes(worker.as_uuid()),
                name,
                lacks: to_texts(lacks),
            })),
            WaitReason::Silent { workers } => Some(Kind::Silent(workers)),
            WaitReason::Suspended { workers } => Some(Kind::Suspended(workers)),
            WaitReason::Busy { workers } => Some(Kind::Busy(workers)),
            WaitReason::Behind { jobs } => Some(Kind::Behind(jobs)),
            _ => None,
        };
        Self { kind }
    }
}

impl TryFrom<v1::WaitReason> for WaitReason {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WaitReason) -> Result<Self, InvalidMessage> {
        use v1::wait_reason::Kind;

        Ok(match kind(wire.kind)? {
            Kind::NoWorkers(_) => Self::NoWorkers,
            Kind::FleetUnknown(_) => Self::FleetUnknown,
            Kind::RequirementUnmet(unmet) => Self::RequirementUnmet {
                requirement: requirement(&unmet.requirement)?,
                failing: unmet.failing,
                workers: unmet.workers,
            },
            Kind::NamedWorkerUnknown(worker) => Self::NamedWorkerUnknown {
                worker: short_text("named_worker_unknown", worker)?,
            },
            Kind::TooManySlots(slots) => Self::TooManySlots {
                asked: slots.asked,
                largest: slots.largest,
            },
            Kind::Nearest(nearest) => Self::Nearest {
                worker: worker_id("nearest.worker", &nearest.worker)?,
                name: short_text("nearest.name", nearest.name)?,
                lacks: texts("nearest.lacks", &nearest.lacks, MAX_REQUIREMENTS)?,
            },
            Kind::Silent(workers) => Self::Silent { workers },
            Kind::Suspended(workers) => Self::Suspended { workers },
            Kind::Busy(workers) => Self::Busy { workers },
            Kind::Behind(jobs) => Self::Behind { jobs },
        })
    }
}

fn requirement(text: &str) -> Result<Requirement, InvalidMessage> {
    text.parse()
        .map_err(|error| InvalidMessage::new("requirement_unmet.requirement", error))
}
