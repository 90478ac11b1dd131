//! A yard that is never out of work: queues that always have waiting jobs, which run for known times.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::Steady;
use jobyard_scheduler::{JobDemand, Policy, Wants};

use crate::yard::{Yard, demand};

/// A kind of job that is submitted again and again.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) queue: &'static str,
    pub(crate) wants: Arc<Wants>,
    /// What the jobs say, and how long they run.
    pub(crate) times: fn(u64) -> (Option<Duration>, Duration),
}

pub(crate) struct Backlog {
    pub(crate) yard: Yard,
    streams: Vec<Stream>,
    next: u64,
    waiting: BTreeMap<u64, usize>,
    pub(crate) running: BTreeMap<u64, Run>,
    ends: BTreeSet<(Steady, u64)>,
}

/// A job that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) stream: usize,
    pub(crate) worker: u128,
    pub(crate) since: Steady,
}

impl Backlog {
    /// The numbers of its jobs begin at 1000.
    pub(crate) fn new(change: impl FnOnce(&mut Policy), streams: Vec<Stream>) -> Self {
        Self {
            yard: Yard::with(change),
            streams,
            next: 1000,
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            ends: BTreeSet::new(),
        }
    }

    /// Queues so many jobs of each stream.
    pub(crate) fn fill(&mut self, jobs: usize) {
        for _ in 0..jobs {
            for stream in 0..self.streams.len() {
                self.submit(stream);
            }
        }
    }

    pub(crate) fn submit(&mut self, stream: usize) {
        let number = self.next;
        self.next += 1;
        let of = &self.streams[stream];
        let mut demand: JobDemand = demand(number, "", 1);
        demand.queue = of.queue.into();
        demand.wants = of.wants.clone();
        demand.expected = (of.times)(number).0;
        self.waiting.insert(number, stream);
        let assigned = self.yard.tell(jobyard_scheduler::Event::JobQueued(demand));
        self.begin(&assigned);
    }

    pub(crate) fn worker(&mut self, number: u128, tags: &str, slots: u32) {
        let assigned = self.yard.worker(number, tags, slots);
        self.begin(&assigned);
    }

    fn begin(&mut self, assigned: &[(u128, u128)]) {
        for (job, worker) in assigned {
            let number = u64::try_from(*job).expect("a small number");
            let Some(stream) = self.waiting.remove(&number) else {
                continue;
            };
            let since = self.yard.now;
            let worker = *worker;
            self.running.insert(
                number,
                Run {
                    stream,
                    worker,
                    since,
                },
            );
            let runs = (self.streams[stream].times)(number).1;
            self.ends.insert((since + runs, number));
        }
    }

    /// A job that is of no stream ends.
    pub(crate) fn end_other(&mut self, number: u128) -> Vec<(u128, u128)> {
        let assigned = self.yard.release(number);
        self.begin(&assigned);
        assigned
    }

    /// When the next job ends.
    pub(crate) fn next_end(&self) -> Option<Steady> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// The next job ends, and another of its stream is queued. Gives the assignments that its end brought, with the job
    /// that ended.
    pub(crate) fn step(&mut self) -> (u64, Run, Vec<(u128, u128)>) {
        let (end, number) = self.ends.pop_first().expect("something runs");
        self.yard.now = end;
        let run = self.running.remove(&number).expect("it runs");
        let assigned = self.yard.release(number.into());
        self.begin(&assigned);
        self.submit(run.stream);
        (number, run, assigned)
    }
}

/// A number that looks like chance and is the same each time.
pub(crate) fn scatter(number: u64, below: u64) -> u64 {
    let place = jobyard_scheduler::ring_place(number.into());
    u64::try_from(place >> 64).expect("half of the bits") % below
}
