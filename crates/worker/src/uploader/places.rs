//! Who may hold an upload link.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// A bounded number of places, and the number of those who wait for one. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    waiting: Arc<watch::Sender<usize>>,
}

impl Places {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(places)),
            waiting: Arc::default(),
        }
    }

    /// A place, in the order of asking; given back by dropping it. Cancel-safe.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        let free = Arc::clone(&self.free);
        if let Ok(place) = free.try_acquire_owned() {
            return Some(place);
        }
        let _waiting = Waiting::begin(&self.waiting);
        // The semaphore is never closed.
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Whether somebody waits for a place.
    pub(super) fn are_wanted(&self) -> bool {
        *self.waiting.borrow() > 0
    }

    /// Returns when somebody waits for a place. Cancel-safe.
    pub(super) async fn wanted(&self) {
        // The sender lives as long as this value.
        let _ = self
            .waiting
            .subscribe()
            .wait_for(|waiting| *waiting > 0)
            .await;
    }
}

/// One who waits, until it is dropped.
struct Waiting(Arc<watch::Sender<usize>>);

impl Waiting {
    fn begin(waiting: &Arc<watch::Sender<usize>>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(Arc::clone(waiting))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}
