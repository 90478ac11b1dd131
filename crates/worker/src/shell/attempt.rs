//! The task of one attempt: between the owner of the agent and the supervisor.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    AttemptContext, AttemptId, Clock, Executor, Outcome, Output, OutputSink, OutputStream,
    StartFailure, Steady, StopCause,
};
use jobyard_executor::{Ending, LeftBehind, SupervisorEvent, SupervisorHandle};
use tokio::sync::{mpsc, watch};
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
    Stop { cause: StopCause, grace: Duration },
    Kill,
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
    /// Spawns the task. Its start and its end come as events; orders go in through the first sender, and until when it
    /// may run through the second, of which only the last word counts: however many there are, they take no order's room.
    pub(super) fn spawn(
        self,
        begin: Begin,
    ) -> (mpsc::Sender<Order>, watch::Sender<Option<Steady>>) {
        let (sender, orders) = mpsc::channel(ORDERS);
        let (extend, until) = watch::channel(None);
        let attempt = self.context.attempt;
        let span = tracing::info_span!("attempt", job = %attempt.job, number = %attempt.number);
        tokio::spawn(self.run(begin, orders, until).instrument(span));
        (sender, extend)
    }

    async fn run(
        self,
        begin: Begin,
        orders: mpsc::Receiver<Order>,
        until: watch::Receiver<Option<Steady>>,
    ) {
        let Self {
            context,
            executor,
            log,
            clock,
            events,
        } = self;
        let sink = SpoolSink::new(Arc::clone(&log), Arc::clone(&clock), &context.spec);
        let sink = Arc::new(sink);
        let end = if let Some(executor) = executor {
            let (reports, supervised) = mpsc::channel(SUPERVISOR_EVENTS);
            let output = Output::new(Arc::clone(&sink) as Arc<dyn OutputSink>);
            let handle = match begin {
                Begin::Start => {
                    jobyard_executor::supervise(executor, context, output, clock, reports)
                }
                Begin::Adopt(left) => {
                    jobyard_executor::adopt(executor, context, left, output, clock, reports)
                }
            };
            follow(handle, supervised, orders, until, &events).await
        } else {
            if let Begin::Adopt(_) = begin {
                // Whoever has its output is not there any more.
                sink.cut_short();
            }
            no_executor(&context, &sink, &*clock).await
        };
        let Some(mut end) = end else { return };
        sink.finish().await;
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
    mut until: watch::Receiver<Option<Steady>>,
    events: &mpsc::Sender<Event>,
) -> Option<AttemptEnd> {
    let mut may_extend = true;
    loop {
        tokio::select! {
            extended = until.changed(), if may_extend => {
                may_extend = extended.is_ok();
                let until = *until.borrow_and_update();
                if let Some(until) = until.filter(|_| may_extend) {
                    handle.extend(until).await;
                }
            }
            order = orders.recv() => match order {
                Some(Order::Stop { cause, grace }) => handle.stop(cause, grace).await,
                Some(Order::Kill) => handle.kill().await,
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
