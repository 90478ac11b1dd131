//! What reaches the task that owns the engine.

use jobyard_core::{ControlError, Explanation, JobId, Now, QueueInfo, TokenInfo, Worker};
use tokio::sync::{mpsc, oneshot};

use crate::engine::{Engine, Input, Tally};
use crate::records::Counters;

/// How many requests wait for the engine before senders wait themselves.
pub(super) const INBOX: usize = 1_024;

/// One request.
#[derive(Debug)]
pub(super) enum Request {
    /// Something happened.
    Tell(Input),
    /// Somebody wants to know.
    Ask(Ask),
}

/// A question to the engine, and where the answer goes.
#[derive(Debug)]
pub(super) enum Ask {
    Explain(JobId, oneshot::Sender<Option<Explanation>>),
    Workers {
        removed: bool,
        to: oneshot::Sender<Vec<Worker>>,
    },
    Worker(String, oneshot::Sender<Option<Worker>>),
    Queues(oneshot::Sender<Vec<QueueInfo>>),
    Tokens(oneshot::Sender<Vec<TokenInfo>>),
    Tally(oneshot::Sender<(Tally, Counters)>),
}

impl Ask {
    /// Answers from the engine. An asker who has left misses it.
    pub(super) fn answer(self, now: Now, engine: &Engine) {
        match self {
            Self::Explain(job, to) => drop(to.send(engine.explain(now, job))),
            Self::Workers { removed, to } => drop(to.send(engine.workers(removed))),
            Self::Worker(name, to) => drop(to.send(engine.find_worker(&name))),
            Self::Queues(to) => drop(to.send(engine.queues())),
            Self::Tokens(to) => drop(to.send(engine.tokens())),
            Self::Tally(to) => drop(to.send((engine.tally(), engine.counters()))),
        }
    }
}

/// The way to the task that owns the engine.
#[derive(Clone, Debug)]
pub(super) struct Inbox(mpsc::Sender<Request>);

impl Inbox {
    pub(super) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel(INBOX);
        (Self(sender), receiver)
    }

    /// Tells the engine; waits while it has much to do.
    pub(super) async fn tell(&self, input: Input) -> Result<(), ControlError> {
        self.0
            .send(Request::Tell(input))
            .await
            .map_err(|_| stopped())
    }

    /// Tells the engine if there is room. For those who cannot wait and have a timer behind them.
    pub(super) fn try_tell(&self, input: Input) {
        let _ = self.0.try_send(Request::Tell(input));
    }

    /// Asks the engine.
    pub(super) async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<T>) -> Ask,
    ) -> Result<T, ControlError> {
        let (to, answer) = oneshot::channel();
        self.0
            .send(Request::Ask(ask(to)))
            .await
            .map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }
}

/// The master is about to end, or begins a new term.
pub(super) fn stopped() -> ControlError {
    ControlError::unavailable("it is stopping or starting anew; try again in a moment")
}
