//! Jobs come in, are sent out, and are stopped.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{
    Attempt, AttemptId, AttemptNumber, AuditEntry, Change, ControlError, Happening, InfraReason,
    JobId, JobState, MAX_SUBMIT_JOBS, MasterMessage, Now, Outcome, StopCause, StopOptions,
    Submitted, WorkerId, mutated,
};
use jobyard_scheduler::Event;

use super::Engine;
use super::input::{ReplyTo, Submission};
use super::output::{Answer, Effect};
use super::retries::retry_after;
use super::settle::Ending;
use super::tables::{JobEntry, Stage};
use crate::records::{JobRecord, spec_record};

impl Engine {
    /// All jobs are accepted or none.
    pub(super) fn on_submit(&mut self, now: Now, reply: ReplyTo, by: &str, jobs: Vec<Submission>) {
        if let Err(error) = self.check_submission(&jobs) {
            return self.reply(reply, Answer::Refused(error));
        }
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            let id = job.id;
            let known = job.known.is_some() && !mutated("a tombstone is ignored");
            let created = (self.tables.digest(id).is_none() && !known)
                || mutated("a known job is taken again");
            if created {
                self.accept(now, by, job);
            }
            answers.push(Submitted::new(id, created));
        }
        self.reply(reply, Answer::Submitted(answers));
    }

    fn check_submission(&self, jobs: &[Submission]) -> Result<(), ControlError> {
        if jobs.len() > MAX_SUBMIT_JOBS {
            let problem = format!("{} jobs at once, at most {MAX_SUBMIT_JOBS}", jobs.len());
            return Err(ControlError::invalid("jobs", problem));
        }
        let mut ids = BTreeMap::new();
        for job in jobs {
            let known = self.tables.digest(job.id).or(job.known.as_ref());
            let earlier = ids.insert(job.id, &job.digest);
            if [known, earlier]
                .into_iter()
                .flatten()
                .any(|digest| *digest != job.digest)
                && !mutated("another job is taken under a known id")
            {
                return Err(ControlError::AlreadyExists {
                    what: "job",
                    id: job.id.to_string(),
                });
            }
        }
        Ok(())
    }

    fn accept(&mut self, now: Now, by: &str, job: Submission) {
        self.counters.job_sequence += 1;
        let sequence = self.counters.job_sequence;
        let record = JobRecord {
            id: job.id,
            sequence,
            state: JobState::Queued,
            outcome: None,
            submitted_at: now.wall,
            submitted_by: by.to_owned(),
            finished_at: None,
            queue_left: job.demand.queue_timeout,
            demand: job.demand,
            digest: job.digest,
            stop_grace: None,
            infra_failures: 0,
            own_failures: 0,
            retry_left: None,
            retry_at: None,
            drained: false,
            attempts: Vec::new(),
            name: job.name,
            labels: job.labels,
            origin: job.origin,
        };
        let submitted = Happening::JobSubmitted {
            job_id: job.id,
            by: by.to_owned(),
            queue: record.demand.queue.to_string(),
            retry_of: job.origin.retry_of(),
        };
        self.outbox
            .changes
            .push(Change::Put(spec_record(job.id, sequence, job.spec_json)));
        let entry = JobEntry {
            record,
            stage: Stage::Queued,
            open_logs: BTreeMap::new(),
            early_log: None,
            free_retries: 0,
        };
        self.tables.insert_job(entry);
        self.tables.dirty.insert(job.id);
        self.happened(now, submitted);
        self.count_queue_time(now, job.id);
        self.enqueue(now, job.id);
    }

    /// Asks the scheduler for a worker. A job that comes back keeps its place.
    pub(super) fn enqueue(&mut self, now: Now, job: JobId) {
        if let Some(demand) = self.tables.demand(job) {
            self.schedule(now, Event::JobQueued(demand));
        }
    }

    /// Sends a job to the worker that the scheduler has chosen.
    pub(super) fn assign(&mut self, now: Now, job: JobId, worker: WorkerId) {
        let (Some(entry), Some(chosen)) = (
            self.tables.jobs.get_mut(&job),
            self.tables.workers.get_mut(&worker),
        ) else {
            return;
        };
        let number = entry
            .current()
            .map_or(AttemptNumber::FIRST, |last| last.id.number.next());
        let attempt = AttemptId::new(job, number);
        let name = chosen.record.name.clone();
        let mut next = Attempt::new(attempt, worker, name, now.wall);
        next.retry = entry.current().and_then(retry_after);
        entry.record.attempts.push(next);
        entry.set_state(JobState::Assigned, &mut self.tables.states);
        entry.stage = Stage::Sent { worker };
        chosen.jobs.insert(job);
        let digest = entry.record.digest.clone();
        let env = chosen.record.env.clone();
        let session = chosen.session.map(|session| session.id);
        self.tables.dirty.insert(job);
        let assigned = Happening::AttemptAssigned {
            job_id: job,
            attempt: number,
            worker_id: worker,
        };
        self.happened(now, assigned);
        self.grant(attempt, worker);
        // The scheduler gives jobs to connected workers only; should the session be gone, reconciliation finds the
        // attempt.
        if let Some(session) = session {
            self.outbox.effects.push(Effect::Assign {
                session,
                attempt,
                digest,
                env,
            });
        }
    }

    /// A stopped job that waits is over; one that was sent is told, or will be when its worker is back.
    pub(super) fn on_stop(
        &mut self,
        now: Now,
        reply: ReplyTo,
        by: &str,
        job: JobId,
        options: StopOptions,
    ) {
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return self.reply(reply, Answer::Refused(ControlError::no_job(job)));
        };
        let asked = options.grace.unwrap_or(entry.record.demand.grace);
        let stage = entry.stage;
        self.note_stop(now, by, job, options);
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        match stage {
            Stage::Queued => {
                if !mutated("a stopped job stays in the queue") {
                    self.schedule(now, Event::JobWithdrawn(job));
                }
                self.finish(now, job, Outcome::Cancelled { exit: None });
            }
            Stage::Backoff if mutated("a stop during a wait for a retry is forgotten") => {}
            Stage::Backoff => self.finish(now, job, Outcome::Cancelled { exit: None }),
            Stage::Draining if mutated("a stop wins over an end") => {
                self.finish(now, job, Outcome::Cancelled { exit: None });
            }
            Stage::Draining | Stage::Finished => {}
            Stage::Sent { worker } | Stage::Running { worker } | Stage::Stopping { worker } => {
                let grace = entry
                    .record
                    .stop_grace
                    .map_or(asked, |grace| grace.min(asked));
                entry.record.stop_grace = Some(grace);
                entry.set_state(JobState::Stopping, &mut self.tables.states);
                entry.stage = Stage::Stopping { worker };
                let current = entry.current().map(|attempt| attempt.id);
                self.tables.dirty.insert(job);
                // At the end it is released anyway, and the scheduler does not mind a release of what it does not count.
                if mutated("capacity is released twice") {
                    self.schedule(now, Event::JobReleased(job));
                }
                if let Some(attempt) = current {
                    if options.force || mutated("a stop counts as done when it is accepted") {
                        let reason = InfraReason::Forced;
                        self.settle(now, attempt, Ending::unheard(Outcome::Infra { reason }));
                        if !mutated("an attempt that does not count is not revoked") {
                            self.send(worker, MasterMessage::Forget { attempt });
                        }
                    } else {
                        let cause = StopCause::Cancelled;
                        self.send(
                            worker,
                            MasterMessage::Stop {
                                attempt,
                                cause,
                                grace,
                            },
                        );
                    }
                }
            }
        }
        if !matches!(stage, Stage::Draining | Stage::Finished) {
            let result = if options.force { "forced" } else { "ok" };
            self.audit(AuditEntry::new(
                now.wall,
                by,
                "job.stop",
                job.to_string(),
                result,
            ));
        }
        self.reply(reply, Answer::Stopping(self.stopped_state(job)));
    }

    /// Where a job stands for whoever has asked for its stop. One that has ended and only waits for its output has its
    /// outcome already, so that the stop came too late.
    fn stopped_state(&self, job: JobId) -> JobState {
        match self.tables.jobs.get(&job) {
            Some(entry) if entry.stage != Stage::Draining => entry.record.state,
            _ => JobState::Finished,
        }
    }

    /// Notes that a stop of a job that is not over was asked for.
    fn note_stop(&mut self, now: Now, by: &str, job: JobId, options: StopOptions) {
        let entry = self.tables.jobs.get(&job);
        if entry.is_some_and(|entry| !matches!(entry.stage, Stage::Draining | Stage::Finished)) {
            let (by, force) = (by.to_owned(), options.force);
            let job_id = job;
            self.happened(now, Happening::JobStopping { job_id, by, force });
        }
    }

    /// Sends a message through a worker's session, if it has one.
    pub(super) fn send(&mut self, worker: WorkerId, message: MasterMessage) {
        let session = self
            .tables
            .workers
            .get(&worker)
            .and_then(|worker| worker.session);
        if let Some(session) = session {
            let message = Box::new(message);
            self.outbox.effects.push(Effect::Send {
                session: session.id,
                message,
            });
        }
    }

    /// The jobs that a worker has, to walk over while they change.
    pub(super) fn jobs_of(&self, worker: WorkerId) -> BTreeSet<JobId> {
        self.tables
            .workers
            .get(&worker)
            .map(|worker| worker.jobs.clone())
            .unwrap_or_default()
    }
}
