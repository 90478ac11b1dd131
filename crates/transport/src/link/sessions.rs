//! Which session of each worker is the live one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobyard_core::{Refusal, RefusalReason, SessionHandler, WorkerId, mutated};
use uuid::Uuid;

use super::Ending;

/// The live sessions, at most one for each worker: bounded by the number of workers.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    live: Mutex<HashMap<WorkerId, Live>>,
}

#[derive(Debug)]
struct Live {
    /// By which uploads name the session.
    link: Uuid,
    ending: Ending,
}

impl Sessions {
    /// Makes this the live session of the worker; the one before ends.
    pub(crate) fn open(self: &Arc<Self>, worker: WorkerId, link: Uuid) -> SessionGuard {
        let ending = Ending::default();
        let live = Live {
            link,
            ending: ending.clone(),
        };
        let older = self.lock().insert(worker, live);
        if let Some(older) = older
            && !mutated("an older connection is not ended")
        {
            older.ending.refuse(Refusal::new(
                RefusalReason::Stale,
                "a newer session of this worker has replaced this one",
            ));
        }
        SessionGuard {
            sessions: Arc::clone(self),
            worker,
            ending,
            link,
        }
    }

    /// The ending of an upload that belongs to a session, if that one is still live.
    pub(crate) fn upload(&self, worker: WorkerId, link: Uuid) -> Result<Ending, Refusal> {
        match self.lock().get(&worker) {
            Some(live) if live.link == link => Ok(live.ending.child()),
            _ => Err(Refusal::new(
                RefusalReason::Stale,
                "the session that this output belongs to is over",
            )),
        }
    }

    /// Poisoned only by a panic between two map operations, which leaves the map whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<WorkerId, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held while a session is served. Dropping it ends the session's uploads.
pub(crate) struct SessionGuard {
    sessions: Arc<Sessions>,
    worker: WorkerId,
    ending: Ending,
    link: Uuid,
}

impl SessionGuard {
    pub(crate) fn ending(&self) -> &Ending {
        &self.ending
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let mut live = self.sessions.lock();
        if live
            .get(&self.worker)
            .is_some_and(|it| it.link == self.link)
        {
            live.remove(&self.worker);
        }
        drop(live);
        self.ending.close();
    }
}

/// Asks with each message whether a worker is still one of the cluster's.
#[derive(Clone)]
pub(crate) struct Membership {
    handler: Arc<dyn SessionHandler>,
    worker: WorkerId,
}

impl Membership {
    pub(crate) fn new(handler: Arc<dyn SessionHandler>, worker: WorkerId) -> Self {
        Self { handler, worker }
    }

    /// The refusal of a worker that was removed.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.handler.is_member(self.worker) {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalReason::Removed,
            "this worker is not, or no longer, one of this master's: enrol it with a new token",
        ))
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Membership({})", self.worker)
    }
}
