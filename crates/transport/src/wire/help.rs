//! What would let a job start.

use jobyard_core::{Help, MAX_NAMED_RESOURCES, MAX_REQUIREMENTS};

use super::InvalidMessage;
use super::field::{at_most, kind, short_text, text, texts, to_texts};
use crate::generated::v1;

/// The named resources, and slots, processor time and memory.
const MAX_RESOURCES: usize = MAX_NAMED_RESOURCES + 3;

impl From<Help> for v1::Help {
    fn from(help: Help) -> Self {
        use v1::help::Kind;

        let kind = match help {
            Help::Worker {
                requirements,
                resources,
                name,
            } => Some(Kind::Worker(v1::NeededWorker {
                requirements: to_texts(requirements),
                resources: resources
                    .into_iter()
                    .map(|(key, value)| v1::Count { key, value })
                    .collect(),
                name,
            })),
            Help::Connect { name } => Some(Kind::Connect(name)),
            Help::Resume { name } => Some(Kind::Resume(name)),
            Help::RaiseQueueLimit { queue, above } => {
                Some(Kind::RaiseQueueLimit(v1::QueueLimit { queue, above }))
            }
            Help::FreeGroup { group } => Some(Kind::FreeGroup(group)),
            Help::NameTag { tag } => Some(Kind::NameTag(tag.to_string())),
            _ => None,
        };
        Self { kind }
    }
}

impl TryFrom<v1::Help> for Help {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Help) -> Result<Self, InvalidMessage> {
        use v1::help::Kind;

        Ok(match kind(wire.kind)? {
            Kind::Worker(worker) => needed(worker).map_err(|error| error.within("worker"))?,
            Kind::Connect(name) => Self::Connect {
                name: short_text("connect", name)?,
            },
            Kind::Resume(name) => Self::Resume {
                name: short_text("resume", name)?,
            },
            Kind::RaiseQueueLimit(limit) => Self::RaiseQueueLimit {
                queue: short_text("raise_queue_limit.queue", limit.queue)?,
                above: limit.above,
            },
            Kind::FreeGroup(group) => Self::FreeGroup {
                group: short_text("free_group", group)?,
            },
            Kind::NameTag(tag) => Self::NameTag {
                tag: text("name_tag", &tag)?,
            },
        })
    }
}

fn needed(wire: v1::NeededWorker) -> Result<Help, InvalidMessage> {
    at_most("resources", wire.resources.len(), MAX_RESOURCES)?;
    let resources = wire.resources.into_iter();
    Ok(Help::Worker {
        requirements: texts("requirements", &wire.requirements, MAX_REQUIREMENTS)?,
        resources: resources
            .map(|count| Ok((short_text("resources", count.key)?, count.value)))
            .collect::<Result<_, _>>()?,
        name: wire.name.map(|name| short_text("name", name)).transpose()?,
    })
}
