//! The shell around the [`Supervisor`]: a task that owns one attempt and does what the brain says.

use std::collections::VecDeque;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jobyard_clock::sleep_until;
use jobyard_core::{
    AttemptContext, AttemptId, Clock, Execution, ExecutionTrace, Executor, Gone, InfraReason,
    Outcome, Output, OutputStream, SignalError, StartError, Steady, StopCause, Timestamp,
};
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::supervisor::{Command, Ending, Input, Plan, Supervisor, SupervisorEvent};

/// Where supervisors report: one channel can serve many attempts. While it is full, reports wait; nothing else does.
pub type Events = mpsc::Sender<(AttemptId, SupervisorEvent)>;

/// Starts an attempt and looks after it until nothing of it is left, in a task of the current runtime.
///
/// `events` gets at most one [`SupervisorEvent::Started`], and exactly one [`SupervisorEvent::Finished`] as the last.
/// If the start fails, its reason is also written to the output, as a line on standard error. If the receiver
/// of the events is gone, the attempt is looked after all the same.
///
/// # Panics
///
/// Outside of a tokio runtime. The runtime needs its IO and its timers.
pub fn supervise(
    executor: Arc<dyn Executor>,
    context: AttemptContext,
    output: Output,
    clock: Arc<dyn Clock>,
    events: Events,
) -> SupervisorHandle {
    let plan = Plan::new(&context.spec, executor.facts().capabilities);
    let (handle, shell) = Shell::new(context.attempt, plan, output.clone(), clock, events);
    let begin = begin_start(executor, context, output, Arc::clone(&shell.clock));
    shell.launch(Input::Start, begin);
    handle
}

/// Finds an attempt again that an earlier life of this program started, and looks after it as [`supervise`] does. If
/// the executor cannot find it, it makes sure that nothing of it runs, and the outcome is `Infra { WorkerRestarted }`.
///
/// # Panics
///
/// Outside of a tokio runtime. The runtime needs its IO and its timers.
pub fn adopt(
    executor: Arc<dyn Executor>,
    context: AttemptContext,
    left: LeftBehind,
    output: Output,
    clock: Arc<dyn Clock>,
    events: Events,
) -> SupervisorHandle {
    let mut plan = Plan::new(&context.spec, executor.facts().capabilities);
    plan.timeout = left.time_left.or(plan.timeout);
    let (handle, shell) = Shell::new(context.attempt, plan, output.clone(), clock, events);
    let started_at = left.started_at;
    let begin = begin_adopt(executor, context, left, output);
    shell.launch(Input::Adopt { started_at }, begin);
    handle
}

/// What an earlier life wrote down of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftBehind {
    /// What [`SupervisorEvent::Started`] told.
    pub trace: Option<ExecutionTrace>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// How much of its timeout is left; `None`: all that the spec gives.
    pub time_left: Option<Duration>,
}

/// Tells a supervised attempt to end. Dropping it kills the attempt, with the cause
/// [`StopCause::WorkerStopping`]; the task goes on until nothing is left.
#[derive(Debug)]
#[must_use = "dropping the handle kills the attempt"]
pub struct SupervisorHandle {
    attempt: AttemptId,
    orders: mpsc::Sender<Order>,
}

/// What the task is told. Small: the channel has room for many of them from its beginning.
#[derive(Debug)]
enum Order {
    Stop { cause: StopCause, grace: Duration },
    Kill,
    Extend(Steady),
    Detach,
}

/// What happens to the task apart from the execution.
enum Heard {
    Input(Input),
    /// The attempt may run for longer.
    Extended,
    /// It shall be let go of.
    Detach,
}

impl SupervisorHandle {
    /// Which attempt this is.
    pub const fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// Asks it to end, and has it killed after `grace`. A further stop can shorten the grace of an earlier one. Does
    /// nothing if it has ended. Returns when the order is taken, which waits for no process. If the future is dropped,
    /// the order may not have been given.
    pub async fn stop(&self, cause: StopCause, grace: Duration) {
        self.order(Order::Stop { cause, grace }).await;
    }

    /// Kills it. As [`stop`](Self::stop) without grace.
    pub async fn kill(&self) {
        self.order(Order::Kill).await;
    }

    /// Says until when it may run, in place of what [`AttemptContext::until`] or an earlier call said; its executor is told
    /// as soon as there is something to tell it about. Returns and may be dropped as [`stop`](Self::stop).
    pub async fn extend(&self, until: Steady) {
        // A task that has ended has nothing left to extend.
        let _ = self.orders.send(Order::Extend(until)).await;
    }

    /// Lets go of the attempt without ending it, so that a later life of this program can [`adopt`] it. Returns when its
    /// task has ended. There is no `Finished` then, unless the attempt had ended already, or could not be started. What
    /// its executor cannot find again is ended instead. If the future is dropped, the attempt may or may not have been
    /// let go.
    pub async fn detach(self) {
        // A task that has ended has nothing to let go of.
        let _ = self.orders.send(Order::Detach).await;
        self.orders.closed().await;
    }

    /// Returns when its task has ended: `Finished` was handed over. Cancel-safe.
    pub async fn ended(&self) {
        self.orders.closed().await;
    }

    async fn order(&self, order: Order) {
        // A task that has ended has nothing left to stop.
        let _ = self.orders.send(order).await;
    }
}

/// How many orders may wait: the task takes them at once, whatever the process does.
const ORDERS: usize = 4;

/// What starting or finding an attempt came to.
type Begun = Result<Box<dyn Execution>, Input>;

async fn begin_start(
    executor: Arc<dyn Executor>,
    context: AttemptContext,
    output: Output,
    clock: Arc<dyn Clock>,
) -> Begun {
    let is_too_late = context
        .start_by
        .is_some_and(|end| end <= clock.now().steady);
    let started = if is_too_late {
        Err(too_late())
    } else {
        executor.start(context, output.clone()).await
    };
    match started {
        Ok(execution) => Ok(execution),
        Err(error) => {
            explain(&output, &error).await;
            Err(Input::StartFailed(error))
        }
    }
}

/// Whoever wants it started may have given it up.
fn too_late() -> StartError {
    StartError::Worker {
        reason: InfraReason::NeverStarted,
        problem: "its worker was held up until it was too late to start".to_owned(),
    }
}

async fn begin_adopt(
    executor: Arc<dyn Executor>,
    context: AttemptContext,
    left: LeftBehind,
    output: Output,
) -> Begun {
    // Who finds attempts again knows of those that had not begun.
    let had_begun = left.started_at.is_some() || !executor.facts().capabilities.adopt;
    let adopted: Result<_, Gone> = executor.adopt(context, left.trace, output.clone()).await;
    adopted.map_err(|gone| {
        if had_begun {
            output.cut_short();
        }
        Input::Gone(gone)
    })
}

/// Says why nothing was started where people look first: the log, which would be empty otherwise.
async fn explain(output: &Output, error: &StartError) {
    let line = Bytes::from(format!("jobyard: {error}\n"));
    output.write(OutputStream::Stderr, line).await;
}

/// The state of the task.
struct Shell {
    attempt: AttemptId,
    supervisor: Supervisor,
    output: Output,
    clock: Arc<dyn Clock>,
    orders: mpsc::Receiver<Order>,
    /// Whether the handle is still there.
    ordered: bool,
    /// Whether the attempt shall run on without this task.
    detached: bool,
    /// Until when it may run, if its executor was not told yet.
    until: Option<Steady>,
    events: Events,
    /// Reports that wait for room, at most the two that an attempt has.
    reports: VecDeque<SupervisorEvent>,
    /// What is to be done next; a later command makes an earlier one needless.
    next: Option<Command>,
}

impl Shell {
    fn new(
        attempt: AttemptId,
        plan: Plan,
        output: Output,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> (SupervisorHandle, Self) {
        let (sender, orders) = mpsc::channel(ORDERS);
        let shell = Self {
            attempt,
            supervisor: Supervisor::new(plan),
            output,
            clock,
            orders,
            ordered: true,
            detached: false,
            until: None,
            events,
            reports: VecDeque::new(),
            next: None,
        };
        let handle = SupervisorHandle {
            attempt,
            orders: sender,
        };
        (handle, shell)
    }

    fn launch(mut self, first: Input, begin: impl Future<Output = Begun> + Send + 'static) {
        let span = tracing::info_span!("attempt", attempt = %self.attempt);
        // Each function that hands it on would have room for one of its own.
        let begin = Box::pin(begin);
        let task = async move {
            let life = AssertUnwindSafe(self.live(first, begin)).catch_unwind();
            if life.await.is_err() {
                self.on_panic();
            }
            self.flush().await;
        };
        tokio::spawn(task.instrument(span));
    }

    /// The whole life of the attempt.
    async fn live(&mut self, first: Input, begin: impl Future<Output = Begun> + Send) {
        self.feed(first);
        let execution = match self.begin(begin).await {
            Ok(execution) => execution,
            Err(failure) => return self.feed(failure),
        };
        self.feed(Input::Started {
            pid: execution.pid(),
            trace: execution.trace(),
        });
        self.oversee(&*execution).await;
        if self.detached && self.next.take() != Some(Command::CleanUp) {
            return execution.detach().await;
        }
        let residue = self.meanwhile(execution.cleanup()).await;
        self.feed(Input::CleanedUp(residue));
    }

    async fn begin(&mut self, begin: impl Future<Output = Begun> + Send) -> Begun {
        self.meanwhile(begin).await
    }

    /// Waits for something while orders are taken, deadlines kept and reports sent.
    async fn meanwhile<T>(&mut self, future: impl Future<Output = T> + Send) -> T {
        tokio::pin!(future);
        loop {
            tokio::select! {
                biased;
                done = &mut future => return done,
                heard = self.hear() => self.on_heard(heard),
            }
        }
    }

    /// Carries out commands until the process has ended.
    async fn oversee(&mut self, execution: &dyn Execution) {
        let mut exit = execution.wait();
        // Signals are delivered while everything else goes on; a kill does not wait for the signal before it.
        let mut delivery: Option<BoxFuture<'_, Result<(), SignalError>>> = None;
        // So is how long it may run: the latest counts.
        let mut extension: Option<BoxFuture<'_, ()>> = None;
        loop {
            if extension.is_none()
                && let Some(until) = self.until.take()
            {
                extension = Some(execution.extend(until));
            }
            match self.next.take() {
                Some(Command::Signal(signal)) => delivery = Some(execution.signal(signal)),
                Some(Command::Kill) => delivery = Some(execution.kill()),
                Some(Command::CleanUp) => {
                    self.next = Some(Command::CleanUp);
                    return;
                }
                _ if self.detached => return,
                _ => {}
            }
            tokio::select! {
                // An exit that is there wins over a stop that comes at the same time.
                biased;
                end = &mut exit => {
                    let input = end.map_or_else(Input::Lost, Input::Exited);
                    self.feed_as_of(execution.ended_at(), input);
                }
                delivered = deliver(&mut delivery) => {
                    delivery = None;
                    self.on_delivered(delivered);
                }
                () = extended(&mut extension) => extension = None,
                heard = self.hear() => self.on_heard(heard),
            }
        }
    }

    /// A detach is no matter of the supervisor's: to it nothing happens any more.
    fn on_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Input(input) => self.feed(input),
            Heard::Extended => {}
            Heard::Detach => self.detached = true,
        }
    }

    fn on_delivered(&mut self, delivered: Result<(), SignalError>) {
        if let Err(error) = delivered {
            tracing::warn!(%error, "a signal was not delivered");
            self.feed(Input::SignalFailed);
        }
    }

    /// The next thing that happens apart from the execution. Cancel-safe.
    async fn hear(&mut self) -> Heard {
        loop {
            tokio::select! {
                order = self.orders.recv(), if self.ordered => {
                    return match order {
                        Some(Order::Stop { cause, grace }) => {
                            Heard::Input(Input::Stop { cause, grace })
                        }
                        Some(Order::Kill) => Heard::Input(Input::KillNow),
                        Some(Order::Extend(until)) => {
                            self.until = Some(until);
                            Heard::Extended
                        }
                        Some(Order::Detach) => {
                            self.ordered = false;
                            Heard::Detach
                        }
                        None => {
                            self.ordered = false;
                            let (cause, grace) = (StopCause::WorkerStopping, Duration::ZERO);
                            Heard::Input(Input::Stop { cause, grace })
                        }
                    };
                }
                () = sleep_until(&*self.clock, self.supervisor.next_deadline()) => {
                    return Heard::Input(Input::DeadlineReached);
                }
                room = self.events.reserve(), if !self.reports.is_empty() => {
                    match (room, self.reports.pop_front()) {
                        (Ok(room), Some(report)) => room.send((self.attempt, report)),
                        // Nobody listens any more.
                        _ => self.reports.clear(),
                    }
                }
            }
        }
    }

    fn feed(&mut self, input: Input) {
        self.feed_as_of(None, input);
    }

    /// Tells the supervisor what happened, then or now.
    fn feed_as_of(&mut self, wall: Option<Timestamp>, input: Input) {
        let mut now = self.clock.now();
        now.wall = wall.unwrap_or(now.wall);
        let mut commands = Vec::new();
        if let Err(error) = self.supervisor.handle(now, input, &mut commands) {
            tracing::error!(%error, "a fault of the supervising task");
        }
        for command in commands {
            match command {
                Command::Report(report) => self.reports.push_back(report),
                other => self.next = Some(other),
            }
        }
    }

    /// The executor broke down; what it had started was dropped, which ends it.
    fn on_panic(&mut self) {
        if self.supervisor.is_done() {
            return;
        }
        self.output.cut_short();
        let reason = InfraReason::WorkerFault;
        let mut ending = Ending::new(Outcome::Infra { reason }, self.clock.now().wall);
        ending.problem = Some("the executor broke down".to_owned());
        ending.residue.unconfirmed = true;
        self.reports.push_back(SupervisorEvent::Finished(ending));
    }

    /// Hands over the last reports.
    async fn flush(&mut self) {
        while let Some(report) = self.reports.pop_front() {
            if self.events.send((self.attempt, report)).await.is_err() {
                return;
            }
        }
    }
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell")
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The result of a delivery; never, if there is none.
async fn deliver(
    delivery: &mut Option<BoxFuture<'_, Result<(), SignalError>>>,
) -> Result<(), SignalError> {
    match delivery {
        Some(delivery) => delivery.await,
        None => std::future::pending().await,
    }
}

/// The result of an extension; never, if there is none.
async fn extended(extension: &mut Option<BoxFuture<'_, ()>>) {
    match extension {
        Some(extension) => extension.await,
        None => std::future::pending().await,
    }
}
