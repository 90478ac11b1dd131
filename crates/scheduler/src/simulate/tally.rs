//! What is counted while a load runs.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{JobId, ResourceKind, Resources, Steady, WorkerId};

use super::load::Load;
use super::report::{NeverStarted, QueueReport, Report, Waits, WorkerReport};
use super::timeline::moment;
use crate::Scheduler;

/// What is known of each job and worker so far. Jobs and workers go by their place in the load.
pub(super) struct Tally<'a> {
    load: &'a Load,
    jobs: Places<JobId>,
    workers: Places<WorkerId>,
    fates: Vec<Fate>,
    /// When the last job of each worker ends, and how many it had.
    last_ends: Vec<(Steady, u64)>,
    peak_queued: usize,
}

/// What has become of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Waits,
    GivenUp,
    Started { at: Steady, worker: usize },
}

/// From ids to places in the load.
struct Places<T>(Vec<(T, usize)>);

impl<T: Ord + Copy> Places<T> {
    fn new(ids: impl Iterator<Item = T>) -> Self {
        let mut places: Vec<_> = ids.zip(0..).collect();
        places.sort_unstable();
        Self(places)
    }

    fn of(&self, id: T) -> Option<usize> {
        let found = self.0.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.0[found].1)
    }

    /// An id that stands there twice.
    fn duplicate(&self) -> Option<T> {
        let twice = self.0.windows(2).find(|pair| pair[0].0 == pair[1].0)?;
        Some(twice[0].0)
    }
}

impl<'a> Tally<'a> {
    /// Nothing has happened yet. The error is the id of two jobs.
    pub(super) fn new(load: &'a Load) -> Result<Self, JobId> {
        let jobs = Places::new(load.jobs.iter().map(|job| job.demand.job));
        match jobs.duplicate() {
            Some(job) => Err(job),
            None => Ok(Self {
                load,
                jobs,
                workers: Places::new(load.workers.iter().map(|worker| worker.offer.worker)),
                fates: vec![Fate::Waits; load.jobs.len()],
                last_ends: vec![(moment(Duration::ZERO), 0); load.workers.len()],
                peak_queued: 0,
            }),
        }
    }

    /// A job gets its worker. When it ends, and its place in the load.
    pub(super) fn start(
        &mut self,
        job: JobId,
        worker: WorkerId,
        at: Steady,
    ) -> Option<(usize, Steady)> {
        let (job, worker) = (self.jobs.of(job)?, self.workers.of(worker)?);
        self.fates[job] = Fate::Started { at, worker };
        let end = at + self.load.jobs[job].runs_for;
        let (last, jobs) = &mut self.last_ends[worker];
        *last = end.max(*last);
        *jobs += 1;
        Some((job, end))
    }

    /// The scheduler gives a job up.
    pub(super) fn give_up(&mut self, job: JobId) {
        if let Some(job) = self.jobs.of(job) {
            self.fates[job] = Fate::GivenUp;
        }
    }

    /// So many wait now.
    pub(super) fn waiting(&mut self, queued: usize) {
        self.peak_queued = self.peak_queued.max(queued);
    }

    /// The sum of it all. The scheduler says why what still waits does.
    pub(super) fn report(&self, scheduler: &Scheduler) -> Report {
        let arrivals = self.load.jobs.iter().map(|job| moment(job.arrives_at));
        let ends = self.last_ends.iter().filter(|(_, jobs)| *jobs > 0);
        let begin = arrivals.min().unwrap_or_default();
        let end = ends.map(|(end, _)| *end).max().unwrap_or(begin);
        let started = |fate: &&Fate| matches!(fate, Fate::Started { .. });
        Report {
            jobs: self.fates.len() as u64,
            finished: self.fates.iter().filter(started).count() as u64,
            makespan: end.since(begin),
            peak_queued: self.peak_queued as u64,
            queues: self.queues(scheduler),
            workers: self.workers(begin, end),
        }
    }

    fn queues(&self, scheduler: &Scheduler) -> Vec<QueueReport> {
        let fleet = self
            .load
            .workers
            .iter()
            .map(|worker| &worker.offer.capacity);
        let fleet = total(fleet);
        let mut queues: BTreeMap<&str, QueueSum> = BTreeMap::new();
        for (job, fate) in self.load.jobs.iter().zip(&self.fates) {
            let queue = queues.entry(&job.demand.queue).or_default();
            queue.jobs += 1;
            match *fate {
                Fate::Started { at, .. } => {
                    let wait = at.since(moment(job.arrives_at));
                    queue.waits.push(micros(wait));
                    let part = dominant_part(&job.demand.wants.draft().resources, &fleet);
                    queue.use_of_fleet += u128::from(part) * u128::from(micros(job.runs_for));
                }
                Fate::GivenUp => queue.given_up += 1,
                Fate::Waits => {
                    let first = queue.first_waiting.get_or_insert(job);
                    if job.arrives_at < first.arrives_at {
                        *first = job;
                    }
                }
            }
        }
        let all = queues.values().map(|queue| queue.use_of_fleet).sum();
        let report = |(name, queue): (&str, QueueSum<'_>)| queue.report(name, all, scheduler);
        queues.into_iter().map(report).collect()
    }

    fn workers(&self, begin: Steady, end: Steady) -> Vec<WorkerReport> {
        let mut taken: Vec<BTreeMap<ResourceKind<'_>, u128>> =
            vec![BTreeMap::new(); self.load.workers.len()];
        for (job, fate) in self.load.jobs.iter().zip(&self.fates) {
            let Fate::Started { worker, .. } = *fate else {
                continue;
            };
            let time = u128::from(micros(job.runs_for));
            for (kind, amount) in job.demand.wants.draft().resources.iter() {
                *taken[worker].entry(kind).or_default() += u128::from(amount) * time;
            }
        }
        let workers = self.load.workers.iter().zip(&self.last_ends);
        let workers = workers.zip(taken).map(|((worker, (last, jobs)), taken)| {
            let joined = moment(worker.joins_at).max(begin);
            let left = worker.leaves_at.map_or(end, moment);
            let present = left.max(*last).min(end).since(joined);
            let part = |(kind, amount): (ResourceKind<'_>, u64)| {
                let taken = taken.get(&kind).copied().unwrap_or(0);
                let there_was = u128::from(amount) * u128::from(micros(present));
                (kind.to_string(), thousandths(taken, there_was))
            };
            WorkerReport {
                worker: worker.offer.worker,
                name: worker.offer.name.clone(),
                jobs: *jobs,
                present,
                used: worker.offer.capacity.iter().map(part).collect(),
            }
        });
        workers.collect()
    }
}

/// What is known of one queue.
#[derive(Default)]
struct QueueSum<'a> {
    jobs: u64,
    given_up: u64,
    waits: Vec<u64>,
    use_of_fleet: u128,
    first_waiting: Option<&'a super::load::LoadJob>,
}

impl QueueSum<'_> {
    fn report(self, name: &str, all_use: u128, scheduler: &Scheduler) -> QueueReport {
        let started = self.waits.len() as u64;
        let never = self.jobs - started;
        let example = self.first_waiting.and_then(|job| {
            let explanation = scheduler.explain(job.demand.job)?;
            Some((job.demand.job, explanation))
        });
        QueueReport {
            queue: name.to_owned(),
            jobs: self.jobs,
            started,
            never_started: (never > 0).then_some(NeverStarted {
                jobs: never,
                given_up: self.given_up,
                example,
            }),
            waits: Waits::of(self.waits),
            share: thousandths(self.use_of_fleet, all_use),
        }
    }
}

/// What all workers have together.
fn total<'a>(capacities: impl Iterator<Item = &'a Resources>) -> BTreeMap<ResourceKind<'a>, u64> {
    let mut total = BTreeMap::<_, u64>::new();
    for (kind, amount) in capacities.flat_map(Resources::iter) {
        let sum = total.entry(kind).or_default();
        *sum = sum.saturating_add(amount);
    }
    total
}

/// The largest part of any resource of the fleet, in parts of 2^32.
fn dominant_part(resources: &Resources, fleet: &BTreeMap<ResourceKind<'_>, u64>) -> u64 {
    let parts = resources.iter().filter_map(|(kind, amount)| {
        let there_is = u128::from(*fleet.get(&kind)?);
        let part = (u128::from(amount) << 32).checked_div(there_is)?;
        u64::try_from(part.min(1 << 32)).ok()
    });
    parts.max().unwrap_or(0)
}

fn thousandths(part: u128, of: u128) -> u32 {
    let thousandths = (part * 1000).checked_div(of).unwrap_or(0);
    u32::try_from(thousandths).unwrap_or(u32::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
