//! A shape, filled in.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use fastrand::Rng;
use jobyard_core::{Group, JobId, Preference, QueueSettings, Resources, WorkerId};
use jobyard_scheduler::{JobDemand, Wants, WantsDraft, WorkerOffer};
use uuid::Uuid;

use super::tags::{EVERYBODYS, Traits, requirement};
use super::{Kind, Shape, Target};

/// The workers and the jobs of a shape: made from its numbers alone, the same each time.
#[derive(Debug)]
pub struct Workload {
    shape: Shape,
    traits: Vec<Traits>,
    wants: Vec<Arc<Wants>>,
    /// For each set of tags, the sets of requirements that it meets. Empty if workers are wanted one by one.
    suits: Vec<Vec<u32>>,
    queues: Vec<Arc<str>>,
    slots: usize,
}

impl Workload {
    /// Of this shape.
    pub fn new(shape: &Shape) -> Self {
        let mut rng = Rng::with_seed(7);
        let traits = Traits::distinct(shape.tag_sets, &mut rng);
        let wants = wants(shape, &traits, &mut rng);
        let mut workload = Self {
            shape: shape.clone(),
            suits: suits(shape, &traits, &wants),
            traits,
            wants,
            queues: (0..=shape.queues)
                .map(|at| format!("queue-{at}").into())
                .collect(),
            slots: 0,
        };
        workload.slots = (0..shape.workers)
            .map(|worker| workload.slots_of(worker))
            .sum();
        workload
    }

    /// What it was made of.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The slots of all workers together.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// What a worker has, by its number.
    pub fn offer(&self, worker: usize) -> WorkerOffer {
        let traits = &self.traits[self.tag_set(worker)];
        let name = name(worker);
        let mut offer = WorkerOffer::new(worker_id(worker), name.as_str());
        offer.tags = traits.tags();
        let own = match self.shape.target {
            Target::OwnTag => Some(format!("host={name}")),
            Target::Rare if is_rare(worker) => Some(RARE.to_owned()),
            _ => None,
        };
        if let Some(tag) = own {
            let tag = tag.parse().expect("a tag that is written above");
            offer.tags.insert(tag).expect("few tags");
        }
        offer.capacity = self.capacity(worker);
        if self.shape.warm {
            let mut rng = Rng::with_seed(worker as u64);
            offer.holds = (0..HELD)
                .map(|_| (thing(&mut rng), rng.u64(1 << 20..1 << 32)))
                .collect::<BTreeMap<_, _>>();
        }
        offer
    }

    /// What a worker with other tags has: those of the next number that has others.
    pub fn other_offer(&self, worker: usize) -> WorkerOffer {
        let mut offer = self.offer(worker);
        offer.tags = self.offer(worker + 1).tags;
        offer
    }

    /// What a worker has room for.
    pub fn capacity(&self, worker: usize) -> Resources {
        let traits = &self.traits[self.tag_set(worker)];
        if !self.shape.resources {
            return Resources::of_slots(u32::try_from(self.slots_of(worker)).unwrap_or(1));
        }
        let mut capacity = Resources::of_slots(u32::try_from(traits.cores).unwrap_or(1));
        capacity.cpu_millis = 1_000 * traits.cores;
        capacity.memory_bytes = 4 * traits.cores * GIB;
        if traits.cards() > 0 {
            capacity = capacity.with("gpu", traits.cards());
        }
        capacity
    }

    /// The queues with other than the usual settings.
    pub fn queues(&self) -> impl Iterator<Item = (Arc<str>, QueueSettings)> {
        let shape = &self.shape;
        let even = self.slots / shape.queues;
        (0_u32..).zip(&self.queues).map(move |(at, queue)| {
            let mut settings = QueueSettings::default();
            settings.weight = 1 + at % shape.max_weight;
            settings.class = i32::try_from(at % u32::from(shape.classes)).unwrap_or(0);
            settings.max_running = match shape.cap {
                None if shape.caps && at % 2 == 1 => Some(even as u64 / 2),
                cap => cap,
            };
            (queue.clone(), settings)
        })
    }

    /// Of which kind the next job in the backlog is.
    pub fn waiting(&self, rng: &mut Rng) -> Kind {
        let first = match self.shape.target {
            Target::Rare => 1,
            _ => 0,
        };
        self.kind(rng.usize(first..self.wants.len()), rng)
    }

    /// Of which kind a job is that this worker can run.
    pub fn running(&self, worker: usize, rng: &mut Rng) -> Kind {
        let set = match self.shape.target {
            Target::Name | Target::OwnTag => worker,
            Target::Rare if !is_rare(worker) => 0,
            Target::Rare => rng.usize(1..self.wants.len()),
            Target::Tags => {
                let suits = &self.suits[self.tag_set(worker)];
                suits[rng.usize(..suits.len())] as usize
            }
        };
        self.kind(set, rng)
    }

    /// A job that stands alone in its queue.
    pub fn lonely(&self) -> Kind {
        Kind {
            queue: u16::try_from(self.shape.queues).unwrap_or(u16::MAX),
            ..Kind::default()
        }
    }

    /// What the jobs want, all of it once more: to see what it takes of memory.
    pub fn copy_of_wants(&self) -> Vec<Arc<Wants>> {
        let copy = |wants: &Arc<Wants>| Arc::new(Wants::clone(wants));
        self.wants.iter().map(copy).collect()
    }

    /// The demand that belongs to an id.
    #[inline]
    pub fn demand(&self, job: JobId, order: u64) -> JobDemand {
        let kind = Kind::of(job);
        let mut demand = JobDemand::of(job, order, self.wants[kind.set as usize].clone());
        demand.queue = self.queues[usize::from(kind.queue)].clone();
        demand.priority = i32::from(kind.priority);
        demand.group = self.group(kind);
        demand
    }

    fn group(&self, kind: Kind) -> Option<Group> {
        let limit = self.shape.groups.map_or(0, |groups| groups.limit);
        (kind.group > 0).then(|| Group::new(format!("group-{}", kind.group), limit))
    }

    fn kind(&self, set: usize, rng: &mut Rng) -> Kind {
        Kind {
            set: u32::try_from(set).unwrap_or(0),
            queue: u16::try_from(rng.usize(..self.shape.queues)).unwrap_or(0),
            group: match self.shape.groups {
                Some(groups) if rng.u8(..100) < groups.percent => rng.u16(1..=groups.count),
                _ => 0,
            },
            priority: rng.u8(..self.shape.priorities),
        }
    }

    fn tag_set(&self, worker: usize) -> usize {
        worker % self.traits.len()
    }

    /// 1 to 8, and independent of the tags.
    fn slots_of(&self, worker: usize) -> usize {
        if self.shape.resources {
            return usize::try_from(self.traits[self.tag_set(worker)].cores).unwrap_or(1);
        }
        1 + worker / self.traits.len() % 8
    }
}

/// The id of a worker, by its number: spread as by chance.
pub fn worker_id(worker: usize) -> WorkerId {
    let mut rng = Rng::with_seed(worker as u64);
    let chance = u128::from(rng.u64(..)) << 64 | worker as u128;
    WorkerId::from_uuid(Uuid::from_u128(chance))
}

fn name(worker: usize) -> String {
    format!("worker-{worker}")
}

fn is_rare(worker: usize) -> bool {
    worker.is_multiple_of(RARE_ONE_IN)
}

fn thing(rng: &mut Rng) -> String {
    format!("cache-{}", rng.usize(..THINGS))
}

/// The sets of requirements, all different. The first is met by every worker.
fn wants(shape: &Shape, traits: &[Traits], rng: &mut Rng) -> Vec<Arc<Wants>> {
    if let Target::Name | Target::OwnTag = shape.target {
        return (0..shape.workers)
            .map(|at| one_worker(shape.target, at))
            .collect();
    }
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(shape.sets);
    while all.len() < shape.sets {
        let traits = &traits[rng.usize(..traits.len())];
        let mut draft = WantsDraft::default();
        draft.requirements = match all.len() {
            0 => vec![requirement(EVERYBODYS)],
            _ => traits.requirements(rng),
        };
        if shape.target == Target::Rare && !all.is_empty() {
            // Numbers that hold for all, so that each of the rare workers can run every job.
            draft.requirements = vec![requirement(RARE), requirement(&cores_below(all.len()))];
        }
        if shape.resources {
            draft.resources = resources(traits, rng);
        }
        if shape.preferences {
            let preferred = (1..=2).map(|weight| Preference::new(traits.term(rng), weight));
            draft.prefer = preferred.collect();
        }
        if shape.warm {
            let used = rng.usize(1..=3);
            draft.warm = (0..used).map(|_| thing(rng)).collect::<BTreeSet<_>>();
        }
        let wants = Arc::new(Wants::from(draft));
        if seen.insert(wants.clone()) {
            all.push(wants);
        }
    }
    all
}

fn one_worker(target: Target, worker: usize) -> Arc<Wants> {
    let mut draft = WantsDraft::default();
    if target == Target::Name {
        draft.worker = Some(name(worker));
    } else {
        draft.requirements = vec![requirement(&format!("host={}", name(worker)))];
    }
    Arc::new(draft.into())
}

fn cores_below(different: usize) -> String {
    format!("cores<{}", 1_000 + different)
}

/// As much as every worker has that can have these requirements.
fn resources(traits: &Traits, rng: &mut Rng) -> Resources {
    let mut resources = Resources::of_slots(1);
    resources.cpu_millis = [500, 1_000, 2_000, 4_000][rng.usize(..4)];
    resources.memory_bytes = [1, 2, 4, 8, 16][rng.usize(..5)] * GIB;
    if traits.cards() > 0 && rng.bool() {
        resources = resources.with("gpu", 1);
    }
    resources
}

fn suits(shape: &Shape, traits: &[Traits], wants: &[Arc<Wants>]) -> Vec<Vec<u32>> {
    if shape.target != Target::Tags {
        return Vec::new();
    }
    let of_one = |traits: &Traits| {
        let tags = traits.tags();
        (0_u32..)
            .zip(wants)
            .filter(|(_, wants)| {
                let draft = wants.draft();
                (!draft.resources.counts.contains_key("gpu") || traits.cards() > 0)
                    && draft.requirements.iter().all(|term| term.is_met_by(&tags))
            })
            .map(|(at, _)| at)
            .collect()
    };
    traits.iter().map(of_one).collect()
}

const RARE: &str = "rare";
const RARE_ONE_IN: usize = 100;
const GIB: u64 = 1 << 30;

/// How many things there are that workers may hold and jobs may use.
const THINGS: usize = 500;
/// How many of them one worker holds.
const HELD: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_on_a_worker_is_met_by_it() {
        let mut rng = Rng::with_seed(3);
        for target in [Target::Tags, Target::OwnTag, Target::Rare] {
            let shape = Shape {
                target,
                ..Shape::new(0, 200)
            };
            let workload = Workload::new(&shape);
            for worker in 0..200 {
                let tags = workload.offer(worker).tags;
                let kind = workload.running(worker, &mut rng);
                let wants = workload.wants[kind.set as usize].draft();
                assert!(wants.requirements.iter().all(|term| term.is_met_by(&tags)));
            }
        }
    }

    #[test]
    fn there_are_as_many_sets_as_asked() {
        let shape = Shape {
            sets: 1_000,
            tag_sets: 200,
            ..Shape::new(0, 200)
        };
        let workload = Workload::new(&shape);
        let tags: HashSet<_> = (0..200).map(|at| workload.offer(at).tags).collect();
        assert_eq!((workload.wants.len(), tags.len()), (1_000, 200));
    }
}
