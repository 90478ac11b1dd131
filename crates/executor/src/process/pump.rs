//! Moves what a job prints from its pipes into its output, whatever the system's pipes are like.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Reads all pipes of one attempt, from its start to their end.
#[derive(Debug)]
pub(super) struct Pump {
    /// Answers whether somebody still held a pipe open.
    task: JoinHandle<bool>,
    cut: watch::Sender<bool>,
}

impl Pump {
    /// Begins to read. Each stream reads one pipe to its end, or until the cut; it answers whether it was cut off. Needs
    /// a runtime.
    pub(super) fn start<S>(cut: watch::Sender<bool>, streams: Vec<S>) -> Self
    where
        S: Future<Output = bool> + Send + 'static,
    {
        let task = tokio::spawn(async move { join_all(streams).await.contains(&true) });
        Self { task, cut }
    }

    /// Waits for the end of the pipes, at most for `patience`; then takes what is in them and cuts them off. Answers
    /// whether they had to be cut off. All that was read has been handed over on return.
    pub(super) async fn finish(mut self, patience: Duration) -> bool {
        if let Ok(ended) = timeout(patience, &mut self.task).await {
            return ended.unwrap_or(false);
        }
        self.cut.send_replace(true);
        self.task.await.unwrap_or(true)
    }
}
