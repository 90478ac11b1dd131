//! Those who wait for an answer of the engine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jobyard_core::ControlError;
use tokio::sync::oneshot;

use crate::engine::{Answer, ReplyTo};

/// Pending answers by number.
#[derive(Debug, Default)]
pub(super) struct Replies {
    next: AtomicU64,
    waiting: Mutex<HashMap<ReplyTo, oneshot::Sender<Answer>>>,
}

impl Replies {
    /// Begins to wait. The receiver fails when the term ends before the answer is there.
    pub(super) fn expect(&self) -> (ReplyTo, oneshot::Receiver<Answer>) {
        let reply = ReplyTo(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(reply, sender);
        (reply, receiver)
    }

    /// Gives the answer. Whoever has stopped waiting misses it.
    pub(super) fn answer(&self, to: ReplyTo, answer: Answer) {
        let sender = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&to);
        if let Some(sender) = sender {
            let _ = sender.send(answer);
        }
    }

    /// Everybody who waits is told this instead. The answers, when they come, are missed.
    pub(super) fn refuse_all(&self, error: &ControlError) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, sender) in waiting.drain() {
            let _ = sender.send(Answer::Refused(error.clone()));
        }
    }

    /// Nobody will get an answer any more.
    pub(super) fn abandon_all(&self) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
