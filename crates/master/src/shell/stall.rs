//! The store has no room: what was to be committed is kept and tried again, and whatever needs no commit goes on.
//!
//! The engine stays as it is. Heartbeats are answered, since what they promise is durable already: the longest lease that
//! a worker was given is in its record since before it was welcomed. Questions are answered. What workers report waits
//! here, within bounds, and reaches the engine once the commit has succeeded. Whoever asks for a change is refused, and
//! so are sessions that are opened meanwhile: a welcome is a promise, and a promise needs a commit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jobyard_core::{
    AttemptId, ClosingReason, ControlError, LogStatus, MasterMessage, Refusal, RefusalReason,
    SessionId, WorkerMessage, mutated,
};
use tracing::{error, info, warn};

use super::interregnum::Pauses;
use super::ports::Order;
use super::requests::Request;
use super::shared::Shared;
use crate::engine::{Answer, Engine, Input};

/// The longest pause between two tries. Shorter than between two terms: a try loads nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How many messages of workers and entries for the audit trail wait at most: three for each of ten thousand jobs that
/// end meanwhile. The session of a worker that says more than fits is closed; it says all of it again when it is back.
const MAX_WAITING: usize = 32_768;

/// From the first commit that finds no room to the first that does.
#[derive(Debug)]
pub(super) struct Stall {
    pauses: Pauses,
    backlog: Backlog,
}

impl Stall {
    /// A commit has found no room. Who waits for an answer gets none from it for now.
    pub(super) fn begin(shared: &Shared) -> Self {
        shared.replies.refuse_all(&not_recorded_yet());
        Self {
            pauses: Pauses::up_to(LONGEST_PAUSE),
            backlog: Backlog::default(),
        }
    }

    /// How long to wait before the commit is tried again.
    pub(super) fn pause(&mut self, problem: &str) -> Duration {
        let pause = self.pauses.take();
        error!(
            problem, retry_in = ?pause,
            "the store has no room: changes are refused until there is some, and workers keep their sessions; make room \
             on its disk"
        );
        pause
    }

    /// Takes a request without letting it change anything.
    pub(super) fn receive(&mut self, shared: &Shared, engine: &mut Engine, request: Request) {
        match request {
            Request::Ask(ask) => ask.answer(shared.config.clock.now(), engine),
            Request::Tell(input) => self.hear(shared, engine, input),
        }
    }

    /// There is room again: what has waited.
    pub(super) fn end(self) -> Backlog {
        info!("the store has room again");
        self.backlog
    }

    fn hear(&mut self, shared: &Shared, engine: &mut Engine, input: Input) {
        match input {
            Input::Said { session, messages } => {
                self.hear_worker(shared, engine, session, messages);
            }
            Input::SessionOpened { session, .. } => {
                let refusal = Refusal::new(
                    RefusalReason::Unavailable,
                    "the master's store has no room; try again in a moment",
                );
                shared.ports.order(session, Order::Refuse(refusal));
            }
            // One that was refused above ends too.
            Input::SessionEnded { session } if engine.has_session(session) => {
                self.backlog.ended.insert(session);
            }
            Input::SessionEnded { .. } => {}
            Input::LogSettled { attempt, status } => {
                self.backlog.settled.insert(attempt, status);
            }
            Input::Refused { .. } => {
                if !self.backlog.push(input, 1) {
                    warn!("a refusal is missing in the audit trail: there is no room for it");
                }
            }
            call => refuse(shared, engine, &call),
        }
    }

    /// A heartbeat is answered at once, whatever else there is; everything else waits.
    fn hear_worker(
        &mut self,
        shared: &Shared,
        engine: &mut Engine,
        session: SessionId,
        messages: Vec<WorkerMessage>,
    ) {
        let now = shared.config.clock.now();
        if !engine.has_session(session) {
            return;
        }
        let goes_on = engine.renew(now, session) && !mutated("nothing is answered without room");
        let is_beat = |message: &WorkerMessage| goes_on && *message == WorkerMessage::Heartbeat;
        let (beats, reports): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_beat);
        for _ in beats {
            let answer = Order::Say(MasterMessage::Heartbeat);
            shared.ports.order(session, answer);
        }
        let count = reports.len();
        let messages = reports;
        if count > 0 && !self.backlog.push(Input::Said { session, messages }, count) {
            warn!(%session, "more is reported than can wait for room: the session ends");
            let reason = Some(ClosingReason::Restarting);
            shared.ports.order(session, Order::Close(reason));
        }
    }
}

/// What the engine hears later.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// In the order in which it came; at most [`MAX_WAITING`] messages.
    waiting: VecDeque<Input>,
    messages: usize,
    /// At most one for each attempt whose output is open.
    settled: BTreeMap<AttemptId, LogStatus>,
    /// At most one for each session.
    ended: BTreeSet<SessionId>,
}

impl Backlog {
    /// What came first. The end of a session comes after all that was said in it.
    pub(super) fn next(&mut self) -> Option<Input> {
        if let Some(input) = self.waiting.pop_front() {
            return Some(input);
        }
        if let Some((attempt, status)) = self.settled.pop_first() {
            return Some(Input::LogSettled { attempt, status });
        }
        let session = self.ended.pop_first()?;
        Some(Input::SessionEnded { session })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.settled.is_empty() && self.ended.is_empty()
    }

    /// Whether there was room for it.
    fn push(&mut self, input: Input, messages: usize) -> bool {
        let fits = self.messages + messages <= MAX_WAITING;
        if fits {
            self.messages += messages;
            self.waiting.push_back(input);
        }
        fits
    }
}

/// Refuses a call. One that repeats an earlier one is not told that it had no effect: the earlier one may have.
fn refuse(shared: &Shared, engine: &Engine, call: &Input) {
    let Some(reply) = call.reply() else { return };
    let answer = match call {
        Input::Enrol(_) | Input::AdmitLocal { .. } => Answer::Denied(Refusal::new(
            RefusalReason::Unavailable,
            "the master's store has no room; try again in a moment",
        )),
        _ if engine.knows(call) => Answer::Refused(not_recorded_yet()),
        _ => Answer::Refused(ControlError::Exhausted {
            problem: "its store has no room, so that nothing can be changed: make room on its disk"
                .to_owned(),
        }),
    };
    shared.replies.answer(reply, answer);
}

fn not_recorded_yet() -> ControlError {
    ControlError::unavailable(
        "its store has no room, so that this is not recorded yet and may still be: make room on its disk, then ask again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn said(session: SessionId, count: usize) -> Input {
        let messages = vec![WorkerMessage::Accepting(true); count];
        Input::Said { session, messages }
    }

    #[test]
    fn the_end_of_a_session_comes_after_all_that_was_said_in_it() {
        let session = SessionId::from_uuid(Uuid::from_u128(1));
        let mut backlog = Backlog::default();
        backlog.ended.insert(session);
        assert!(backlog.push(said(session, 1), 1));
        assert!(matches!(backlog.next(), Some(Input::Said { .. })));
        assert!(!backlog.is_empty());
        assert!(matches!(backlog.next(), Some(Input::SessionEnded { .. })));
        assert!(backlog.is_empty());
        assert!(backlog.next().is_none());
    }

    #[test]
    fn no_more_messages_wait_than_fit() {
        let session = SessionId::from_uuid(Uuid::from_u128(1));
        let mut backlog = Backlog::default();
        assert!(backlog.push(said(session, MAX_WAITING), MAX_WAITING));
        assert!(!backlog.push(said(session, 1), 1));
        assert!(backlog.next().is_some());
        assert!(backlog.next().is_none(), "what did not fit is not there");
    }
}
