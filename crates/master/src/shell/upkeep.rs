//! Removes what has been kept for long enough: finished jobs with their output, output alone, events, and tombstones;
//! and lets the log store do its own work.
//!
//! A task of its own in each term, a small portion at a time, so that nothing waits behind it. It sleeps until the
//! oldest thing is due, or until there are too many. Finished jobs go through the engine, whose batch leaves a tombstone
//! for each; their output goes after that. A portion whose output was not removed when a term ended is removed by the
//! next.

mod output;

pub(super) use output::wanted_from;

use std::sync::Arc;
use std::time::Duration;

use jobyard_clock::sleep_until;
use jobyard_core::{
    AttemptId, CommitError, ControlError, Epoch, LoadError, MAX_PAGE, RecordQuery, Steady,
    TOMBSTONE,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::requests::stopped;
use super::shared::{Progress, Shared};
use crate::engine::{
    Answer, FORGET_PORTION, Forgotten, Input, RETENTION_KEY, TOMBSTONES_FOR, micros,
};
use crate::records::{
    DamagedRecord, EVENT, JOB, JobRecord, RetentionRecord, Tomb, read, read_events,
};

/// How many records of events are looked at together.
const EVENT_PORTION: usize = 16;

/// How long to wait after something has failed: whatever is too old is not urgent.
const PAUSE: Duration = Duration::from_mins(5);

/// How many logs that could not be removed are remembered: more than that is a disk that takes nothing.
const REMEMBERED_LOGS: usize = 10_000;

/// How long jobs that are too many may gather before they are removed together, if they are less than a portion.
const GATHER: Duration = Duration::from_secs(1);

/// The task of one term.
#[derive(Debug)]
pub(super) struct Upkeep {
    over: CancellationToken,
}

impl Upkeep {
    /// Begins, with so many finished jobs in the store.
    pub(super) fn start(shared: &Arc<Shared>, epoch: Epoch, finished_jobs: u64) -> Self {
        let over = shared.stopping.child_token();
        let keeper = Keeper {
            shared: Arc::clone(shared),
            progress: shared.progress.subscribe(),
            epoch,
            finished_jobs,
            removed: 0,
            oldest_events: 0,
            output: output::Walks::default(),
            unremoved: Vec::new(),
            unremoved_again_at: Steady::default(),
        };
        let (logs, until) = (Arc::clone(&shared.config.logs), over.clone());
        shared.spawn(async move {
            tokio::select! {
                () = logs.maintain() => {}
                () = until.cancelled() => {}
            }
        });
        let until = over.clone();
        shared.spawn(async move {
            tokio::select! {
                () = keeper.run() => {}
                () = until.cancelled() => {}
            }
        });
        Self { over }
    }

    /// Ends with the term.
    pub(super) fn stop(self) {
        self.over.cancel();
    }
}

/// Why upkeep does not go on for the moment.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Damaged(#[from] DamagedRecord),
    #[error(transparent)]
    Control(#[from] ControlError),
}

struct Keeper {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    epoch: Epoch,
    /// At the beginning of the term.
    finished_jobs: u64,
    /// Since then.
    removed: u64,
    /// The last place in the oldest record of events.
    oldest_events: u64,
    /// How far output was removed.
    output: output::Walks,
    /// Logs that are to be gone, and could not be removed.
    unremoved: Vec<AttemptId>,
    /// When they are tried again.
    unremoved_again_at: Steady,
}

impl Keeper {
    async fn run(mut self) {
        if let Err(problem) = self.finish_last_portion().await {
            warn!(%problem, "what the last term has removed may still have output");
        }
        loop {
            match self.remove_what_is_due().await {
                Ok(next) => self.wait(next).await,
                Err(problem) => {
                    warn!(%problem, retry_in = ?PAUSE, "old records cannot be removed");
                    let clock = &*self.shared.config.clock;
                    sleep_until(clock, Some(clock.now().steady + PAUSE)).await;
                }
            }
        }
    }

    /// Until more is due by age, or there is too much of something.
    async fn wait(&mut self, next: Option<Duration>) {
        let clock = Arc::clone(&self.shared.config.clock);
        let at = next.map(|next| clock.now().steady + next);
        let retention = self.shared.config.retention;
        let many_events = retention.too_many_events_at(self.oldest_events);
        let (before, removed) = (self.finished_jobs, self.removed);
        let too_many = move |progress: &Progress| {
            let kept = (before + progress.retired).saturating_sub(removed);
            retention.jobs.is_some_and(|most| kept > most)
                || many_events.is_some_and(|at| progress.event_seq >= at)
        };
        let is_too_many = tokio::select! {
            () = sleep_until(&*clock, at) => false,
            // The shared part lives as long as this task, and the sender in it.
            found = self.progress.wait_for(too_many) => found.is_ok(),
            () = self.output.wait(&self.shared, before) => false,
        };
        if is_too_many {
            sleep_until(&*clock, Some(clock.now().steady + GATHER)).await;
        }
    }

    /// Everything that is due, portion by portion. Says when more will be, by age.
    async fn remove_what_is_due(&mut self) -> Result<Option<Duration>, Problem> {
        self.repeat_removals().await;
        let jobs = self.remove_jobs().await?;
        let events = self.remove_events().await?;
        let tombs = self.remove_tombstones().await?;
        let output = self.remove_output().await?;
        let now = self.shared.config.clock.now().steady;
        let unremoved = (!self.unremoved.is_empty()).then(|| self.unremoved_again_at.since(now));
        let next = [jobs, events, tombs, output, unremoved];
        Ok(next.into_iter().flatten().min())
    }

    async fn remove_jobs(&mut self) -> Result<Option<Duration>, Problem> {
        let retention = self.shared.config.retention;
        loop {
            let store = &self.shared.config.store;
            let oldest = store
                .oldest_ended(JOB, i64::MAX.unsigned_abs(), FORGET_PORTION)
                .await?;
            let ended: Vec<u64> = oldest
                .iter()
                .filter_map(|record| record.fields.ended)
                .collect();
            let known = self.finished_jobs + self.progress.borrow().retired;
            if oldest.len() < FORGET_PORTION {
                // That is all there is, whatever was counted.
                self.removed = known.saturating_sub(oldest.len() as u64);
            }
            let kept = known.saturating_sub(self.removed);
            let plan = retention.plan_jobs(self.shared.config.clock.now().wall, kept, &ended);
            if plan.due == 0 {
                return Ok(plan.next);
            }
            let due = &oldest[..plan.due];
            let jobs: Result<Vec<JobRecord>, _> = due.iter().map(read).collect();
            self.forget(jobs?).await?;
            if plan.due < FORGET_PORTION {
                return Ok(plan.next);
            }
        }
    }

    async fn forget(&mut self, jobs: Vec<JobRecord>) -> Result<(), Problem> {
        let count = jobs.len();
        let jobs: Vec<Forgotten> = jobs
            .into_iter()
            .map(|job| Forgotten {
                id: job.id,
                sequence: job.sequence,
                tomb: Tomb::of(&job),
                attempts: job.attempts.iter().map(|attempt| attempt.id).collect(),
            })
            .collect();
        let logs: Vec<AttemptId> = jobs.iter().flat_map(|job| job.attempts.clone()).collect();
        let (reply, answer) = self.shared.replies.expect();
        let forget = Input::Forget { reply, jobs };
        self.shared.inbox.tell(forget).await?;
        match answer.await {
            Ok(Answer::Done) => {}
            _ => return Err(stopped().into()),
        }
        self.removed += count as u64;
        debug!(count, "finished jobs removed");
        self.remove_logs(logs).await;
        Ok(())
    }

    /// What cannot be removed now is tried again later: it is in nobody's way but the disk's.
    async fn remove_logs(&mut self, logs: Vec<AttemptId>) {
        for attempt in logs {
            let Err(problem) = self.shared.config.logs.remove(attempt).await else {
                continue;
            };
            if self.unremoved.is_empty() {
                self.unremoved_again_at = self.shared.config.clock.now().steady + PAUSE;
            }
            if self.unremoved.len() < REMEMBERED_LOGS {
                warn!(%attempt, %problem, retry_in = ?PAUSE, "output that is to go stays");
                self.unremoved.push(attempt);
            } else {
                warn!(%attempt, %problem, "output that is to go stays");
            }
        }
    }

    async fn repeat_removals(&mut self) {
        if self.shared.config.clock.now().steady >= self.unremoved_again_at {
            let logs = std::mem::take(&mut self.unremoved);
            self.remove_logs(logs).await;
        }
    }

    /// A term may end between the commit of a portion and the removal of its output.
    async fn finish_last_portion(&mut self) -> Result<(), Problem> {
        let (kind, key) = RETENTION_KEY;
        if let Some(record) = self.shared.config.store.get(kind, key).await? {
            let last: RetentionRecord = read(&record)?;
            self.remove_logs(last.logs).await;
        }
        Ok(())
    }

    /// Events go by count exactly, and by age record by record. The newest record stays in any case: the next term
    /// counts on from it.
    async fn remove_events(&mut self) -> Result<Option<Duration>, Problem> {
        let retention = self.shared.config.retention;
        let newest = self.progress.borrow().event_seq;
        if let Some(first) = retention.first_kept_event(newest) {
            self.prune_events(first).await?;
        }
        loop {
            let mut query = RecordQuery::new(EVENT, EVENT_PORTION);
            query.ascending = true;
            let page = self.shared.config.store.list(query).await?;
            let mut records = Vec::with_capacity(page.records.len());
            for record in &page.records {
                if let Some(newest) = read_events(record)?.last() {
                    records.push((record.fields.order, micros(newest.event.time)));
                }
            }
            let newest = self.progress.borrow().event_seq;
            records.retain(|(last, _)| *last < newest);
            self.oldest_events = records.first().map_or(newest, |(last, _)| *last);
            let times: Vec<u64> = records.iter().map(|(_, time)| *time).collect();
            let plan = retention.plan_events(self.shared.config.clock.now().wall, &times);
            let Some((last, _)) = plan.due.checked_sub(1).and_then(|at| records.get(at)) else {
                return Ok(plan.next);
            };
            self.prune_events(last + 1).await?;
        }
    }

    /// Removes the records of which every event stands before this place.
    async fn prune_events(&self, before: u64) -> Result<(), Problem> {
        let store = &self.shared.config.store;
        while store.prune(self.epoch, EVENT, before, MAX_PAGE).await? == MAX_PAGE {}
        Ok(())
    }

    async fn remove_tombstones(&self) -> Result<Option<Duration>, Problem> {
        let store = &self.shared.config.store;
        let now = micros(self.shared.config.clock.now().wall);
        let year = u64::try_from(TOMBSTONES_FOR.as_micros()).unwrap_or(u64::MAX);
        let before = now.saturating_sub(year);
        while store.prune(self.epoch, TOMBSTONE, before, MAX_PAGE).await? == MAX_PAGE {}
        let mut query = RecordQuery::new(TOMBSTONE, 1);
        query.ascending = true;
        let page = store.list(query).await?;
        let oldest = page.records.first().map(|record| record.fields.order);
        // One that is as old as that to the microsecond goes a moment later.
        Ok(oldest.map(|at| Duration::from_micros(at.saturating_add(year + 1).saturating_sub(now))))
    }
}
