//! The master itself, as its administrators see it.

use jobyard_core::{AuditEntry, AuditPage, AuditQuery, Epoch, LogUsage, MasterStatus, Timestamp};

use super::InvalidMessage;
use super::field::{counts, list, to_counts};
use crate::generated::v1;

impl From<MasterStatus> for v1::StatusResponse {
    fn from(status: MasterStatus) -> Self {
        Self {
            name: status.name,
            version: status.version,
            epoch: status.epoch.0,
            started_at_us: status.started_at.as_micros(),
            listen: status.listen.map(|listen| listen.to_string()),
            store: status.store,
            workers: to_counts(status.workers),
            jobs: to_counts(status.jobs),
            queues: to_counts(status.queues),
            finished: status.finished,
            logs: status.logs.logs,
            log_bytes: status.logs.bytes,
            log_archived_bytes: status.logs.archived,
            log_budget: status.logs.budget,
        }
    }
}

impl TryFrom<v1::StatusResponse> for MasterStatus {
    type Error = InvalidMessage;

    fn try_from(wire: v1::StatusResponse) -> Result<Self, InvalidMessage> {
        let listen = wire.listen.map(|listen| {
            listen
                .parse()
                .map_err(|_| InvalidMessage::new("listen", "it is no address with a port"))
        });
        let mut status = Self::default();
        status.name = wire.name;
        status.version = wire.version;
        status.epoch = Epoch(wire.epoch);
        status.started_at = Timestamp::from_micros(wire.started_at_us);
        status.listen = listen.transpose()?;
        status.store = wire.store;
        status.workers = counts("workers", wire.workers)?;
        status.jobs = counts("jobs", wire.jobs)?;
        status.queues = counts("queues", wire.queues)?;
        status.finished = wire.finished;
        status.logs = LogUsage::new(wire.logs, wire.log_bytes);
        status.logs.archived = wire.log_archived_bytes;
        status.logs.budget = wire.log_budget;
        Ok(status)
    }
}

impl From<AuditQuery> for v1::AuditRequest {
    fn from(query: AuditQuery) -> Self {
        Self {
            limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
            after: query.after,
        }
    }
}

impl TryFrom<v1::AuditRequest> for AuditQuery {
    type Error = InvalidMessage;

    fn try_from(wire: v1::AuditRequest) -> Result<Self, InvalidMessage> {
        let mut query = Self::default();
        query.limit = usize::try_from(wire.limit).unwrap_or(usize::MAX);
        query.after = wire.after;
        Ok(query)
    }
}

impl From<AuditPage> for v1::AuditResponse {
    fn from(page: AuditPage) -> Self {
        Self {
            entries: page.entries.into_iter().map(Into::into).collect(),
            next: page.next,
        }
    }
}

impl TryFrom<v1::AuditResponse> for AuditPage {
    type Error = InvalidMessage;

    fn try_from(wire: v1::AuditResponse) -> Result<Self, InvalidMessage> {
        Ok(Self::new(
            list("entries", wire.entries, usize::MAX)?,
            wire.next,
        ))
    }
}

impl From<AuditEntry> for v1::AuditEntry {
    fn from(entry: AuditEntry) -> Self {
        Self {
            seq: entry.seq,
            at_us: entry.at.as_micros(),
            who: entry.who,
            action: entry.action,
            subject: entry.subject,
            result: entry.result,
        }
    }
}

impl TryFrom<v1::AuditEntry> for AuditEntry {
    type Error = InvalidMessage;

    fn try_from(wire: v1::AuditEntry) -> Result<Self, InvalidMessage> {
        let at = Timestamp::from_micros(wire.at_us);
        let mut entry = Self::new(at, wire.who, wire.action, wire.subject, wire.result);
        entry.seq = wire.seq;
        Ok(entry)
    }
}
