//! The agent: inputs in, outputs out.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{
    Assignment, AttemptId, AttemptNumber, AttemptReport, DeclineReason, Epoch, InfraReason,
    MAX_INVENTORY, MasterMessage, Now, Outcome, Steady, StopCause, WorkerMessage, mutated,
};
use jobyard_executor::supervisor::stronger;

use super::condition::Condition;
use super::entry::{Entry, Stage, Told};
use super::lease::Lease;
use super::memory::Memory;
use super::recovery::Recovered;
use super::session::Phase;
use super::shutdown::Ending;
use super::{AgentConfig, AttemptEnd, Input, JournalEntry, Output};

/// Decides what a worker does. See the [module](super) for the rules.
///
/// * Make: [`new`](Self::new), with what the journal held.
/// * Feed: [`handle`](Self::handle), first with [`Input::Start`]; and again with [`Input::DeadlineReached`] when the
///   time of [`next_deadline`](Self::next_deadline) has come.
/// * Look: [`held`](Self::held), [`is_connected`](Self::is_connected), [`has_exited`](Self::has_exited).
#[derive(Clone, Debug)]
pub struct Agent {
    pub(super) config: AgentConfig,
    /// Until the start.
    pub(super) recovered: Recovered,
    pub(super) held: BTreeMap<AttemptId, Entry>,
    pub(super) memory: Memory,
    pub(super) max_epoch: Epoch,
    /// Attempts of the hello that could not be journaled after all. Said once the master has answered the hello; at most
    /// as many as were in it.
    pub(super) unsaid: Vec<AttemptId>,
    pub(super) phase: Phase,
    pub(super) ending: Ending,
    pub(super) condition: Condition,
    pub(super) lease: Lease,
    /// What the master believes about assignments.
    pub(super) told_accepting: bool,
    /// Whether a master has welcomed this worker in this life.
    pub(super) welcomed: bool,
    /// Sessions that did not come about, or did not last, in a row.
    pub(super) failures: u32,
    /// A reconnect without a wait was made since the last stable session.
    pub(super) hurried: bool,
}

impl Agent {
    /// A worker with this journal of its earlier lives, in the order in which it was written.
    pub fn new(config: AgentConfig, journal: Vec<JournalEntry>) -> Self {
        let mut recovered = Recovered::read(journal);
        let taints = recovered.take_taints(config.boot);
        Self {
            condition: Condition::tainted_by(taints),
            lease: Lease::recovered(recovered.take_trust(config.boot)),
            config,
            memory: std::mem::take(&mut recovered.memory),
            max_epoch: if mutated("a new life forgets the newest term") {
                Epoch::ZERO
            } else {
                recovered.max_epoch
            },
            recovered,
            held: BTreeMap::new(),
            unsaid: Vec::new(),
            phase: Phase::Idle,
            ending: Ending::No,
            told_accepting: true,
            welcomed: false,
            failures: 0,
            hurried: false,
        }
    }

    /// Takes one input and appends what is to be done. An input that makes no sense at the moment (the answer to
    /// something that is over) has no effect.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        if self.has_exited() {
            return;
        }
        self.fence(now, out);
        match input {
            Input::Start => {
                self.recover(now, out);
                self.connect(now, out);
            }
            Input::Connected => self.on_connected(now),
            Input::ConnectFailed(error) => self.on_connect_failed(now, error, out),
            Input::Received(message) => self.on_message(now, message, out),
            Input::SessionLost(error) => self.on_session_lost(now, error, out),
            Input::Journaled { attempt } => self.on_journaled(now, attempt, out),
            Input::JournalFailed { attempt } => self.on_journal_failed(attempt, out),
            Input::AttemptStarted {
                attempt,
                pid,
                trace,
                at,
            } => {
                let entry = JournalEntry::Started {
                    attempt,
                    pid,
                    trace,
                    at,
                };
                self.on_started(entry, out);
            }
            Input::AttemptEnded(end) => self.on_ended(end, out),
            // The master has not noted it durably yet; its forget says so.
            Input::LogConfirmed { attempt } => {
                if mutated("an end is dropped before it is durable") {
                    self.discard(attempt, out);
                }
            }
            Input::Complaints {
                complaints,
                exhausted,
            } => self.on_complaints(complaints, exhausted, out),
            Input::TaintGone { attempt } => self.on_taint_gone(attempt, out),
            Input::Shutdown(mode) => self.on_shutdown(now, mode, out),
            Input::DeadlineReached => {
                self.on_session_deadline(now, out);
                if !self.has_exited() {
                    self.on_ending_deadline(now, out);
                }
            }
        }
        // What came just now may hang on a lease that is over.
        self.fence(now, out);
        self.advance_ending(now, out);
    }

    /// When [`Input::DeadlineReached`] is due next.
    pub fn next_deadline(&self) -> Option<Steady> {
        if self.has_exited() {
            return None;
        }
        let deadlines = [
            self.phase.deadline(),
            self.ending.deadline(),
            self.lease.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Every attempt of the inventory, in order.
    pub fn held(&self) -> impl Iterator<Item = jobyard_core::Held> + '_ {
        self.held
            .iter()
            .filter(|(_, entry)| !entry.forgotten)
            .map(|(attempt, entry)| entry.held(*attempt))
    }

    /// Whether a master has welcomed this worker, and the session lives.
    pub const fn is_connected(&self) -> bool {
        self.phase.is_open()
    }

    /// Whether [`Output::Exit`] was given. Inputs have no effect any more.
    pub fn has_exited(&self) -> bool {
        self.ending == Ending::Exited
    }

    fn on_message(&mut self, now: Now, message: MasterMessage, out: &mut Vec<Output>) {
        if !self.phase.listens() {
            return;
        }
        self.on_heard(now);
        match message {
            MasterMessage::Welcome(welcome) => self.on_welcome(now, welcome, out),
            MasterMessage::Removed => self.on_removed(now, out),
            MasterMessage::Closing(reason) => self.on_closing(now, reason, out),
            // Before the welcome nothing else counts.
            _ if !self.phase.is_open() && !mutated("an order before the welcome counts") => {}
            MasterMessage::Assign(assignment) => self.on_assign(now, assignment, out),
            MasterMessage::Stop {
                attempt,
                cause,
                grace,
            } => {
                self.on_stop(now, attempt, cause, grace, out);
            }
            MasterMessage::Forget { attempt } => self.on_forget(attempt, out),
            MasterMessage::Heartbeat => self.on_beat_answered(now, out),
            MasterMessage::Draining(draining) => self.on_draining(draining, out),
            // What a newer master may add is for workers that asked for it.
            _ => {}
        }
    }

    fn on_assign(&mut self, now: Now, assignment: Assignment, out: &mut Vec<Output>) {
        let attempt = assignment.attempt;
        if let Some(entry) = self.held.get_mut(&attempt)
            && !entry.forgotten
            && !mutated("a held attempt is taken again")
        {
            // The master asks again since it does not know: it hears once more where the attempt stands.
            entry.told = Told::Accepted;
            return self.tell(attempt, out);
        }
        if let Some(reason) = self.decline(attempt) {
            self.memory.remember(attempt);
            return self.say(WorkerMessage::Declined { attempt, reason }, out);
        }
        out.push(Output::Journal(JournalEntry::Accepted {
            attempt,
            spec: assignment.spec.hide_secrets(),
            env: assignment.env.clone(),
            boot: self.config.boot,
        }));
        self.lease.bind(attempt, &assignment.spec);
        self.journal_lease(out);
        let assignment = Box::new(assignment);
        let stage = Stage::Journaling {
            assignment,
            stop: None,
        };
        self.held.insert(attempt, Entry::new(stage));
        if mutated("an attempt starts before the journal has it") {
            self.on_journaled(now, attempt, out);
        }
    }

    /// Why an attempt that is not held is not taken.
    fn decline(&self, attempt: AttemptId) -> Option<DeclineReason> {
        let later = AttemptId::new(attempt.job, attempt.number)
            ..=AttemptId::new(
                attempt.job,
                AttemptNumber::new(u32::MAX).unwrap_or(attempt.number),
            );
        let is_past = self.memory.knows(attempt) || self.held.range(later).next().is_some();
        let is_ending = self.ending != Ending::No && !mutated("a worker that ends takes jobs");
        let is_draining =
            self.condition.is_draining() && !mutated("a worker that drains takes jobs");
        let is_full = self.held.len() >= MAX_INVENTORY || self.condition.is_exhausted();
        if is_past && !mutated("an attempt of the past is taken") {
            Some(DeclineReason::Stale)
        } else if is_ending || is_draining {
            // So that it goes elsewhere at once. No promise hangs on it: a drain is acknowledged only when nothing is on its
            // way any more, and what a worker that ends leaves is found by its next life.
            Some(DeclineReason::Stopping)
        } else if is_full && !mutated("a worker that is exhausted takes jobs") {
            Some(DeclineReason::Full)
        } else {
            None
        }
    }

    /// Only now the attempt is started.
    fn on_journaled(&mut self, now: Now, attempt: AttemptId, out: &mut Vec<Output>) {
        let Some(entry) = self.held.get_mut(&attempt) else {
            return;
        };
        let Stage::Journaling { assignment, stop } = &entry.stage else {
            return;
        };
        if entry.forgotten && !mutated("a forgotten attempt is started") {
            return self.discard(attempt, out);
        }
        if let Some(cause) = *stop
            && !mutated("a stopped attempt is started")
        {
            let outcome = never_started(cause);
            return self.finish(AttemptReport::new(attempt, outcome, now.wall), out);
        }
        let assignment = assignment.clone();
        entry.stage = Stage::Waiting { assignment };
        self.start_waiting(now, out);
    }

    /// Starts what is in the journal, if the master has promised that it waits for it.
    pub(super) fn start_waiting(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.may_start_until() <= now.steady {
            return;
        }
        for (attempt, entry) in &mut self.held {
            if let Stage::Waiting { assignment } = &entry.stage {
                let assignment = assignment.clone();
                let grace = assignment.spec.grace;
                entry.stage = Stage::Starting { grace };
                out.push(Output::Start(assignment));
                if self.phase.is_open() {
                    let attempt = *attempt;
                    out.push(Output::Upload { attempt });
                }
            }
        }
    }

    fn on_journal_failed(&mut self, attempt: AttemptId, out: &mut Vec<Output>) {
        let is_waiting = |entry: &Entry| matches!(entry.stage, Stage::Journaling { .. });
        if !self.held.get(&attempt).is_some_and(is_waiting) {
            return;
        }
        let forgotten = self
            .held
            .remove(&attempt)
            .is_some_and(|entry| entry.forgotten);
        self.memory.remember(attempt);
        self.lease.release(attempt);
        if forgotten {
            return;
        }
        if self.phase.is_open() {
            self.decline_unjournaled(attempt, out);
        } else {
            // Had it not been in a hello that is under way, the next one would tell by not listing it.
            if !mutated("an attempt that was not journaled is not declined") {
                self.unsaid.push(attempt);
            }
        }
    }

    pub(super) fn decline_unjournaled(&self, attempt: AttemptId, out: &mut Vec<Output>) {
        let reason = DeclineReason::JournalFailed;
        self.say(WorkerMessage::Declined { attempt, reason }, out);
    }

    fn on_started(&mut self, started: JournalEntry, out: &mut Vec<Output>) {
        let JournalEntry::Started {
            attempt, pid, at, ..
        } = started
        else {
            return;
        };
        self.lease.on_found(attempt);
        if let Some(entry) = self.held.get_mut(&attempt)
            && let Stage::Starting { grace } = entry.stage
        {
            entry.stage = Stage::Running {
                grace,
                pid,
                started_at: at,
            };
            out.push(Output::Journal(started));
            self.tell(attempt, out);
        }
    }

    fn on_ended(&mut self, end: AttemptEnd, out: &mut Vec<Output>) {
        let Some(entry) = self.held.get(&end.attempt) else {
            return;
        };
        if !entry.may_run() {
            return;
        }
        let forgotten = entry.forgotten;
        self.on_residue(end.attempt, &end.residue, out);
        if forgotten {
            return self.discard(end.attempt, out);
        }
        let mut report = AttemptReport::new(end.attempt, end.outcome, end.finished_at);
        report.started_at = end.started_at;
        report.residue = end.residue;
        report.log = end.log;
        self.finish(report, out);
    }

    fn finish(&mut self, report: AttemptReport, out: &mut Vec<Output>) {
        let attempt = report.attempt;
        let Some(entry) = self.held.get_mut(&attempt) else {
            return;
        };
        out.push(Output::Journal(JournalEntry::Finished(report.clone())));
        entry.stage = Stage::Finished { report };
        self.lease.release(attempt);
        self.tell(attempt, out);
    }

    pub(super) fn on_stop(
        &mut self,
        now: Now,
        attempt: AttemptId,
        cause: StopCause,
        grace: Duration,
        out: &mut Vec<Output>,
    ) {
        let Some(entry) = self.held.get_mut(&attempt) else {
            return;
        };
        match &mut entry.stage {
            _ if entry.forgotten => {}
            Stage::Journaling { stop, .. } => {
                *stop = Some(stop.map_or(cause, |earlier| stronger(earlier, cause)));
            }
            Stage::Waiting { .. } => {
                let outcome = never_started(cause);
                self.finish(AttemptReport::new(attempt, outcome, now.wall), out);
            }
            Stage::Starting { .. } | Stage::Running { .. } => {
                out.push(Output::Stop {
                    attempt,
                    cause,
                    grace,
                });
            }
            Stage::Finished { .. } => {}
        }
    }

    /// Whether this worker is to start nothing more. What it has accepted and not begun goes elsewhere at once.
    fn on_draining(&mut self, draining: bool, out: &mut Vec<Output>) {
        let heeds = !mutated("a worker that is drained takes jobs");
        self.condition.set_draining(draining && heeds);
        self.decline_unbegun(out);
    }

    /// Declines what is on its way to the journal, or waits there, while the master drains this worker. What is to be reported as stopped
    /// is reported.
    pub(super) fn decline_unbegun(&mut self, out: &mut Vec<Output>) {
        if !self.condition.is_draining() {
            return;
        }
        let reason = DeclineReason::Stopping;
        let is_unbegun = |entry: &Entry| match entry.stage {
            Stage::Journaling { stop: None, .. } => !entry.forgotten,
            Stage::Waiting { .. } => true,
            _ => false,
        };
        let held = self.held.iter();
        let declined: Vec<_> = held
            .filter(|(_, entry)| is_unbegun(entry))
            .map(|(attempt, _)| *attempt)
            .collect();
        for attempt in declined {
            self.on_forget(attempt, out);
            self.memory.remember(attempt);
            self.lease.release(attempt);
            self.say(WorkerMessage::Declined { attempt, reason }, out);
        }
    }

    /// The master wants nothing of this attempt any more.
    pub(super) fn on_forget(&mut self, attempt: AttemptId, out: &mut Vec<Output>) {
        let Some(entry) = self.held.get_mut(&attempt) else {
            return;
        };
        match entry.stage {
            Stage::Waiting { .. } | Stage::Finished { .. } => self.discard(attempt, out),
            Stage::Journaling { .. } => entry.forgotten = true,
            Stage::Starting { .. } | Stage::Running { .. } if !entry.forgotten => {
                entry.forgotten = true;
                if !mutated("a revoked attempt runs on") {
                    out.push(Output::Kill { attempt });
                }
            }
            Stage::Starting { .. } | Stage::Running { .. } => {}
        }
    }

    /// Forgets an attempt of which nothing runs.
    fn discard(&mut self, attempt: AttemptId, out: &mut Vec<Output>) {
        self.held.remove(&attempt);
        self.memory.remember(attempt);
        self.lease.release(attempt);
        out.push(Output::Journal(JournalEntry::Forgotten { attempt }));
        out.push(Output::Discard { attempt });
    }

    /// Tells the master where an attempt stands, if it has not heard yet.
    pub(super) fn tell(&mut self, attempt: AttemptId, out: &mut Vec<Output>) {
        let Some(entry) = self.held.get_mut(&attempt) else {
            return;
        };
        if entry.forgotten || entry.told >= entry.tells() || !self.phase.is_open() {
            return;
        }
        entry.told = entry.tells();
        let message = match &entry.stage {
            Stage::Journaling { .. } | Stage::Waiting { .. } | Stage::Starting { .. } => return,
            Stage::Running {
                pid, started_at, ..
            } => WorkerMessage::Started {
                attempt,
                pid: *pid,
                at: *started_at,
            },
            Stage::Finished { report } => WorkerMessage::Finished(report.clone()),
        };
        self.say(message, out);
    }
}

/// What becomes of an attempt that was stopped before it started.
const fn never_started(cause: StopCause) -> Outcome {
    match cause {
        StopCause::TimedOut => Outcome::TimedOut { exit: None },
        StopCause::WorkerStopping | StopCause::LeaseExpired | StopCause::Drained => {
            Outcome::Infra {
                reason: InfraReason::NeverStarted,
            }
        }
        // A cause that this version does not know is one of the job's own, as a cancel is.
        _ => Outcome::Cancelled { exit: None },
    }
}
