//! Removes the output of jobs that stay: when it is old, and when its room is needed.
//!
//! Finished jobs go by the time at which they ended, all attempts of a job together; a job that is not finished, or
//! whose output is still on its way, is not touched. First it is made durable that the output is gone, why and since
//! when, then it is removed: a reader in between finds the end of what there is.

use std::time::Duration;

use jobyard_clock::sleep_until;
use jobyard_core::{Attempt, AttemptId, LogRemoval, LogState, Now, Record, Steady};
use tracing::{debug, info, warn};

use super::super::requests::stopped;
use super::super::shared::Shared;
use super::{Keeper, Problem};
use crate::engine::{Answer, FORGET_PORTION, Input};
use crate::records::{JOB, JobRecord, read};

/// How long after it has begun a walk may begin anew to make room.
const ROOM_AGAIN: Duration = Duration::from_mins(1);

/// The same for output that is too old, which is less urgent.
const OLD_AGAIN: Duration = Duration::from_hours(1);

/// A place among what has ended.
type Place = (u64, String);

/// How far a term has come with what has ended, from the first on.
///
/// A job takes its place by the time at which it ended, but only once its output is settled. So a walk may have passed
/// that place: it begins anew, in each term, and when jobs were settled since it began.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Up to here nothing is left to do.
    at: Option<Place>,
    begun: Option<Begun>,
}

/// When a walk began.
#[derive(Clone, Copy, Debug)]
struct Begun {
    /// How many jobs were over and settled.
    settled: u64,
    at: Steady,
}

impl Walk {
    /// Goes back to the first.
    fn begin(&mut self, settled: u64, now: Now) {
        let at = now.steady;
        self.at = None;
        self.begun = Some(Begun { settled, at });
    }

    /// Whether it has not begun, or may have passed by jobs and it is time to look for them.
    fn is_stale(&self, settled: u64, now: Now, pause: Duration) -> bool {
        self.begun
            .is_none_or(|begun| settled > begun.settled && now.steady >= begun.at + pause)
    }

    /// Returns when it is stale, unless it has not begun. Before the term so many jobs were settled.
    async fn goes_stale(&self, shared: &Shared, before: u64, pause: Duration) {
        let Some(begun) = self.begun else {
            return std::future::pending().await;
        };
        more_than(shared, before, begun.settled).await;
        sleep_until(&*shared.config.clock, Some(begun.at + pause)).await;
    }
}

/// The walks of a term.
#[derive(Debug, Default)]
pub(super) struct Walks {
    /// Removes what is old.
    old: Walk,
    /// Makes room.
    room: Walk,
    /// Nothing that could go was left when so many jobs were settled.
    exhausted_at: Option<u64>,
}

impl Walks {
    /// Until there may be more to remove than by age alone is known.
    pub(super) async fn wait(&self, shared: &Shared, before: u64) {
        tokio::select! {
            () = self.old.goes_stale(shared, before, OLD_AGAIN) => {}
            () = self.is_room_short(shared, before) => {}
        }
    }

    /// Until the room of output is short, and something may be done about that.
    async fn is_room_short(&self, shared: &Shared, before: u64) {
        if let Some(settled) = self.exhausted_at {
            tokio::select! {
                () = more_than(shared, before, settled) => {}
                () = self.room.goes_stale(shared, before, ROOM_AGAIN) => {}
            }
        }
        shared.log_room.is_wanted().await;
    }
}

/// Until more jobs than that are over and settled.
async fn more_than(shared: &Shared, before: u64, settled: u64) {
    let mut progress = shared.progress.subscribe();
    let more = progress.wait_for(|progress| before + progress.retired > settled);
    if more.await.is_err() {
        std::future::pending::<()>().await;
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
        let (settled, now) = (self.settled(), self.shared.config.clock.now());
        if self.output.old.is_stale(settled, now, OLD_AGAIN) {
            self.output.old.begin(settled, now);
        }
        loop {
            let page = self.ended_after(self.output.old.at.clone()).await?;
            let ended: Vec<u64> = page.iter().filter_map(|job| job.fields.ended).collect();
            let plan = retention.plan_output(self.shared.config.clock.now().wall, &ended);
            let due = page.get(..plan.due).unwrap_or(&page);
            if let Some(last) = due.last() {
                let jobs: Result<Vec<JobRecord>, _> = due.iter().map(read).collect();
                self.forget_output(jobs?, LogRemoval::Age).await?;
                self.output.old.at = place(last);
            }
            if due.len() < FORGET_PORTION {
                return Ok(plan.next);
            }
        }
    }

    /// Removes what ended first until there is room again.
    async fn make_room(&mut self, budget: u64) -> Result<(), Problem> {
        let logs = std::sync::Arc::clone(&self.shared.config.logs);
        let mut used = self.used().await;
        if used < wanted_from(budget) {
            self.shared.log_room.settled();
            self.output.exhausted_at = None;
            return Ok(());
        }
        while used > enough(budget) {
            // Counted before the look: what is settled in between is found by the next one.
            let (settled, now) = (self.settled(), self.shared.config.clock.now());
            if self.output.room.begun.is_none() {
                self.output.room.begin(settled, now);
            }
            let page = self.ended_after(self.output.room.at.clone()).await?;
            if page.is_empty() {
                if self.output.room.is_stale(settled, now, ROOM_AGAIN) {
                    self.output.room.begin(settled, now);
                    continue;
                }
                self.nothing_left(budget, used, settled);
                return Ok(());
            }
            let mut due = Vec::new();
            let mut freed = 0;
            for record in &page {
                let job: JobRecord = read(record)?;
                let mut room = 0;
                for attempt in candidates(&job) {
                    match logs.usage_of(attempt.id).await {
                        // What lies in the archive takes no room here, but for what says where it is.
                        Ok(usage) if usage.archived == 0 => room += usage.bytes,
                        _ => {}
                    }
                }
                if room > 0 {
                    due.push(job);
                    freed += room;
                }
                self.output.room.at = place(record);
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

    /// What is left belongs to jobs that are not over, or not settled.
    fn nothing_left(&mut self, budget: u64, used: u64, settled: u64) {
        if self.output.exhausted_at.is_none() {
            warn!(
                budget,
                used,
                "the output of unfinished jobs takes the whole budget: when it is used up, output waits at its workers"
            );
        }
        self.output.exhausted_at = Some(settled);
        // It stays so until there is room, also if nobody brings more meanwhile.
        self.shared.log_room.want();
    }

    /// How many jobs are over and settled, but for those that were before the term if nobody has counted them.
    fn settled(&self) -> u64 {
        self.finished_jobs + self.shared.progress.borrow().retired
    }

    async fn used(&self) -> u64 {
        let usage = self.shared.config.logs.usage().await;
        usage.map_or(0, |usage| usage.bytes)
    }

    async fn ended_after(&self, after: Option<Place>) -> Result<Vec<Record>, Problem> {
        let store = &self.shared.config.store;
        Ok(store.ended_after(JOB, after, FORGET_PORTION).await?)
    }

    /// Attempts of which output is held.
    async fn with_output(&self, job: &JobRecord) -> Vec<AttemptId> {
        let mut held = Vec::new();
        for attempt in candidates(job) {
            let known = attempt.log_bytes > 0;
            let logs = &self.shared.config.logs;
            if known
                || logs
                    .usage_of(attempt.id)
                    .await
                    .is_ok_and(|usage| usage.logs > 0)
            {
                held.push(attempt.id);
            }
        }
        held
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
            let gone = self.with_output(&job).await;
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

/// Attempts of which output may be held: of what is lost from its beginning on, nobody knows how much there is.
fn candidates(job: &JobRecord) -> impl Iterator<Item = &Attempt> {
    job.attempts.iter().filter(|attempt| match attempt.log {
        LogState::Removed { .. } => false,
        LogState::LostFrom(0) => true,
        _ => attempt.log_bytes > 0,
    })
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
