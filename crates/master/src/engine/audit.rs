//! What must always hold between the tables, for tests and simulations.

use std::collections::BTreeMap;

use jobyard_core::{AdminState, JobId, Now, Resources, WorkerId};

use super::Engine;
use super::state_counts::StateCounts;
use super::tables::{JobEntry, Stage, WorkerEntry};
use super::timers::Timer;

impl Engine {
    /// The name of the stage of a job, for tests and simulations; `"none"` if the engine does not hold it.
    pub fn stage_of(&self, job: JobId) -> &'static str {
        let entry = self.tables.jobs.get(&job);
        entry.map_or("none", |entry| entry.stage.name())
    }

    /// The jobs that the engine holds, for tests and simulations.
    pub fn unsettled(&self) -> impl Iterator<Item = JobId> + '_ {
        self.tables.jobs.keys().copied()
    }

    /// Checks what must always hold between the tables. Walks over all of them.
    ///
    /// # Errors
    ///
    /// Names the first thing that does not hold.
    pub fn audit_tables(&self, _now: Now) -> Result<(), String> {
        let mut states = StateCounts::default();
        for (id, entry) in &self.tables.jobs {
            states.add(entry.record.state);
            self.audit_job(*id, entry)?;
        }
        if states != self.tables.states {
            let counted = &self.tables.states;
            return Err(format!("jobs by state: {states:?}, counted {counted:?}"));
        }
        let waiting = self.tables.jobs.values();
        let waiting = waiting.filter(|entry| entry.stage == Stage::Queued).count();
        let queued = self.scheduler.queued();
        if waiting != queued {
            return Err(format!("{waiting} jobs wait, the scheduler has {queued}"));
        }
        for (id, worker) in &self.tables.workers {
            self.audit_worker(*id, worker)?;
        }
        Ok(())
    }

    fn audit_job(&self, id: JobId, entry: &JobEntry) -> Result<(), String> {
        let waits = entry.stage == Stage::Backoff;
        let is_due = self.timers.due(Timer::RetryDue(id)).is_some();
        let record = &entry.record;
        if [
            is_due,
            record.retry_left.is_some(),
            record.retry_at.is_some(),
        ] != [waits; 3]
        {
            return Err(format!(
                "job {id} is {:?}, and its wait for another attempt says otherwise: {record:?}",
                entry.stage
            ));
        }
        if record.drained && entry.stage.worker().is_none() {
            return Err(format!("job {id} is stopped on a worker that it is not on"));
        }
        if let Some(worker) = entry.stage.worker() {
            let holder = self.tables.workers.get(&worker);
            if !holder.is_some_and(|holder| holder.jobs.contains(&id)) {
                return Err(format!(
                    "job {id} is with worker {worker}, which does not list it"
                ));
            }
            if entry
                .current()
                .is_none_or(|current| current.outcome.is_some())
            {
                return Err(format!(
                    "job {id} is placed, and its attempt has an outcome or is missing"
                ));
            }
        }
        for pair in entry.record.attempts.windows(2) {
            if pair[0].id.number >= pair[1].id.number || pair[0].outcome.is_none() {
                return Err(format!(
                    "the attempts of job {id} overlap or are out of order"
                ));
            }
        }
        Ok(())
    }

    fn audit_worker(&self, id: WorkerId, worker: &WorkerEntry) -> Result<(), String> {
        if worker.record.admin == AdminState::Removed {
            return Ok(());
        }
        let drains = worker.record.admin == AdminState::Draining;
        if drains != worker.record.drain.is_some() || !drains && !worker.drain_waiters.is_empty() {
            return Err(format!("worker {id} drains, and does not: {worker:?}"));
        }
        if !worker.drain_waiters.is_empty() && !self.may_begin_something(id) {
            return Err(format!(
                "the drain of worker {id} is done, and somebody waits for it"
            ));
        }
        let jobs = worker
            .jobs
            .iter()
            .filter_map(|job| self.tables.jobs.get(job));
        let used = total(jobs.map(|job| job.record.demand.resources()));
        let known = self.scheduler.worker(id);
        let told = known.as_ref().map(|known| known.availability);
        if told != Some(worker.availability()) {
            let is = worker.availability();
            return Err(format!("worker {id} is {is:?}, the scheduler has {told:?}"));
        }
        if worker.session.is_none() && !worker.complaints.is_empty() {
            return Err(format!("worker {id} complains, and has no session"));
        }
        let counted = known.as_ref().map(|known| total([&known.used]));
        if counted.as_ref() == Some(&used) {
            Ok(())
        } else {
            Err(format!(
                "worker {id}: {used:?} is used, the scheduler counts {counted:?}"
            ))
        }
    }
}

fn total<'a>(all: impl IntoIterator<Item = &'a Resources>) -> BTreeMap<String, u64> {
    let mut total = BTreeMap::new();
    for (kind, amount) in all.into_iter().flat_map(Resources::iter) {
        *total.entry(kind.to_string()).or_default() += amount;
    }
    total
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Backoff => "backoff",
            Self::Sent { .. } => "sent",
            Self::Running { .. } => "running",
            Self::Stopping { .. } => "stopping",
            Self::Draining => "draining",
            Self::Finished => "finished",
        }
    }
}
