//! An attempt ends: its outcome, its slots, its output, and whether the job runs again.

use std::time::Duration;

use jobyard_core::{
    AttemptId, AttemptReport, AuditEntry, Happening, InfraReason, JobId, JobState, LogEnd,
    LogState, LogStatus, MasterMessage, Now, OnDisconnect, Outcome, Residue, Steady, Timestamp,
    mutated,
};
use jobyard_scheduler::Event;

use super::Engine;
use super::output::Effect;
use super::retries::Again;
use super::tables::{JobEntry, OpenLog, Stage};
use super::timers::Timer;

/// How an attempt ended, from whoever knows it.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    outcome: Outcome,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// `None`: not known.
    log: Option<LogEnd>,
    residue: Residue,
    /// Whether the worker vouches that nothing of it ran, so that another attempt repeats nothing.
    nothing_ran: bool,
    /// Until when something of it may still run under a lease, although it counts as over.
    leased_until: Option<Steady>,
    /// Whether its worker may begin it all the same, if it has not.
    may_begin: bool,
}

impl Ending {
    /// The worker has said so.
    pub(super) fn reported(report: AttemptReport) -> Self {
        // One that was refused for want of a limit was not begun: that is what the refusal is for.
        let refused = Outcome::Infra {
            reason: InfraReason::LimitNotEnforceable,
        };
        let nothing_ran = report.outcome == refused && report.started_at.is_none();
        Self {
            outcome: report.outcome,
            started_at: report.started_at,
            finished_at: Some(report.finished_at),
            log: Some(report.log),
            residue: report.residue,
            nothing_ran,
            leased_until: None,
            may_begin: false,
        }
    }

    /// The worker says that nothing of it ran.
    pub(super) fn nothing_ran(outcome: Outcome) -> Self {
        Self {
            outcome,
            started_at: None,
            finished_at: None,
            log: Some(LogEnd::default()),
            residue: Residue::default(),
            nothing_ran: true,
            leased_until: None,
            may_begin: false,
        }
    }

    /// The worker is gone; what is left of the attempt is not known.
    pub(super) fn unconfirmed(outcome: Outcome) -> Self {
        let mut residue = Residue::default();
        residue.unconfirmed = true;
        Self {
            outcome,
            started_at: None,
            finished_at: None,
            log: None,
            residue,
            nothing_ran: false,
            leased_until: None,
            may_begin: false,
        }
    }

    /// The worker may not even know that the attempt is over.
    pub(super) fn unheard(outcome: Outcome) -> Self {
        Self {
            may_begin: true,
            ..Self::unconfirmed(outcome)
        }
    }

    /// The same of an attempt that may go on until its lease is over.
    #[must_use]
    pub(super) fn leased_until(self, over: Option<Steady>) -> Self {
        Self {
            leased_until: over,
            ..self
        }
    }
}

impl Engine {
    /// Gives the current attempt of a job its outcome, and the job its next step. An attempt that is not current is
    /// left alone.
    pub(super) fn settle(&mut self, now: Now, attempt: AttemptId, ending: Ending) {
        let job = attempt.job;
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        let Some(worker) = entry.stage.worker() else {
            return;
        };
        if !entry.is_current(attempt, worker) {
            return;
        }
        let outcome = decide(entry, ending.outcome);
        let (log_end, nothing_ran) = (ending.log, ending.nothing_ran);
        let has_begun = entry.current().is_some_and(|now| now.started_at.is_some());
        let may_begin = ending.may_begin && !has_begun;
        let stops_with_lease = entry.record.demand.on_disconnect == OnDisconnect::Stop;
        let waits = stops_with_lease && !mutated("another attempt does not wait for the lease");
        let not_before = ending.leased_until.filter(|_| waits);
        entry.record.drained = false;
        record_ending(entry, now, outcome, ending);
        let log_is_open = open_log(entry, attempt, worker, log_end);
        if let Some(holder) = self.tables.workers.get_mut(&worker) {
            holder.jobs.remove(&job);
            if log_is_open {
                holder.logs.insert(attempt);
            }
        }
        if may_begin {
            self.may_still_begin(worker, attempt);
        }
        self.tables.dirty.insert(job);
        let finished = Happening::AttemptFinished {
            job_id: job,
            attempt: attempt.number,
            worker_id: worker,
            outcome,
        };
        self.happened(now, finished);
        if !nothing_ran {
            self.stop_queue_time(job);
        }
        if !log_is_open || mutated("output is given up before it is durable") {
            self.outbox.effects.push(Effect::Revoke { attempt });
            self.send(worker, MasterMessage::Forget { attempt });
        } else if log_end.is_none() {
            self.abandon_log(attempt);
        }
        let again = self.pay_for_another(now, attempt, outcome, nothing_ran, not_before);
        self.next_step(now, job, outcome, again, log_is_open);
        if !mutated("capacity is never released") {
            self.schedule(now, Event::JobReleased(job));
        }
        if self
            .tables
            .jobs
            .get(&job)
            .is_some_and(|entry| entry.stage == Stage::Queued)
        {
            self.enqueue(now, job);
        }
        self.check_drain(now, worker);
    }

    /// Back to the queue, to the end, or waiting for the output.
    fn next_step(
        &mut self,
        now: Now,
        job: JobId,
        outcome: Outcome,
        again: Option<Again>,
        log_is_open: bool,
    ) {
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        if let Some(again) = again {
            self.run_again(now, job, again);
        } else if log_is_open {
            entry.stage = Stage::Draining;
            if let Some(current) = entry.current() {
                self.timers.set(
                    Timer::LogDrain(current.id),
                    now.steady + self.timings.log_drain,
                );
            }
        } else {
            self.finish(now, job, outcome);
        }
    }

    /// Back to the queue, at once or after a wait, unless its time to begin is over.
    fn run_again(&mut self, now: Now, job: JobId, again: Again) {
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        if entry.record.queue_left == Some(Duration::ZERO) {
            return self.finish(now, job, Outcome::TimedOut { exit: None });
        }
        let after = entry.current().map(|current| current.id.number);
        if again.wait.is_zero() {
            entry.stage = Stage::Queued;
            entry.set_state(JobState::Queued, &mut self.tables.states);
        } else {
            self.back_off(now, job, again.wait);
        }
        if let Some(attempt) = after {
            let (job_id, Again { budget, wait }) = (job, again);
            self.happened(
                now,
                Happening::JobRequeued {
                    job_id,
                    attempt,
                    budget,
                    wait,
                },
            );
        }
    }

    /// The job is over. Its outcome never changes again.
    pub(super) fn finish(&mut self, now: Now, job: JobId, outcome: Outcome) {
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        if let Some(current) = entry.current() {
            self.timers.clear(Timer::LogDrain(current.id));
        }
        entry.stage = Stage::Finished;
        entry.set_state(JobState::Finished, &mut self.tables.states);
        entry.record.outcome = Some(outcome);
        entry.record.finished_at = Some(now.wall);
        self.finished += 1;
        self.tables.dirty.insert(job);
        let job_id = job;
        self.happened(now, Happening::JobFinished { job_id, outcome });
        self.stop_queue_time(job);
        self.end_backoff(job);
    }

    /// The output of an attempt is all there, or will never be.
    pub(super) fn on_log_settled(&mut self, now: Now, attempt: AttemptId, status: LogStatus) {
        self.audit_corrupt_log(now, attempt, status);
        let Some(entry) = self.tables.jobs.get_mut(&attempt.job) else {
            return;
        };
        let Some(open) = entry.open_logs.remove(&attempt.number) else {
            if entry.current().is_some_and(|current| current.id == attempt) {
                entry.early_log = Some((attempt.number, status));
            }
            return;
        };
        record_log(entry, attempt, status);
        let drained = entry.stage == Stage::Draining
            && entry.current().is_some_and(|current| current.id == attempt);
        let outcome = entry.current().and_then(|current| current.outcome);
        if let Some(holder) = self.tables.workers.get_mut(&open.worker) {
            holder.logs.remove(&attempt);
        }
        self.tables.dirty.insert(attempt.job);
        self.outbox.effects.push(Effect::Revoke { attempt });
        let is_kept = open.abandoned && mutated("an attempt that does not count is not revoked")
            || mutated("nobody hears that output is kept");
        if !is_kept {
            self.send(open.worker, MasterMessage::Forget { attempt });
        }
        if let (true, Some(outcome)) = (drained, outcome) {
            self.finish(now, attempt.job, outcome);
        }
        self.check_drain(now, open.worker);
    }

    /// A worker that has sent other bytes than before is written down, once for each attempt and term.
    fn audit_corrupt_log(&mut self, now: Now, attempt: AttemptId, status: LogStatus) {
        let LogState::Corrupt(held) = status.state else {
            return;
        };
        let Some(entry) = self.tables.jobs.get(&attempt.job) else {
            return;
        };
        let known = entry
            .early_log
            .is_some_and(|early| early == (attempt.number, status));
        let open = entry.open_logs.get(&attempt.number);
        let by = entry.record.attempts.iter().find(|it| it.id == attempt);
        let is_current = entry.current().is_some_and(|current| current.id == attempt);
        if let Some(by) = by.filter(|_| !known && (open.is_some() || is_current)) {
            let result = format!("held up to {held}");
            let (who, subject) = (by.worker.to_string(), attempt.to_string());
            self.audit(AuditEntry::new(
                now.wall,
                who,
                "log.corrupt",
                subject,
                result,
            ));
        }
    }

    /// Output that is still to come will never come. Said once for each log and term.
    pub(super) fn abandon_log(&mut self, attempt: AttemptId) {
        let entry = self.tables.jobs.get_mut(&attempt.job);
        let open = entry.and_then(|entry| entry.open_logs.get_mut(&attempt.number));
        if let Some(open) = open.filter(|open| !open.abandoned) {
            open.abandoned = true;
            let end = open.end;
            self.outbox
                .effects
                .push(Effect::AbandonLog { attempt, end });
        }
    }

    /// The output did not arrive in time: the job is finished all the same.
    pub(super) fn on_log_drain_over(&mut self, now: Now, job: JobId) {
        let Some(entry) = self.tables.jobs.get(&job) else {
            return;
        };
        let outcome = entry.current().and_then(|current| current.outcome);
        if let (Stage::Draining, Some(outcome)) = (entry.stage, outcome)
            && !mutated("a job waits for all of its output")
        {
            self.finish(now, job, outcome);
        }
    }
}

/// Once a stop is accepted the outcome is `cancelled`, with the real exit kept; only force says more. What was stopped
/// because its worker was drained, and by nobody else, was no wish of its user.
fn decide(entry: &JobEntry, reported: Outcome) -> Outcome {
    let forced = matches!(
        reported,
        Outcome::Infra {
            reason: InfraReason::Forced
        }
    );
    if entry.record.stop_grace.is_some() && !forced && !mutated("an end wins over an accepted stop")
    {
        Outcome::Cancelled {
            exit: reported.exit(),
        }
    } else if entry.record.drained && matches!(reported, Outcome::Cancelled { .. }) {
        let reason = InfraReason::WorkerDrained;
        Outcome::Infra { reason }
    } else {
        reported
    }
}

fn record_ending(entry: &mut JobEntry, now: Now, outcome: Outcome, ending: Ending) {
    let Some(current) = entry.current_mut() else {
        return;
    };
    current.outcome = Some(outcome);
    current.started_at = ending.started_at.or(current.started_at);
    current.finished_at = Some(ending.finished_at.unwrap_or(now.wall));
    current.residue = Some(ending.residue);
}

/// Notes where the output ends. Says whether some of it is still to come.
fn open_log(
    entry: &mut JobEntry,
    attempt: AttemptId,
    worker: jobyard_core::WorkerId,
    end: Option<LogEnd>,
) -> bool {
    if let Some((_, status)) = entry
        .early_log
        .take_if(|(number, _)| *number == attempt.number)
    {
        record_log(entry, attempt, status);
        return false;
    }
    if let Some(end) = end {
        let mut status = LogStatus::sealed(end.bytes, end);
        if end.bytes > 0 {
            // Until it has arrived, the record says how much there is to come.
            status.state = LogState::Uploading;
        }
        record_log(entry, attempt, status);
        if end.bytes == 0 {
            return false;
        }
    }
    let open = OpenLog {
        worker,
        end,
        abandoned: false,
    };
    entry.open_logs.insert(attempt.number, open);
    true
}

fn record_log(entry: &mut JobEntry, attempt: AttemptId, status: LogStatus) {
    if let Some(known) = entry
        .record
        .attempts
        .iter_mut()
        .find(|known| known.id == attempt)
    {
        known.log = status.state;
        known.log_bytes = status.end;
        known.log_dropped = status.dropped;
    }
}
