//! The way from the engine to the task of each live session.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jobyard_core::{ClosingReason, MasterMessage, Refusal, SessionId};
use tokio::sync::mpsc;

/// How many messages wait for one worker. A worker that lets more come together does not read: its session ends, and it
/// is reconciled when it comes back.
const SESSION_QUEUE: usize = 16_384;

/// What a session's task is told.
#[derive(Debug)]
pub(super) enum Order {
    Say(MasterMessage),
    Close(Option<ClosingReason>),
    Refuse(Refusal),
}

/// The ports of all live sessions.
#[derive(Debug, Default)]
pub(super) struct Ports {
    ports: Mutex<HashMap<SessionId, mpsc::Sender<Order>>>,
}

impl Ports {
    pub(super) fn open(&self, session: SessionId) -> mpsc::Receiver<Order> {
        let (port, orders) = mpsc::channel(SESSION_QUEUE);
        self.lock().insert(session, port);
        orders
    }

    pub(super) fn forget(&self, session: SessionId) {
        self.lock().remove(&session);
    }

    /// Hands an order to a session. Without a session, or at its limit, the order is dropped and the session with it.
    pub(super) fn order(&self, session: SessionId, order: Order) {
        let is_last = !matches!(order, Order::Say(_));
        let mut ports = self.lock();
        let taken = ports
            .get(&session)
            .is_some_and(|port| port.try_send(order).is_ok());
        if is_last || !taken {
            // The task ends once it has read what is in the channel.
            ports.remove(&session);
        }
    }

    /// Tells every worker to reconnect without delay.
    pub(super) fn close_all(&self) {
        for (_, port) in self.lock().drain() {
            let _ = port.try_send(Order::Close(Some(ClosingReason::Restarting)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, mpsc::Sender<Order>>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
