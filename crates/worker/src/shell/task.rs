//! The task that owns the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jobyard_clock::sleep_until;
use jobyard_core::{
    Assignment, AttemptContext, AttemptId, Executor, Held, HeldState, LinkError, Steady, WorkerId,
};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

use super::attempt::{AttemptTask, Begin, Order};
use super::config::WorkerConfig;
use super::connection::Connection;
use super::earlier::{all_but, delete, left_behind};
use super::environment;
use super::event::{Event, SessionEvent};
use super::handle::Status;
use super::leftovers;
use super::lock::DataDirLock;
use super::start::directory_name;
use super::watch::{Watch, felt};
use crate::agent::{Agent, ExitReason, Input, JournalEntry, Output, ShutdownMode};
use crate::journal::Journal;
use crate::spool::Spool;
use crate::uploader::{Places, Upload, Uploaded};

/// Owns everything that a worker decides with; waits for events and the next deadline, and for nothing else.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) agent: Agent,
    pub(super) watch: Watch,
    /// Something did not reach the journal lately.
    pub(super) unwritten: bool,
    pub(super) config: WorkerConfig,
    pub(super) executors: BTreeMap<String, Arc<dyn Executor>>,
    pub(super) disk: Disk,
    pub(super) attempts: BTreeMap<AttemptId, Running>,
    /// The way to those that shall run on without this worker.
    pub(super) leaving: Vec<mpsc::Sender<Order>>,
    pub(super) connection: Option<Connection>,
    /// How many sessions there were.
    pub(super) sessions: u64,
    pub(super) worker_name: String,
    pub(super) places: Places,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) status: watch::Sender<Status>,
    /// Why it ended, once it has.
    pub(super) exit: Option<ExitReason>,
}

/// How many events are handled in a row before deadlines are looked at.
const BURST: usize = 256;

/// The way to an attempt that runs.
#[derive(Debug)]
pub(super) struct Running {
    orders: mpsc::Sender<Order>,
    /// Until when it may run, if that was moved.
    until: watch::Sender<Option<Steady>>,
    /// By its name; `None`: there is none of that name.
    executor: Option<Arc<dyn Executor>>,
}

/// The data directory.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) journal: Journal,
    pub(super) spool: Spool,
    pub(super) scratch: PathBuf,
    pub(super) _lock: DataDirLock,
}

impl Task {
    /// Runs the worker to its end.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Event>,
        mut orders: mpsc::Receiver<ShutdownMode>,
    ) {
        let clock = Arc::clone(&self.config.clock);
        let pressure = self.watch.pressure();
        let shortage = self.disk.spool.shortage();
        let budget = self.disk.spool.budget();
        self.look_for_leftovers();
        self.look();
        self.feed(Input::Start);
        self.forget_ended();
        self.tidy();
        let mut abandoned = false;
        let mut burst = 0;
        while !self.agent.has_exited() {
            let deadline = self.agent.next_deadline();
            if burst >= BURST {
                burst = 0;
                self.on_deadline();
                continue;
            }
            burst += 1;
            // Events come before the deadline: what the master said counts, even if this task was held up until the
            // session would have been given up. What must not outlive the lease is looked at with each event.
            tokio::select! {
                biased;
                order = orders.recv(), if !abandoned => {
                    abandoned = order.is_none();
                    self.feed(Input::Shutdown(order.unwrap_or(ShutdownMode::Stop)));
                }
                Some(event) = inbox.recv() => self.on_event(event),
                () = felt(pressure.as_ref()) => {
                    if let Some(news) = self.watch.on_pressure() {
                        self.feed(news);
                    }
                }
                () = shortage.notified() => {
                    if let Some(news) = self.watch.look_at_once(clock.now().steady) {
                        self.feed(news);
                    }
                }
                () = budget.exceeded() => self.make_room(),
                () = sleep_until(&*clock, deadline) => self.on_deadline(),
            }
        }
        self.let_go(inbox).await;
        self.end();
    }

    fn on_deadline(&mut self) {
        self.look();
        self.feed(Input::DeadlineReached);
    }

    /// Looks at the machine, where there is an occasion.
    fn look(&mut self) {
        let now = self.config.clock.now().steady;
        if let Some(news) = self.watch.look(now) {
            self.feed(news);
        }
    }

    /// What earlier lives could not kill may have ended since.
    fn look_for_leftovers(&mut self) {
        let gone: Vec<_> = self
            .agent
            .taints()
            .filter(|(_, processes)| !leftovers::any_runs(processes))
            .map(|(attempt, _)| attempt)
            .collect();
        for attempt in gone {
            tracing::info!(%attempt, "nothing runs any more of what could not be killed");
            self.feed(Input::TaintGone { attempt });
        }
        for (attempt, processes) in self.agent.taints() {
            tracing::warn!(%attempt, ?processes, "this worker takes no jobs: these could not be killed");
        }
    }

    /// An earlier life may have ended between writing down how an attempt ended and telling its executor.
    fn forget_ended(&self) {
        let is_over =
            |held: Held| matches!(held.state, HeldState::Finished(_)).then_some(held.attempt);
        let over: Vec<_> = self.agent.held().filter_map(is_over).collect();
        if over.is_empty() {
            return;
        }
        let executors: Vec<_> = self.executors.values().cloned().collect();
        tokio::spawn(async move {
            for executor in executors {
                for attempt in &over {
                    executor.forget(*attempt).await;
                }
            }
        });
    }

    /// Waits until everybody has let go of what is to run on.
    async fn let_go(&mut self, mut inbox: mpsc::Receiver<Event>) {
        let leaving = std::mem::take(&mut self.leaving);
        let all_gone = async {
            for orders in leaving {
                // Only a task that has ended takes none.
                let _ = orders.send(Order::Detach).await;
                orders.closed().await;
            }
        };
        // What still comes would be news for the next life, which hears of it from the executors.
        let ignore = async { while inbox.recv().await.is_some() {} };
        tokio::select! {
            () = all_gone => {}
            () = ignore => {}
        }
    }

    /// Gives the data directory back, and only then says that the worker has ended.
    fn end(self) {
        let Self {
            disk, status, exit, ..
        } = self;
        drop(disk);
        status.send_modify(|status| {
            status.connected = false;
            status.exit = exit;
        });
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Attempt(input) => {
                let Input::AttemptEnded(end) = &input else {
                    return self.feed(input);
                };
                let attempt = end.attempt;
                let running = self.attempts.remove(&attempt);
                self.look();
                self.unwritten = false;
                self.feed(input);
                if let Some(executor) = running.and_then(|running| running.executor)
                    && !self.unwritten
                {
                    tokio::spawn(async move { executor.forget(attempt).await });
                }
            }
            Event::Session(number, event) if self.is_current(number) => self.on_session(event),
            Event::Uploaded(number, attempt, end) if self.is_current(number) => match end {
                Uploaded::Sealed => self.feed(Input::LogConfirmed { attempt }),
                Uploaded::Nothing => {}
                Uploaded::Refused(refusal) => {
                    tracing::debug!(%attempt, %refusal, "the master does not take the output");
                }
            },
            // Of a session that is over.
            Event::Session(..) | Event::Uploaded(..) => {}
        }
    }

    fn is_current(&self, number: u64) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.number() == number)
    }

    fn on_session(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Connected(uploads) => {
                if let Some(connection) = &mut self.connection {
                    connection.on_connected(uploads);
                }
                self.feed(Input::Connected);
            }
            SessionEvent::Failed(error) => {
                tracing::warn!(%error, "no session with the master");
                self.connection = None;
                self.feed(Input::ConnectFailed(error));
            }
            SessionEvent::Received(messages) => {
                let mut outputs = Vec::new();
                let now = self.config.clock.now();
                for message in messages {
                    self.agent
                        .handle(now, Input::Received(message), &mut outputs);
                }
                self.carry_out(outputs);
            }
            SessionEvent::Lost(error) => {
                tracing::warn!(%error, "the session with the master is over");
                self.connection = None;
                self.feed(Input::SessionLost(error));
            }
        }
    }

    fn feed(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.agent
            .handle(self.config.clock.now(), input, &mut outputs);
        self.carry_out(outputs);
    }

    /// Does what the agent says, and what it says about that.
    fn carry_out(&mut self, mut outputs: Vec<Output>) {
        while !outputs.is_empty() {
            let mut answers = Vec::new();
            self.write_journal(&outputs, &mut answers);
            for output in outputs {
                self.perform(output, &mut answers);
            }
            outputs = Vec::new();
            let now = self.config.clock.now();
            for answer in answers {
                self.agent.handle(now, answer, &mut outputs);
            }
        }
        let connected = self.agent.is_connected();
        self.status.send_if_modified(|status| {
            let changed = status.connected != connected;
            status.connected = connected;
            changed
        });
    }

    /// Writes all entries at once, before anything else is done.
    fn write_journal(&mut self, outputs: &[Output], answers: &mut Vec<Input>) {
        let entry = |output: &Output| match output {
            Output::Journal(entry) => Some(entry.clone()),
            _ => None,
        };
        let entries: Vec<_> = outputs.iter().filter_map(entry).collect();
        let written = self.disk.journal.append(&entries);
        if let Err(error) = &written {
            tracing::error!(%error, "the journal is not complete");
            self.unwritten = true;
        }
        for entry in entries {
            if let JournalEntry::Accepted { attempt, .. } = entry {
                answers.push(match written {
                    Ok(()) => Input::Journaled { attempt },
                    Err(_) => Input::JournalFailed { attempt },
                });
            }
        }
    }

    fn perform(&mut self, output: Output, answers: &mut Vec<Input>) {
        match output {
            // Written already.
            Output::Journal(_) => {}
            Output::Connect(hello) => {
                self.sessions += 1;
                self.connection = Some(Connection::open(
                    self.sessions,
                    Arc::clone(&self.config.transport),
                    *hello,
                    self.events.clone(),
                ));
            }
            Output::Disconnect => self.connection = None,
            Output::GaveUp { problem } => tracing::warn!(%problem, "the session is given up"),
            Output::Opened {
                worker,
                name,
                session,
                epoch,
            } => {
                self.on_opened(worker, name);
                tracing::info!(%session, %epoch, name = self.worker_name,
                    "worker {} ({worker}) is connected", self.worker_name);
            }
            Output::Send(message) => {
                if self
                    .connection
                    .as_ref()
                    .is_some_and(|connection| !connection.send(message))
                {
                    tracing::warn!("the master takes messages too slowly");
                    self.connection = None;
                    answers.push(Input::SessionLost(LinkError::Closed));
                }
            }
            Output::Start(assignment) => self.begin(&assignment, Begin::Start),
            Output::Adopt {
                assignment,
                started_at,
                trace,
            } => {
                let timeout = assignment.spec.timeout;
                let now = self.config.clock.now().steady;
                let left = left_behind(started_at, trace, timeout, now);
                self.begin(&assignment, Begin::Adopt(left));
            }
            Output::Stop {
                attempt,
                cause,
                grace,
            } => {
                self.order(attempt, Order::Stop { cause, grace });
            }
            Output::Kill { attempt } => self.order(attempt, Order::Kill),
            Output::Extend { attempt, until } => {
                if let Some(running) = self.attempts.get(&attempt) {
                    running.until.send_replace(Some(until));
                }
            }
            Output::Detach { attempt } => {
                let running = self.attempts.remove(&attempt);
                self.leaving.extend(running.map(|running| running.orders));
            }
            Output::Upload { attempt } => self.upload(attempt),
            Output::Discard { attempt } => self.discard(attempt),
            Output::WipeIdentity => self.wipe_identity(),
            Output::Exit(reason) => self.on_exit(reason),
        }
    }

    fn on_opened(&mut self, worker: WorkerId, name: String) {
        if worker != self.config.worker {
            tracing::warn!(%worker, "the master takes this worker for another");
        }
        self.worker_name = name;
    }

    fn begin(&mut self, assignment: &Assignment, begin: Begin) {
        let attempt = assignment.attempt;
        let scratch = self.disk.scratch.join(directory_name(attempt));
        let mut context = AttemptContext::new(attempt, assignment.spec.clone(), scratch);
        context.env = environment::of_attempt(
            assignment,
            self.config.worker,
            &self.worker_name,
            &self.config.env,
        );
        context.until = self.agent.runs_until(attempt);
        context.start_by = Some(self.agent.may_start_until());
        let executor = self.executors.get(&assignment.spec.executor.name).cloned();
        let task = AttemptTask {
            context,
            executor: executor.clone(),
            log: self.disk.spool.log(attempt, assignment.spec.log_limit),
            clock: Arc::clone(&self.config.clock),
            events: self.events.clone(),
        };
        let (orders, until) = task.spawn(begin);
        let running = Running {
            orders,
            until,
            executor,
        };
        self.attempts.insert(attempt, running);
    }

    fn order(&self, attempt: AttemptId, order: Order) {
        // An attempt that takes no orders has ended, or has enough of them.
        if let Some(Err(error)) = self
            .attempts
            .get(&attempt)
            .map(|running| running.orders.try_send(order))
        {
            tracing::debug!(%attempt, %error, "an order was not taken");
        }
    }

    fn upload(&mut self, attempt: AttemptId) {
        let Some(log) = self.disk.spool.find(attempt) else {
            return;
        };
        let Some(connection) = &mut self.connection else {
            return;
        };
        let (places, backoff, worker) =
            (self.places.clone(), self.config.backoff, self.config.worker);
        let upload = |uploads, pacer| Upload {
            log,
            uploads,
            places,
            pacer,
            backoff,
            worker,
        };
        connection.upload(attempt, upload, self.events.clone());
    }

    /// Output takes more room than it may.
    fn make_room(&self) {
        let given_up = self.disk.spool.make_room();
        if !given_up.is_empty() {
            spawn_blocking(move || given_up.iter().for_each(|log| log.bury()));
        }
    }

    fn discard(&mut self, attempt: AttemptId) {
        if let Some(discarded) = self.disk.spool.discard(attempt)
            && discarded.has_files()
        {
            spawn_blocking(move || discarded.delete());
        }
    }

    fn wipe_identity(&self) {
        let Some(dir) = &self.config.identity else {
            return;
        };
        match std::fs::remove_dir_all(dir) {
            Ok(()) => tracing::info!("the worker was removed: its key and certificate are deleted"),
            Err(error) => {
                tracing::error!(path = %dir.display(), %error, "the identity could not be deleted");
            }
        }
    }

    fn on_exit(&mut self, reason: ExitReason) {
        self.connection = None;
        self.exit = Some(reason);
    }

    /// Closes and deletes what an earlier life left: the output of attempts that had ended then has its end, and what
    /// belongs to no attempt that is held is deleted.
    ///
    /// What is deleted is looked for here, before anything new begins, and deleted in the background: that may take as long
    /// as it likes, and heartbeats do not wait for it.
    fn tidy(&mut self) {
        let mut held = BTreeSet::new();
        for line in self.agent.held() {
            if let HeldState::Finished(report) = &line.state {
                self.disk.spool.close(line.attempt, report.log);
            }
            held.insert(line.attempt);
        }
        let unwanted = self
            .disk
            .spool
            .take_all_but(|attempt| held.contains(&attempt));
        let runs: Vec<_> = self
            .attempts
            .keys()
            .map(|attempt| directory_name(*attempt))
            .collect();
        let left = all_but(&self.disk.scratch, &runs);
        spawn_blocking(move || {
            for discarded in unwanted {
                discarded.delete();
            }
            delete(&left);
        });
    }
}
