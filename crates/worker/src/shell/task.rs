//! The task that owns the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jobyard_clock::sleep_until;
use jobyard_core::{
    Assignment, AttemptContext, AttemptId, ExecutionTrace, Executor, HeldState, LinkError,
    Timestamp, WorkerId,
};
use jobyard_executor::LeftBehind;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

use super::attempt::{AttemptTask, Begin, Order};
use super::config::WorkerConfig;
use super::connection::Connection;
use super::environment;
use super::event::{Event, SessionEvent};
use super::handle::Status;
use super::lock::DataDirLock;
use super::start::directory_name;
use crate::agent::{Agent, ExitReason, Input, JournalEntry, Output, ShutdownMode};
use crate::journal::Journal;
use crate::spool::Spool;
use crate::uploader::{Places, Upload, Uploaded};

/// Owns everything that a worker decides with; waits for events and the next deadline, and for nothing else.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) agent: Agent,
    pub(super) config: WorkerConfig,
    pub(super) executors: BTreeMap<String, Arc<dyn Executor>>,
    pub(super) disk: Disk,
    /// The way to each attempt that runs.
    pub(super) attempts: BTreeMap<AttemptId, mpsc::Sender<Order>>,
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
        let logs = self.disk.spool.ends();
        self.feed(Input::Start { logs });
        self.tidy().await;
        let mut abandoned = false;
        let mut burst = 0;
        while !self.agent.has_exited() {
            let deadline = self.agent.next_deadline();
            if burst >= BURST {
                burst = 0;
                self.feed(Input::DeadlineReached);
                continue;
            }
            burst += 1;
            // Events come before the deadline: what the master said counts, even if this task was held up until its
            // lease was over.
            tokio::select! {
                biased;
                order = orders.recv(), if !abandoned => {
                    abandoned = order.is_none();
                    self.feed(Input::Shutdown(order.unwrap_or(ShutdownMode::Stop)));
                }
                Some(event) = inbox.recv() => self.on_event(event),
                () = sleep_until(&*clock, deadline) => self.feed(Input::DeadlineReached),
            }
        }
        self.end();
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
                if let Input::AttemptEnded(end) = &input {
                    self.attempts.remove(&end.attempt);
                }
                self.feed(input);
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
                self.begin(&assignment, Begin::Adopt(left_behind(started_at, trace)));
            }
            Output::Stop {
                attempt,
                cause,
                grace,
            } => {
                self.order(attempt, Order::Stop { cause, grace });
            }
            Output::Kill { attempt } => self.order(attempt, Order::Kill),
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
        let task = AttemptTask {
            context,
            executor: self.executors.get(&assignment.spec.executor.name).cloned(),
            log: self.disk.spool.log(attempt, assignment.spec.log_limit),
            clock: Arc::clone(&self.config.clock),
            events: self.events.clone(),
        };
        self.attempts.insert(attempt, task.spawn(begin));
    }

    fn order(&self, attempt: AttemptId, order: Order) {
        // An attempt that takes no orders has ended, or has enough of them.
        if let Some(Err(error)) = self
            .attempts
            .get(&attempt)
            .map(|orders| orders.try_send(order))
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
        let upload = |uploads| Upload {
            log,
            uploads,
            places,
            backoff,
            worker,
        };
        connection.upload(attempt, upload, self.events.clone());
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
    async fn tidy(&mut self) {
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
        let scratch = self.disk.scratch.clone();
        let runs: Vec<_> = self
            .attempts
            .keys()
            .map(|attempt| directory_name(*attempt))
            .collect();
        // Fails only when the runtime ends.
        let _ = spawn_blocking(move || {
            for discarded in unwanted {
                discarded.delete();
            }
            delete_all_but(&scratch, &runs);
        })
        .await;
    }
}

fn left_behind(started_at: Option<Timestamp>, trace: Option<ExecutionTrace>) -> LeftBehind {
    LeftBehind {
        trace,
        started_at,
        ..LeftBehind::default()
    }
}

/// Deletes what attempts of earlier lives left in their private directories.
fn delete_all_but(scratch: &std::path::Path, wanted: &[String]) {
    let Ok(entries) = std::fs::read_dir(scratch) else {
        return;
    };
    for entry in entries.flatten() {
        let is_wanted = wanted.iter().any(|name| entry.file_name() == name.as_str());
        if !is_wanted && let Err(error) = std::fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "left-over files stay");
        }
    }
}
