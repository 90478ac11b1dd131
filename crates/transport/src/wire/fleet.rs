//! Workers and join tokens as their users see them.

use std::time::Duration;

use jobyard_core::{
    CreatedToken, MAX_INVENTORY, MAX_TAGS, NewToken, SecretText, Timestamp, TokenInfo, Worker,
    WorkerCommand,
};

use super::complaint::{complaints, to_complaints};
use super::field::{
    choice, duration, entries, id_bytes, list, map, micros, millis, moment, required, same_names,
    texts, to_texts, worker_id,
};
use super::session::tag_set;
use super::{InvalidMessage, resources};
use crate::generated::v1;

same_names!(
    AdminState,
    [Active, Suspended, Draining, Removed],
    Unspecified
);
same_names!(Contact, [Connected, Silent]);

impl From<Worker> for v1::Worker {
    fn from(worker: Worker) -> Self {
        Self {
            id: id_bytes(worker.id.as_uuid()),
            name: worker.name,
            admin: v1::AdminState::from(worker.admin).into(),
            contact: v1::Contact::from(worker.contact).into(),
            facts: Some(worker.facts.into()),
            address: worker.address,
            tags: to_texts(worker.tags.iter()),
            slots: worker.capacity.slots,
            slots_used: worker.used.slots,
            attempts: worker.attempts.into_iter().map(Into::into).collect(),
            env: entries(worker.env),
            enrolled_at_us: worker.enrolled_at.as_micros(),
            last_contact_us: micros(worker.last_contact),
            exclusive: to_texts(worker.exclusive.iter()),
            capacity: resources::amounts(worker.capacity),
            used: resources::amounts(worker.used),
            complaints: to_complaints(worker.complaints),
        }
    }
}

impl TryFrom<v1::Worker> for Worker {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Worker) -> Result<Self, InvalidMessage> {
        let mut worker = Self::new(
            worker_id("id", &wire.id)?,
            wire.name,
            Timestamp::from_micros(wire.enrolled_at_us),
        );
        worker.admin = choice::<v1::AdminState, _>("admin", wire.admin)?;
        worker.contact = choice::<v1::Contact, _>("contact", wire.contact)?;
        worker.facts = required("facts", wire.facts)?;
        worker.address = wire.address;
        worker.tags = tag_set("tags", &wire.tags)?;
        worker.exclusive = tag_set("exclusive", &wire.exclusive)?;
        worker.capacity = resources::shown("capacity", wire.slots, wire.capacity)?;
        worker.used = resources::shown("used", wire.slots_used, wire.used)?;
        worker.complaints = complaints("complaints", wire.complaints)?;
        worker.attempts = list("attempts", wire.attempts, MAX_INVENTORY)?;
        worker.env = map("env", wire.env)?;
        worker.last_contact = moment(wire.last_contact_us);
        Ok(worker)
    }
}

impl From<NewToken> for v1::CreateTokenRequest {
    fn from(token: NewToken) -> Self {
        Self {
            uses: token.uses,
            ttl_ms: millis(token.ttl),
            tags: to_texts(token.tags),
        }
    }
}

impl TryFrom<v1::CreateTokenRequest> for NewToken {
    type Error = InvalidMessage;

    fn try_from(wire: v1::CreateTokenRequest) -> Result<Self, InvalidMessage> {
        let mut token = Self::default();
        token.uses = wire.uses;
        // Whether it is too long is for the master to say.
        token.ttl = Duration::from_millis(wire.ttl_ms);
        token.tags = texts("tags", &wire.tags, MAX_TAGS)?;
        Ok(token)
    }
}

impl From<CreatedToken> for v1::CreateTokenResponse {
    fn from(created: CreatedToken) -> Self {
        Self {
            info: Some(created.info.into()),
            token: created.token.expose().to_owned(),
        }
    }
}

impl TryFrom<v1::CreateTokenResponse> for CreatedToken {
    type Error = InvalidMessage;

    fn try_from(wire: v1::CreateTokenResponse) -> Result<Self, InvalidMessage> {
        let info: TokenInfo = required("info", wire.info)?;
        Ok(Self::new(info, SecretText::new(wire.token)))
    }
}

impl From<TokenInfo> for v1::TokenInfo {
    fn from(info: TokenInfo) -> Self {
        Self {
            id: info.id,
            created_at_us: info.created_at.as_micros(),
            expires_at_us: info.expires_at.as_micros(),
            uses_left: info.uses_left,
            revoked: info.revoked,
            tags: to_texts(info.tags),
        }
    }
}

impl TryFrom<v1::TokenInfo> for TokenInfo {
    type Error = InvalidMessage;

    fn try_from(wire: v1::TokenInfo) -> Result<Self, InvalidMessage> {
        let mut info = Self::new(
            wire.id,
            Timestamp::from_micros(wire.created_at_us),
            Timestamp::from_micros(wire.expires_at_us),
            wire.uses_left,
        );
        info.revoked = wire.revoked;
        info.tags = texts("tags", &wire.tags, MAX_TAGS)?;
        Ok(info)
    }
}

/// What to do with a worker, as a request.
pub(crate) fn set_worker_request(worker: &str, to: WorkerCommand) -> v1::SetWorkerRequest {
    let mut deadline_ms = None;
    let command = match to {
        WorkerCommand::Suspend => v1::WorkerCommand::Suspend,
        WorkerCommand::Resume => v1::WorkerCommand::Resume,
        WorkerCommand::Remove => v1::WorkerCommand::Remove,
        WorkerCommand::Drain { deadline } => {
            deadline_ms = deadline.map(millis);
            v1::WorkerCommand::Drain
        }
        _ => v1::WorkerCommand::Unspecified,
    };
    v1::SetWorkerRequest {
        worker: worker.to_owned(),
        to: command.into(),
        deadline_ms,
    }
}

/// Which worker, and what to do with it.
impl TryFrom<v1::SetWorkerRequest> for (String, WorkerCommand) {
    type Error = InvalidMessage;

    fn try_from(wire: v1::SetWorkerRequest) -> Result<Self, InvalidMessage> {
        let command = v1::WorkerCommand::try_from(wire.to).unwrap_or_default();
        let to = match command {
            v1::WorkerCommand::Suspend => WorkerCommand::Suspend,
            v1::WorkerCommand::Resume => WorkerCommand::Resume,
            v1::WorkerCommand::Remove => WorkerCommand::Remove,
            v1::WorkerCommand::Drain => WorkerCommand::Drain {
                deadline: wire
                    .deadline_ms
                    .map(|millis| duration("deadline", millis))
                    .transpose()?,
            },
            v1::WorkerCommand::Unspecified => {
                return Err(InvalidMessage::new(
                    "to",
                    "it is no command that is known here",
                ));
            }
        };
        Ok((wire.worker, to))
    }
}
