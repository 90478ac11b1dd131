//! Questions to the engine. They change nothing.

use std::collections::BTreeMap;

use jobyard_core::{
    AdminState, Explanation, JobId, JobState, Now, TokenInfo, WaitReason, WaitVerdict, Worker,
    WorkerComplaints, WorkerId,
};

use super::Engine;
use super::timers::Timer;
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
    pub fn explain(&self, now: Now, job: JobId) -> Option<Explanation> {
        let entry = self.tables.jobs.get(&job)?;
        if let (Some(due), Some(failed)) = (self.timers.due(Timer::RetryDue(job)), entry.current())
        {
            let (left, after) = (due - now.steady, failed.id.number);
            let reasons = vec![WaitReason::RetryWait { left, after }];
            return Some(Explanation::waiting(WaitVerdict::NotNow, reasons));
        }
        let Some(mut waiting) = self.scheduler.explain(job) else {
            return Some(Explanation::not_waiting(entry.record.state));
        };
        for reason in &mut waiting.reasons {
            if let WaitReason::Complaining { said, .. } = reason {
                self.quote_complaints(said);
            }
        }
        Some(waiting)
    }

    /// What the workers of these names say: the scheduler knows only that they do.
    fn quote_complaints(&self, said: &mut [WorkerComplaints]) {
        for worker in said {
            let id = self.tables.names.get(&worker.name);
            if let Some(entry) = id.and_then(|id| self.tables.workers.get(id)) {
                worker.complaints.clone_from(&entry.complaints);
            }
        }
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
        let jobs = entry
            .jobs
            .iter()
            .filter_map(|job| self.tables.jobs.get(job));
        let current = jobs.filter_map(|job| job.current());
        worker.attempts = current.map(|attempt| attempt.id).collect();
        worker.used = self
            .scheduler
            .worker(id)
            .map(|known| known.used)
            .unwrap_or_default();
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

    /// Numbers for the status page. Walks over workers and queues, not over jobs.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally {
            finished: self.finished,
            ..Tally::default()
        };
        for entry in self.tables.workers.values() {
            let state = entry.state().as_str().to_owned();
            *tally.workers.entry(state).or_default() += 1;
        }
        let finished = JobState::Finished.as_str();
        let unfinished = self.tables.states.iter();
        tally.jobs = unfinished
            .filter(|(state, _)| *state != finished)
            .map(|(state, count)| (state.to_owned(), count))
            .collect();
        let waiting = self.scheduler.queues();
        tally.queues = waiting
            .filter(|(_, queue)| queue.queued > 0)
            .map(|(name, queue)| (name.to_owned(), queue.queued as u64))
            .collect();
        tally
    }

    /// How many jobs were over and settled in this term.
    pub fn retired(&self) -> u64 {
        self.retired
    }

    /// Where the counters stand.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
