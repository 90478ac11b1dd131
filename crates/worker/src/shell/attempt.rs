//! The task of one attempt: between the owner of the agent and the supervisor.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    AttemptContext, AttemptId, Clock, Executor, Outcome, Output, OutputSink, OutputStream,
    StartFailure, Steady, StopCause,
};
use jobyard_executor::{Ending, LeftBehind, SupervisorEvent, SupervisorHandle};
use tokio::sync::mpsc;
use tracing::Instrument;

use super::event::Event;
use crate::agent::{AttemptEnd, Input};
use crate::spool::{SpoolLog, SpoolSink};

/// How many orders may wait for an attempt. Its task takes them at once; more than these would be repeats.
const ORDERS: usize = 16;

/// An attempt has two events; there is always room for both, so that its supervisor never waits.
const SUPERVISOR_EVENTS: usize = 4;

/// What an attempt is told to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Stop {
        cause: StopCause,
        grace: Duration,
    },
    Kill,
    /// It may run until this time.
    Extend(Steady),
    Detach,
}

/// How an attempt begins.
#[derive(Debug)]
pub(super) enum Begin {
    Start,
    Adopt(LeftBehind),
}

/// What the task of an attempt needs.
#[derive(Debug)]
pub(super) struct AttemptTask {
    pub(super) context: AttemptContext,
    /// `None`: this worker has no executor of the name that the spec asks for.
    pub(super) executor: Option<Arc<dyn Executor>>,
    pub(super) log: Arc<SpoolLog>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) events: mpsc::Sender<Event>,
}

impl AttemptTask {
    /// Spawns the task. Its start and its end come as events; orders go in through the sender.
    pub(super) fn spawn(self, begin: Begin) -> mpsc::Sender<Order> {
        let (sender, orders) = mpsc::channel(ORDERS);
        let attempt = self.context.attempt;
        let span = tracing::info_span!("attempt", job = %attempt.job, number = %attempt.number);
        tokio::spawn(self.run(begin, orders).instrument(span));
        sender
    }

    async fn run(self, begin: Begin, orders: mpsc::Receiver<Order>) {
        let Self {
            context,
            executor,
            log,
            clock,
            events,
        } = self;
        let sink = Arc::new(SpoolSink::new(Arc::clone(&log), Arc::clone(&clock)));
        let end = match executor {
            Some(executor) => {
                let (reports, supervised) = mpsc::channel(SUPERVISOR_EVENTS);
                let output = Output::new(sink);
                let handle = match begin {
                    Begin::Start => {
                        jobyard_executor::supervise(executor, context, output, clock, reports)
                    }
                    Begin::Adopt(left) => {
                        jobyard_executor::adopt(executor, context, left, output, clock, reports)
                    }
                };
                follow(handle, supervised, orders, &events).await
            }
            None => no_executor(&context, &sink, &*clock).await,
        };
        let Some(mut end) = end else { return };
        end.log = log.close();
        // The owner has gone; so has the worker.
        let _ = events.send(Event::Attempt(Input::AttemptEnded(end))).await;
    }
}

/// Passes orders in and reports out, until the last report.
async fn follow(
    handle: SupervisorHandle,
    mut supervised: mpsc::Receiver<(AttemptId, SupervisorEvent)>,
    mut orders: mpsc::Receiver<Order>,
    events: &mpsc::Sender<Event>,
) -> Option<AttemptEnd> {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Stop { cause, grace }) => handle.stop(cause, grace).await,
                Some(Order::Kill) => handle.kill().await,
                Some(Order::Extend(until)) => handle.extend(until).await,
                Some(Order::Detach) => {
                    handle.detach().await;
                    return None;
                }
                // The worker has gone: dropping the handle ends the attempt.
                None => return None,
            },
            report = supervised.recv() => match report {
                Some((attempt, SupervisorEvent::Started { pid, trace, at })) => {
                    tracing::debug!(pid, "the attempt runs");
                    let input = Input::AttemptStarted { attempt, pid, trace, at };
                    events.send(Event::Attempt(input)).await.ok()?;
                }
                Some((attempt, SupervisorEvent::Finished(ending))) => {
                    return Some(ended(attempt, ending));
                }
                Some(_) => {}
                None => return None,
            },
        }
    }
}

fn ended(attempt: AttemptId, ending: Ending) -> AttemptEnd {
    let problem = ending.problem.as_deref();
    tracing::debug!(outcome = %ending.outcome, killed = ending.residue.killed, problem,
        "the attempt has ended");
    let mut end = AttemptEnd::new(attempt, ending.outcome, ending.finished_at);
    end.started_at = ending.started_at;
    end.residue = ending.residue;
    end
}

/// The scheduler does not send such jobs here; a pinned one may come all the same.
async fn no_executor(
    context: &AttemptContext,
    sink: &SpoolSink,
    clock: &dyn Clock,
) -> Option<AttemptEnd> {
    let name = &context.spec.executor.name;
    let line = format!("jobyard: this worker has no executor named {name}\n");
    sink.write(OutputStream::Stderr, Bytes::from(line)).await;
    let outcome = Outcome::StartFailed {
        cause: StartFailure::BadConfig,
    };
    Some(AttemptEnd::new(context.attempt, outcome, clock.now().wall))
}
