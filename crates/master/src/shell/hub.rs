//! Wakes those who watch a job. Nothing is kept for jobs that nobody watches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobyard_core::JobId;
use tokio::sync::watch;

/// One channel for each job that is watched.
#[derive(Debug, Default)]
pub(super) struct Hub {
    watched: Mutex<HashMap<JobId, watch::Sender<()>>>,
}

impl Hub {
    /// Begins to watch. Look at the job afterwards: what happens from now on is not missed.
    pub(super) fn watch(self: &Arc<Self>, job: JobId) -> Watch {
        let mut watched = self.lock();
        let sender = watched.entry(job).or_insert_with(|| watch::channel(()).0);
        Watch {
            receiver: sender.subscribe(),
            hub: Arc::clone(self),
            job,
        }
    }

    /// A job has changed.
    pub(super) fn notify(&self, job: JobId) {
        if let Some(sender) = self.lock().get(&job) {
            sender.send_replace(());
        }
    }

    /// Anything may have changed: a new term has begun.
    pub(super) fn notify_all(&self) {
        for sender in self.lock().values() {
            sender.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, watch::Sender<()>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who watches a job.
#[derive(Debug)]
pub(super) struct Watch {
    receiver: watch::Receiver<()>,
    hub: Arc<Hub>,
    job: JobId,
}

impl Watch {
    /// Returns when the job has changed since the last call, or since the watch began. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        // The hub keeps the sender for as long as this watch lives.
        let _ = self.receiver.changed().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.hub.lock();
        // The last one turns off the light; this receiver still counts.
        if watched
            .get(&self.job)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            watched.remove(&self.job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_change_after_the_watch_began_is_not_missed() {
        let hub = Arc::new(Hub::default());
        let job = JobId::from_uuid(Uuid::from_u128(1));
        let mut watch = hub.watch(job);
        hub.notify(job);
        watch.changed().await;
    }

    #[test]
    fn nothing_is_kept_once_nobody_watches() {
        let hub = Arc::new(Hub::default());
        let job = JobId::from_uuid(Uuid::from_u128(1));
        let (first, second) = (hub.watch(job), hub.watch(job));
        drop(first);
        assert_eq!(hub.lock().len(), 1);
        drop(second);
        assert!(hub.lock().is_empty());
    }
}
