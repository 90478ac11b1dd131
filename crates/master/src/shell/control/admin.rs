//! Calls about the master itself.

use async_trait::async_trait;
use jobyard_core::{
    Action, Admin, AuditEntry, AuditPage, AuditQuery, Caller, ControlError, EventQuery,
    EventStream, MasterStatus, RecordQuery,
};

use super::{damaged, page_size};
use crate::records::{AUDIT, read};
use crate::shell::master::Master;
use crate::shell::requests::Ask;

#[async_trait]
impl Admin for Master {
    async fn status(&self, caller: &Caller) -> Result<MasterStatus, ControlError> {
        self.shared.allow(caller, Action::ReadStatus)?;
        let (tally, counters) = self.shared.inbox.ask(Ask::Tally).await?;
        let usage = self.shared.config.logs.usage().await;
        let mut status = MasterStatus::default();
        status.name.clone_from(&self.shared.config.name);
        env!("CARGO_PKG_VERSION").clone_into(&mut status.version);
        status.epoch = counters.epoch;
        status.started_at = self.shared.started_at;
        status.listen = self.shared.config.listen;
        status.store = self.shared.described_store().await;
        status.workers = tally.workers;
        status.jobs = tally.jobs;
        status.queues = tally.queues;
        status.finished = tally.finished;
        status.logs = usage.map_err(|problem| ControlError::Internal {
            problem: problem.to_string(),
        })?;
        Ok(status)
    }

    async fn audit(&self, caller: &Caller, query: AuditQuery) -> Result<AuditPage, ControlError> {
        self.shared.allow(caller, Action::ReadAudit)?;
        let mut records = RecordQuery::new(AUDIT, page_size(query.limit)?);
        records.after = query.after;
        let page = self.shared.list(records).await?;
        let entries: Result<Vec<AuditEntry>, _> = page.records.iter().map(read).collect();
        Ok(AuditPage::new(entries.map_err(damaged)?, page.next))
    }

    async fn events(
        &self,
        caller: &Caller,
        query: EventQuery,
    ) -> Result<EventStream, ControlError> {
        self.shared.allow(caller, Action::ReadEvents)?;
        crate::shell::events::read(&self.shared, caller, query).await
    }
}
