//! The upload of one attempt's output, over as many links as it takes.

use std::sync::Arc;

use jobyard_core::{LinkError, Refusal, Uploads, WorkerId};
use jobyard_transport::Backoff;

use super::link::{self, LinkEnd};
use super::{Pacer, Places};
use crate::spool::SpoolLog;

/// Everything that the upload of one attempt needs. Lives as long as the session; dropping the future of
/// [`run`](Self::run) ends it.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) log: Arc<SpoolLog>,
    pub(crate) uploads: Arc<dyn Uploads>,
    pub(crate) places: Places,
    pub(crate) pacer: Pacer,
    pub(crate) backoff: Backoff,
    pub(crate) worker: WorkerId,
}

/// What an upload came to.
#[derive(Debug)]
pub(crate) enum Uploaded {
    /// The master has all of the output.
    Sealed,
    /// There was none.
    Nothing,
    /// The master does not take it. The next session may ask for it again.
    Refused(Refusal),
}

impl Upload {
    /// Brings all of the output to the master, however long that takes.
    pub(crate) async fn run(self) -> Uploaded {
        let attempt = self.log.attempt();
        let (mut durable, mut failures) = (0, 0);
        loop {
            if !self.has_output_beyond(durable).await {
                return Uploaded::Nothing;
            }
            let place = self.places.take().await;
            let end = match self.uploads.open(attempt, self.log.first()).await {
                Ok(link) => link::run(&self.log, &self.places, &self.pacer, link).await,
                Err(error) => LinkEnd::Broken(error),
            };
            drop(place);
            match end {
                LinkEnd::Sealed => return Uploaded::Sealed,
                LinkEnd::MadeRoom { durable: reached } => {
                    durable = reached;
                    failures = 0;
                    continue;
                }
                LinkEnd::Broken(LinkError::Refused(refusal)) if !refusal.reason.is_temporary() => {
                    return Uploaded::Refused(refusal);
                }
                LinkEnd::Broken(error) => {
                    tracing::debug!(%attempt, %error, "an upload was interrupted");
                }
                LinkEnd::Unreadable(error) => {
                    tracing::warn!(%attempt, %error, "output cannot be read at the moment");
                }
            }
            tokio::time::sleep(self.backoff.delay(self.worker, failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Waits for something to send. `false`: there is no output at all.
    async fn has_output_beyond(&self, durable: u64) -> bool {
        let mut progress = self.log.watch();
        let worth = progress
            .wait_for(|progress| progress.end > durable || progress.closed.is_some())
            .await;
        worth.is_ok_and(|progress| progress.closed.is_none_or(|end| end.bytes > 0))
    }
}
