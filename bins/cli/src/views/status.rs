//! The master.

use std::collections::BTreeMap;

use jobyard_core::MasterStatus;
use serde::Serialize;

use super::time::time;

/// How the master is.
#[derive(Debug, Serialize)]
pub(crate) struct StatusView<'a> {
    name: &'a str,
    version: &'a str,
    epoch: u64,
    started_at: String,
    listen: Option<String>,
    store: &'a str,
    workers: &'a BTreeMap<String, u64>,
    jobs: &'a BTreeMap<String, u64>,
    queues: &'a BTreeMap<String, u64>,
    /// Jobs that finished since it started.
    finished: u64,
    logs: LogsView,
}

#[derive(Debug, Serialize)]
struct LogsView {
    attempts: u64,
    bytes: u64,
    /// In the archive, on top of that.
    archived_bytes: u64,
    /// How many bytes there may be; null if any number.
    budget: Option<u64>,
    /// Whether output waits at its workers for room.
    full: bool,
}

impl<'a> From<&'a MasterStatus> for StatusView<'a> {
    fn from(status: &'a MasterStatus) -> Self {
        Self {
            name: &status.name,
            version: &status.version,
            epoch: status.epoch.0,
            started_at: time(status.started_at),
            listen: status.listen.map(|address| address.to_string()),
            store: &status.store,
            workers: &status.workers,
            jobs: &status.jobs,
            queues: &status.queues,
            finished: status.finished,
            logs: LogsView {
                attempts: status.logs.logs,
                bytes: status.logs.bytes,
                archived_bytes: status.logs.archived,
                budget: status.logs.budget,
                full: status.logs.is_full(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::time::tests::at;
    use jobyard_core::{Epoch, LogUsage};

    #[test]
    fn status_has_its_keys() {
        let mut status = MasterStatus::default();
        status.name = "ci".to_owned();
        status.version = "0.1.0".to_owned();
        status.epoch = Epoch(3);
        status.started_at = at(0);
        status.listen = "127.0.0.1:7411".parse().ok();
        status.workers.insert("active".to_owned(), 2);
        status.logs = LogUsage::new(3, 4096);
        insta::assert_json_snapshot!(StatusView::from(&status));
    }
}
