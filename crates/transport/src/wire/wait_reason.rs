//! Single reasons why a job waits.

use jobyard_core::{Lack, MAX_NAMED_RESOURCES, MAX_REQUIREMENTS, MAX_TAGS, WaitReason};

use super::InvalidMessage;
use super::complaint::{said, to_said};
use super::field::{
    attempt_number, duration, id_bytes, kind, list, millis, short_text, text, texts, worker_id,
};
use crate::generated::v1;
use crate::generated::v1::wait_reason::Kind;

/// Every requirement, every exclusive tag and every resource, slots, processor time and memory included.
const MAX_LACKS: usize = MAX_REQUIREMENTS + MAX_TAGS + MAX_NAMED_RESOURCES + 3;

/// The resource that has a message of its own, which was there before the others.
const SLOTS: &str = "slots";

impl From<WaitReason> for v1::WaitReason {
    fn from(reason: WaitReason) -> Self {
        let full = |name, running, limit| v1::Full {
            name,
            running,
            limit,
        };
        let (mut complaining, mut retry_wait) = (None, None);
        let kind = match reason {
            WaitReason::NoWorkers => Some(Kind::NoWorkers(v1::Nothing {})),
            WaitReason::FleetUnknown => Some(Kind::FleetUnknown(v1::Nothing {})),
            WaitReason::FleetMayGrow => Some(Kind::FleetMayGrow(v1::Nothing {})),
            WaitReason::RequirementUnmet {
                requirement,
                failing,
                workers,
            } => Some(Kind::RequirementUnmet(v1::RequirementUnmet {
                requirement: requirement.to_string(),
                failing,
                workers,
            })),
            WaitReason::Excluded { tag, workers } => Some(Kind::Excluded(v1::Excluded {
                tag: tag.to_string(),
                workers,
            })),
            WaitReason::NamedWorkerUnknown { worker } => Some(Kind::NamedWorkerUnknown(worker)),
            WaitReason::TooMuch {
                resource,
                asked,
                largest,
            } => Some(too_much(resource, asked, largest)),
            WaitReason::Nearest {
                worker,
                name,
                lacks,
            } => Some(Kind::Nearest(v1::NearestWorker {
                worker: id_bytes(worker.as_uuid()),
                name,
                lacks: requirements(&lacks),
                all_lacks: all(lacks),
            })),
            WaitReason::QueueFull {
                queue,
                running,
                limit,
            } => Some(Kind::QueueFull(full(queue, running, limit))),
            WaitReason::GroupFull {
                group,
                running,
                limit,
            } => Some(Kind::GroupFull(full(group, running, limit))),
            WaitReason::Busy { workers } => Some(Kind::Busy(workers)),
            WaitReason::KeptForOthers { workers } => Some(Kind::KeptForOthers(workers)),
            WaitReason::Reserved { worker, name } => Some(Kind::Reserved(v1::ReservedWorker {
                worker: id_bytes(worker.as_uuid()),
                name,
            })),
            WaitReason::WaitsForWarm { workers } => Some(Kind::WaitsForWarm(workers)),
            WaitReason::Silent { workers } => Some(Kind::Silent(workers)),
            WaitReason::Suspended { workers } => Some(Kind::Suspended(workers)),
            WaitReason::Complaining { workers, said } => {
                complaining = Some(to_said(said));
                Some(Kind::Suspended(workers))
            }
            WaitReason::Behind { jobs } => Some(Kind::Behind(jobs)),
            WaitReason::QueuesFirst { queues } => Some(Kind::QueuesFirst(queues)),
            WaitReason::RetryWait { left, after } => {
                retry_wait = Some(v1::RetryWait {
                    left_ms: millis(left),
                    after: after.get(),
                });
                Some(Kind::Behind(0))
            }
            _ => None,
        };
        Self {
            kind,
            complaining,
            retry_wait,
        }
    }
}

/// Too many slots are told as they always were.
fn too_much(resource: String, asked: u64, largest: u64) -> Kind {
    if resource == SLOTS
        && let (Ok(asked), Ok(largest)) = (u32::try_from(asked), u32::try_from(largest))
    {
        return Kind::TooManySlots(v1::TooManySlots { asked, largest });
    }
    Kind::TooMuch(v1::TooMuch {
        resource,
        asked,
        largest,
    })
}

/// What readers that know requirements alone can be told.
fn requirements(lacks: &[Lack]) -> Vec<String> {
    let requirement = |lack: &Lack| match lack {
        Lack::Requirement { requirement } => Some(requirement.to_string()),
        _ => None,
    };
    lacks
        .iter()
        .take(MAX_REQUIREMENTS)
        .filter_map(requirement)
        .collect()
}

/// Everything, if that is more than requirements.
fn all(lacks: Vec<Lack>) -> Vec<v1::Lack> {
    let is_requirement = |lack: &Lack| matches!(lack, Lack::Requirement { .. });
    if lacks.iter().all(is_requirement) {
        return Vec::new();
    }
    lacks.into_iter().take(MAX_LACKS).map(Into::into).collect()
}

impl TryFrom<v1::WaitReason> for WaitReason {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WaitReason) -> Result<Self, InvalidMessage> {
        if let Some(wait) = wire.retry_wait {
            return Ok(Self::RetryWait {
                left: duration("retry_wait.left", wait.left_ms)?,
                after: attempt_number("retry_wait.after", wait.after)?,
            });
        }
        Ok(match kind(wire.kind)? {
            Kind::NoWorkers(_) => Self::NoWorkers,
            Kind::FleetUnknown(_) => Self::FleetUnknown,
            Kind::FleetMayGrow(_) => Self::FleetMayGrow,
            Kind::RequirementUnmet(unmet) => Self::RequirementUnmet {
                requirement: text("requirement_unmet.requirement", &unmet.requirement)?,
                failing: unmet.failing,
                workers: unmet.workers,
            },
            Kind::Excluded(excluded) => Self::Excluded {
                tag: text("excluded.tag", &excluded.tag)?,
                workers: excluded.workers,
            },
            Kind::NamedWorkerUnknown(worker) => Self::NamedWorkerUnknown {
                worker: short_text("named_worker_unknown", worker)?,
            },
            Kind::TooManySlots(slots) => Self::TooMuch {
                resource: SLOTS.to_owned(),
                asked: slots.asked.into(),
                largest: slots.largest.into(),
            },
            Kind::TooMuch(too_much) => Self::TooMuch {
                resource: short_text("too_much.resource", too_much.resource)?,
                asked: too_much.asked,
                largest: too_much.largest,
            },
            Kind::Nearest(nearest) => Self::Nearest {
                worker: worker_id("nearest.worker", &nearest.worker)?,
                name: short_text("nearest.name", nearest.name)?,
                lacks: lacks(&nearest.lacks, nearest.all_lacks)
                    .map_err(|error| error.within("nearest"))?,
            },
            Kind::QueueFull(full) => Self::QueueFull {
                queue: short_text("queue_full.name", full.name)?,
                running: full.running,
                limit: full.limit,
            },
            Kind::GroupFull(full) => Self::GroupFull {
                group: short_text("group_full.name", full.name)?,
                running: full.running,
                limit: full.limit,
            },
            Kind::Busy(workers) => Self::Busy { workers },
            Kind::KeptForOthers(workers) => Self::KeptForOthers { workers },
            Kind::Reserved(reserved) => Self::Reserved {
                worker: worker_id("reserved.worker", &reserved.worker)?,
                name: short_text("reserved.name", reserved.name)?,
            },
            Kind::WaitsForWarm(workers) => Self::WaitsForWarm { workers },
            Kind::Silent(workers) => Self::Silent { workers },
            Kind::Suspended(workers) => match wire.complaining {
                Some(complaining) => Self::Complaining {
                    workers,
                    said: said(complaining).map_err(|error| error.within("complaining"))?,
                },
                None => Self::Suspended { workers },
            },
            Kind::Behind(jobs) => Self::Behind { jobs },
            Kind::QueuesFirst(queues) => Self::QueuesFirst { queues },
        })
    }
}

/// What a worker lacks: told whole, or by a sender that knows requirements alone.
fn lacks(requirements: &[String], all: Vec<v1::Lack>) -> Result<Vec<Lack>, InvalidMessage> {
    if !all.is_empty() {
        return list("all_lacks", all, MAX_LACKS);
    }
    let requirements = texts("lacks", requirements, MAX_REQUIREMENTS)?.into_iter();
    Ok(requirements
        .map(|requirement| Lack::Requirement { requirement })
        .collect())
}
