//! What keeps one worker from being enough.

use jobyard_core::Lack;

use super::InvalidMessage;
use super::field::{kind, short_text, text};
use crate::generated::v1;

impl From<Lack> for v1::Lack {
    fn from(lack: Lack) -> Self {
        use v1::lack::Kind;

        let kind = match lack {
            Lack::Requirement { requirement } => Some(Kind::Requirement(requirement.to_string())),
            Lack::Exclusive { tag } => Some(Kind::Exclusive(tag.to_string())),
            Lack::Resource {
                resource,
                asked,
                has,
            } => Some(Kind::Resource(v1::ResourceLack {
                resource,
                asked,
                has,
            })),
            _ => None,
        };
        Self { kind }
    }
}

impl TryFrom<v1::Lack> for Lack {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Lack) -> Result<Self, InvalidMessage> {
        use v1::lack::Kind;

        Ok(match kind(wire.kind)? {
            Kind::Requirement(requirement) => Self::Requirement {
                requirement: text("requirement", &requirement)?,
            },
            Kind::Exclusive(tag) => Self::Exclusive {
                tag: text("exclusive", &tag)?,
            },
            Kind::Resource(lack) => Self::Resource {
                resource: short_text("resource.resource", lack.resource)?,
                asked: lack.asked,
                has: lack.has,
            },
        })
    }
}
