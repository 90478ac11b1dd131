//! Questions to the engine. They change nothing.

use std::collections::BTreeMap;

use jobyard_core::{AdminState, Explanation, JobId, JobState, Now, TokenInfo, Worker, WorkerId};

use super::Engine;
use super::tables::Stage;
use crate::records::Counters;

/// Numbers for the status page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Workers by state name.
    pub workers: BTreeMap<String, u64>,
    /// Unfinished jobs by state name.
    pub jobs: BTreeMap<String, u64>,
    /// Waiting jobs by queue.
    pub queues: BTreeMap<String, u64>,
    /// Jobs that finished in this term.
    pub finished: u64,
}

impl Engine {
    /// Why a job waits; `None` if the engine does not hold it (it is finished, or there is none).
    pub fn explain(&self, job: JobId) -> Option<Explanation> {
        let entry = self.tables.jobs.get(&job)?;
        let waiting = self.scheduler.explain(job);
        Some(waiting.unwrap_or_else(|| Explanation::not_waiting(entry.record.state)))
    }

    /// All workers by name; removed ones only if asked.
    pub fn workers(&self, removed: bool) -> Vec<Worker> {
        let wanted = |id: &WorkerId| {
            let entry = self.tables.workers.get(id);
            entry.is_some_and(|entry| removed || entry.record.admin != AdminState::Removed)
        };
        let mut workers: Vec<Worker> = self
            .tables
            .workers
            .keys()
            .filter(|id| wanted(id))
            .filter_map(|id| self.worker(*id))
            .collect();
        workers.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
        workers
    }

    /// One worker, by name or id.
    pub fn find_worker(&self, name_or_id: &str) -> Option<Worker> {
        self.tables
            .find_worker(name_or_id)
            .and_then(|id| self.worker(id))
    }

    /// One worker as its users see it.
    pub fn worker(&self, id: WorkerId) -> Option<Worker> {
        let entry = self.tables.workers.get(&id)?;
        let mut worker = entry.shown();
        for job in &entry.jobs {
            let Some(job) = self.tables.jobs.get(job) else {
                continue;
            };
            worker.slots_used = worker.slots_used.saturating_add(job.record.demand.slots);
            worker
                .attempts
                .extend(job.current().map(|attempt| attempt.id));
        }
        Some(worker)
    }

    /// All tokens, newest first.
    pub fn tokens(&self) -> Vec<TokenInfo> {
        let mut tokens: Vec<TokenInfo> = self
            .tables
            .tokens
            .values()
            .map(jobyard_pki::TokenRecord::info)
            .collect();
        tokens.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
        tokens
    }

    /// Numbers for the status page. Walks over all that is not finished.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally {
            finished: self.finished,
            ..Tally::default()
        };
        for entry in self.tables.workers.values() {
            let state = entry.shown().state();
            *tally.workers.entry(state.as_str().to_owned()).or_default() += 1;
        }
        for entry in self.tables.jobs.values() {
            if entry.record.state == JobState::Finished {
                continue;
            }
            *tally
                .jobs
                .entry(entry.record.state.as_str().to_owned())
                .or_default() += 1;
            if entry.stage == Stage::Queued {
                *tally
                    .queues
                    .entry(entry.record.demand.queue.clone())
                    .or_default() += 1;
            }
        }
        tally
    }

    /// Where the counters stand.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Checks what must always hold between the tables, for tests and simulations.
    ///
    /// # Errors
    ///
    /// Names the first thing that does not hold.
    pub fn audit_tables(&self, _now: Now) -> Result<(), String> {
        for (id, entry) in &self.tables.jobs {
            if let Some(worker) = entry.stage.worker() {
                let held = self
                    .tables
                    .workers
                    .get(&worker)
                    .map(|worker| worker.jobs.contains(id));
                if held != Some(true) {
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
        }
        for (id, worker) in &self.tables.workers {
            let used: u64 = worker
                .jobs
                .iter()
                .filter_map(|job| self.tables.jobs.get(job))
                .map(|job| u64::from(job.record.demand.slots))
                .sum();
            let counted = self.scheduler.worker(*id).map(|worker| worker.used);
            if worker.record.admin != AdminState::Removed && counted != Some(used) {
                return Err(format!(
                    "worker {id}: {used} slots are used, the scheduler counts {counted:?}"
                ));
            }
        }
        Ok(())
    }
}
