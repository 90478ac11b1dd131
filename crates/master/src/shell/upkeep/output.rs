//! Removes the output of jobs that stay: when it is old, and when its room is needed.
//!
//! Finished jobs go by the time at which they ended, all attempts of a job together; a job that is not finished, or
//! whose output is still on its way, is not touched. First it is made durable that the output is gone, why and since
//! when, then it is removed: a reader in between finds the end of what there is.

use std::time::Duration;

use jobyard_core::{AttemptId, LogRemoval, LogState, Record};
use tracing::{debug, info, warn};

use super::super::requests::stopped;
use super::super::shared::Shared;
use super::{Keeper, Problem};
use crate::engine::{Answer, FORGET_PORTION, Input};
use crate::records::{JOB, JobRecord, read};

/// A place among what has ended.
type Place = (u64, String);

/// How far a term has come. Each begins anew, since jobs whose output came late may have ended before that place.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Up to here all output is gone.
    old: Option<Place>,
    /// Up to here none takes room.
    room: Option<Place>,
    /// Nothing that could go was left when so many jobs had ended.
    exhausted_at: Option<u64>,
}

impl Walk {
    /// Until the room of output is short, and something may be done about that.
    pub(super) async fn wait(&self, shared: &Shared, before: u64) {
        if let Some(ended) = self.exhausted_at {
            let mut progress = shared.progress.subscribe();
            let more = progress.wait_for(|progress| before + progress.retired > ended);
            if more.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        shared.log_room.is_wanted().await;
    }
}

impl Keeper {
    /// What is due. Says when more will be, by age.
    pub(super) async fn remove_output(&mut self) -> Result<Option<Duration>, Problem> {
        let next = self.remove_old_output().await?;
        if let Some(budget) = self.shared.config.retention.log_budget {
            self.make_room(budget).await?;
        }
        Ok(next)
    }

    async fn remove_old_output(&mut self) -> Result<Option<Duration>, Problem> {
        let retention = self.shared.config.retention;
        if retention.logs_for.is_none() {
            return Ok(None);
        }
        loop {
            let page = self.ended_after(self.output.old.clone()).await?;
            let ended: Vec<u64> = page.iter().filter_map(|job| job.fields.ended).collect();
            let plan = retention.plan_output(self.shared.config.clock.now().wall, &ended);
            let due = page.get(..plan.due).unwrap_or(&page);
            if let Some(last) = due.last() {
                let jobs: Result<Vec<JobRecord>, _> = due.iter().map(read).collect();
                self.forget_output(jobs?, LogRemoval::Age).await?;
                self.output.old = place(last);
            }
            if due.len() < FORGET_PORTION {
                return Ok(plan.next);
            }
        }
    }

    /// Removes what ended first until there is room again.
    async fn make_room(&mut self, budget: u64) -> Result<(), Problem> {
        let logs = std::sync::Arc::clone(&self.shared.config.logs);
        let mut is_whole_walk = self.output.room.is_none();
        let mut used = self.used().await;
        if used < wanted_from(budget) {
            self.shared.log_room.settled();
            self.output.exhausted_at = None;
            return Ok(());
        }
        while used > enough(budget) {
            let page = self.ended_after(self.output.room.clone()).await?;
            if page.is_empty() {
                if is_whole_walk || self.output.exhausted_at.is_some() {
                    self.nothing_left(budget, used);
                    return Ok(());
                }
                // What was removed before may not be all: output that came late belongs to jobs that ended early.
                self.output.room = None;
                is_whole_walk = true;
                continue;
            }
            let mut due = Vec::new();
            let mut freed = 0;
            for record in &page {
                let job: JobRecord = read(record)?;
                let mut room = 0;
                for attempt in with_output(&job) {
                    match logs.usage_of(attempt).await {
                        // What lies in the archive takes no room here, but for what says where it is.
                        Ok(usage) if usage.archived == 0 => room += usage.bytes,
                        _ => {}
                    }
                }
                if room > 0 {
                    due.push(job);
                    freed += room;
                }
                self.output.room = place(record);
                if used.saturating_sub(freed) <= enough(budget) {
                    break;
                }
            }
            self.forget_output(due, LogRemoval::Room).await?;
            used = self.used().await;
        }
        self.output.exhausted_at = None;
        self.shared.log_room.settled();
        Ok(())
    }

    /// What is left belongs to jobs that are not over.
    fn nothing_left(&mut self, budget: u64, used: u64) {
        let ended = self.finished_jobs + self.progress.borrow().retired;
        if self.output.exhausted_at.is_none() {
            warn!(
                budget,
                used,
                "the output of unfinished jobs takes the whole budget: when it is used up, output waits at its workers"
            );
        }
        self.output.exhausted_at = Some(ended);
    }

    async fn used(&self) -> u64 {
        let usage = self.shared.config.logs.usage().await;
        usage.map_or(0, |usage| usage.bytes)
    }

    async fn ended_after(&self, after: Option<Place>) -> Result<Vec<Record>, Problem> {
        let store = &self.shared.config.store;
        Ok(store.ended_after(JOB, after, FORGET_PORTION).await?)
    }

    async fn forget_output(
        &mut self,
        jobs: Vec<JobRecord>,
        why: LogRemoval,
    ) -> Result<(), Problem> {
        let at = self.shared.config.clock.now().wall;
        let mut logs = Vec::new();
        let mut changed = Vec::new();
        for mut job in jobs {
            let gone = with_output(&job);
            for attempt in &mut job.attempts {
                if gone.contains(&attempt.id) {
                    attempt.log = LogState::Removed { at, why };
                }
            }
            if !gone.is_empty() {
                logs.extend(gone);
                changed.push(job);
            }
        }
        if logs.is_empty() {
            return Ok(());
        }
        let (reply, answer) = self.shared.replies.expect();
        let forget = Input::ForgetOutput {
            reply,
            jobs: changed,
            logs: logs.clone(),
        };
        self.shared.inbox.tell(forget).await?;
        match answer.await {
            Ok(Answer::Done) => {}
            _ => return Err(stopped().into()),
        }
        let count = logs.len();
        self.remove_logs(logs).await;
        if why == LogRemoval::Room {
            info!(logs = count, "output removed to make room");
        } else {
            debug!(logs = count, "old output removed");
        }
        Ok(())
    }
}

/// Attempts of which output is held.
fn with_output(job: &JobRecord) -> Vec<AttemptId> {
    let held = job.attempts.iter().filter(|attempt| {
        attempt.log_bytes > 0 && !matches!(attempt.log, LogState::Removed { .. })
    });
    held.map(|attempt| attempt.id).collect()
}

fn place(record: &Record) -> Option<Place> {
    Some((record.fields.ended?, record.key.clone()))
}

/// From how many bytes on room is made: before there is none.
pub(in crate::shell) const fn wanted_from(budget: u64) -> u64 {
    budget - budget / 16
}

/// Down to how many bytes: so that it is not done at each append.
const fn enough(budget: u64) -> u64 {
    budget - budget / 8
}
