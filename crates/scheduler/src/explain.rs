//! Why a job waits, read from the tables by which it is matched.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jobyard_core::{
    Explanation, Help, Lack, MAX_COMPLAINING, Requirement, Tag, WaitReason, WaitVerdict,
    WorkerComplaints, WorkerId,
};

use crate::fleet::{Kind, Offer, Worker};
use crate::jobs::{Job, Place};
use crate::lines::Line;
use crate::shapes::Shape;
use crate::{Availability, Scheduler, WantsDraft};

/// How many workers that come near are named.
const MAX_NEAREST: usize = 3;

/// How many workers are named that would only have to be connected, resumed or relieved.
const MAX_NAMED: usize = 3;

/// A waiting job that is asked about.
struct Question<'a> {
    scheduler: &'a Scheduler,
    job: &'a Job,
    line: u32,
    of: &'a Line,
    shape: &'a Shape,
    asks: &'a WantsDraft,
}

impl Scheduler {
    /// Why a waiting job waits.
    pub(crate) fn why(&self, at: u32) -> Explanation {
        let job = self.jobs.job(at);
        let Place::Waiting(line) = job.place else {
            unreachable!("only waiting jobs are asked about");
        };
        let shape = self.shapes.shape(job.common.shape);
        let question = Question {
            scheduler: self,
            job,
            line,
            of: self.lines.line(line),
            shape,
            asks: shape.wants.draft(),
        };
        question.answer()
    }
}

impl Question<'_> {
    fn answer(&self) -> Explanation {
        let able = self.able();
        if able.any() {
            return Explanation::waiting(WaitVerdict::NotNow, self.obstacles_now(&able))
                .with_help(self.help_now(&able));
        }
        let obstacles = self.obstacles();
        let help = self.help();
        if self.scheduler.fleet_known && !self.scheduler.fleet_may_grow {
            return Explanation::waiting(WaitVerdict::Never, obstacles).with_help(help);
        }
        let mut reasons = Vec::new();
        if !self.scheduler.fleet_known {
            reasons.push(WaitReason::FleetUnknown);
        }
        if self.scheduler.fleet_may_grow {
            reasons.push(WaitReason::FleetMayGrow);
        }
        // That a worker is not known says nothing yet.
        reasons.extend(obstacles.into_iter().filter(|reason| {
            !matches!(
                reason,
                WaitReason::NoWorkers | WaitReason::NamedWorkerUnknown { .. }
            )
        }));
        Explanation::waiting(WaitVerdict::NotKnownYet, reasons).with_help(help)
    }

    /// Known workers that suit, and what they could hold.
    fn suiting(&self) -> impl Iterator<Item = (u32, &Worker, &Offer)> {
        let kinds = self.scheduler.fleet.kinds.iter().map(|(_, kind)| kind);
        kinds
            .filter(|kind| kind.meets.contains(self.of.need as usize))
            .flat_map(|kind| &kind.members)
            .map(|&at| {
                (
                    at,
                    self.scheduler.fleet.worker(at),
                    self.scheduler.fleet.offer(at),
                )
            })
    }

    /// The workers that could hold it, by what keeps each from it now.
    fn able(&self) -> Able<'_> {
        let mut able = Able::default();
        let holds_out = self.scheduler.would_hold_out(self.line, self.job.since);
        let holding = self
            .suiting()
            .filter(|(_, _, offer)| offer.total.covers(&self.shape.asks));
        for (at, worker, offer) in holding {
            match worker.availability {
                Availability::Silent => able.silent.push(&offer.name),
                Availability::Suspended => able.suspended.push(&offer.name),
                Availability::Complaining => able.complaining.push(&offer.name),
                Availability::Available => {
                    let warm = holds_out && worker.warm_bytes(&self.asks.warm).is_some();
                    able.warm += u32::from(warm);
                    if offer.total.has_room(&worker.used, &self.shape.asks) {
                        let kept = !self.scheduler.has_room(at, self.line);
                        able.kept += u32::from(kept);
                        able.free += u32::from(!kept);
                        able.warm_free += u32::from(warm && !kept);
                    } else {
                        able.busy += 1;
                    }
                }
            }
        }
        able.silent.sort_unstable();
        able.suspended.sort_unstable();
        able.complaining.sort_unstable();
        able
    }

    /// Why it does not start although some worker could hold it.
    fn obstacles_now(&self, able: &Able<'_>) -> Vec<WaitReason> {
        let mut reasons = self.limits();
        let mut count = |workers: u32, reason: fn(u32) -> WaitReason| {
            if workers > 0 {
                reasons.push(reason(workers));
            }
        };
        count(able.busy, |workers| WaitReason::Busy { workers });
        count(able.kept, |workers| WaitReason::KeptForOthers { workers });
        if able.free > 0 && able.warm_free == 0 {
            count(able.warm, |workers| WaitReason::WaitsForWarm { workers });
        }
        count(counted(able.silent.len()), |workers| WaitReason::Silent {
            workers,
        });
        count(counted(able.suspended.len()), |workers| {
            WaitReason::Suspended { workers }
        });
        reasons.extend(able.complaining());
        reasons.extend(self.reserved());
        let jobs = self.jobs_before();
        if jobs > 0 {
            reasons.push(WaitReason::Behind { jobs });
        }
        let queues = self.queues_before();
        if queues > 0 {
            reasons.push(WaitReason::QueuesFirst { queues });
        }
        reasons
    }

    /// The limits that hold it up.
    fn limits(&self) -> Vec<WaitReason> {
        let mut reasons = Vec::new();
        let queue = self.scheduler.queues.queue(self.job.common.queue);
        if let Some(limit) = queue.settings.max_running.filter(|_| !queue.is_open()) {
            reasons.push(WaitReason::QueueFull {
                queue: queue.name.to_string(),
                running: queue.placed as u64,
                limit,
            });
        }
        if let Some(gate) = self.job.common.gate {
            let (group, running, limit) = self.scheduler.groups.state(gate);
            if running >= limit {
                reasons.push(WaitReason::GroupFull {
                    group: group.to_owned(),
                    running,
                    limit,
                });
            }
        }
        reasons
    }

    fn reserved(&self) -> Option<WaitReason> {
        let at = self
            .of
            .kept_on
            .filter(|_| self.of.first.key == self.job.key)?;
        Some(WaitReason::Reserved {
            worker: self.scheduler.fleet.worker(at).id,
            name: self.scheduler.fleet.offer(at).name.clone(),
        })
    }

    /// How many jobs of its queue go before it. Counts them.
    fn jobs_before(&self) -> u64 {
        let lines = self.scheduler.lines.iter().map(|(_, line)| line);
        lines
            .filter(|line| line.common.queue == self.job.common.queue)
            .map(|line| line.before(self.job.key))
            .sum()
    }

    /// How many queues that have something to start go before its own.
    fn queues_before(&self) -> u64 {
        let queue = self.scheduler.queues.queue(self.job.common.queue);
        queue.turn().map_or(0, |turn| {
            self.scheduler.queues.order.range(..turn).map(|_| 1).sum()
        })
    }

    /// Why no worker could ever hold it. Never empty when none could.
    fn obstacles(&self) -> Vec<WaitReason> {
        let fleet = &self.scheduler.fleet;
        if fleet.len() == 0 {
            return vec![WaitReason::NoWorkers];
        }
        let admitted = self.admitted();
        if let Some(name) = &self.asks.worker
            && admitted.is_empty()
        {
            return vec![WaitReason::NamedWorkerUnknown {
                worker: name.clone(),
            }];
        }
        let mut reasons = self.unmet(&admitted);
        reasons.extend(self.excluded(&admitted));
        reasons.extend(self.too_much());
        reasons.extend(self.nearest(&admitted));
        reasons
    }

    /// The kinds of workers that the job names, or all if it names none, each with one of its members: what a job asks
    /// for is true of all members of a kind or of none.
    fn admitted(&self) -> Vec<(&Kind, &Offer)> {
        let fleet = &self.scheduler.fleet;
        let kinds = fleet.kinds.iter().filter_map(|(_, kind)| {
            let one = *kind.members.first()?;
            let (worker, offer) = (fleet.worker(one), fleet.offer(one));
            let named = |text: &String| offer.name == *text || text.parse() == Ok(worker.id);
            let admitted = self.asks.worker.as_ref().is_none_or(named);
            admitted.then_some((kind, offer))
        });
        kinds.collect()
    }

    /// Each requirement that some of these workers fail, the one that most of them fail first.
    fn unmet(&self, kinds: &[(&Kind, &Offer)]) -> Vec<WaitReason> {
        let all = kinds.iter().map(|(kind, _)| kind.members.len()).sum();
        let mut unmet: Vec<_> = self
            .asks
            .requirements
            .iter()
            .map(|requirement| {
                let fail = kinds
                    .iter()
                    .filter(|(_, one)| !requirement.is_met_by(&one.tags));
                let failing: usize = fail.map(|(kind, _)| kind.members.len()).sum();
                (requirement, failing)
            })
            .filter(|(_, failing)| *failing > 0)
            .collect();
        unmet.sort_by_key(|(_, failing)| Reverse(*failing));
        let reasons =
            unmet
                .into_iter()
                .map(|(requirement, failing)| WaitReason::RequirementUnmet {
                    requirement: requirement.clone(),
                    failing: counted(failing),
                    workers: counted(all),
                });
        reasons.collect()
    }

    /// The exclusive tags that the job does not name, the one that most workers have first.
    fn excluded(&self, kinds: &[(&Kind, &Offer)]) -> Vec<WaitReason> {
        let mut tags: BTreeMap<&Tag, usize> = BTreeMap::new();
        for (kind, _) in kinds {
            for tag in self.unnamed(kind) {
                *tags.entry(tag).or_default() += kind.members.len();
            }
        }
        let mut tags: Vec<_> = tags.into_iter().collect();
        tags.sort_by_key(|(_, workers)| Reverse(*workers));
        let reasons = tags.into_iter().map(|(tag, workers)| WaitReason::Excluded {
            tag: tag.clone(),
            workers: counted(workers),
        });
        reasons.collect()
    }

    /// The exclusive tags of a kind that the job does not name.
    fn unnamed<'k>(&self, kind: &'k Kind) -> impl Iterator<Item = &'k Tag> + use<'k, '_> {
        let requirements = &self.asks.requirements;
        let is_named = |tag: &Tag| requirements.iter().any(|term| term.names(tag));
        kind.exclusive().iter().filter(move |tag| !is_named(tag))
    }

    /// The requirements that a kind fails.
    fn failed(&self, one: &Offer) -> impl Iterator<Item = &Requirement> {
        let requirements = self.asks.requirements.iter();
        requirements.filter(|requirement| !requirement.is_met_by(&one.tags))
    }

    /// The resources of which even an idle worker has too little.
    fn short<'o>(&'o self, offer: &'o Offer) -> impl Iterator<Item = (&'o str, u64, u64)> {
        let resources = self.shape.asks.against(&offer.total);
        resources.filter(|(_, asked, has)| asked > has)
    }

    /// The resources of which no worker that suits otherwise has enough.
    fn too_much(&self) -> Vec<WaitReason> {
        let mut largest: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (_, _, offer) in self.suiting() {
            for (resource, asked, has) in self.shape.asks.against(&offer.total) {
                let entry = largest.entry(resource).or_insert((asked, 0));
                entry.1 = entry.1.max(has);
            }
        }
        let too_much = largest.into_iter().filter(|(_, (asked, has))| asked > has);
        too_much
            .map(|(resource, (asked, largest))| WaitReason::TooMuch {
                resource: resource.to_owned(),
                asked,
                largest,
            })
            .collect()
    }

    /// The workers that lack least; of equal ones the first by name, then by id.
    fn nearest(&self, kinds: &[(&Kind, &Offer)]) -> Vec<WaitReason> {
        let fleet = &self.scheduler.fleet;
        let mut nearest: Vec<(usize, &str, WorkerId, &Kind, &Offer)> = Vec::new();
        for (kind, one) in kinds {
            let lacking = self.failed(one).count() + self.unnamed(kind).count();
            for &at in &kind.members {
                let (worker, offer) = (fleet.worker(at), fleet.offer(at));
                let lacking = lacking + self.short(offer).count();
                let rank = (lacking, &*offer.name, worker.id);
                let place = nearest.partition_point(|(l, n, id, ..)| (*l, *n, *id) < rank);
                if lacking > 0 && place < MAX_NEAREST {
                    nearest.truncate(MAX_NEAREST - 1);
                    nearest.insert(place, (lacking, &*offer.name, worker.id, kind, offer));
                }
            }
        }
        let reasons =
            nearest
                .into_iter()
                .map(|(_, name, worker, kind, offer)| WaitReason::Nearest {
                    worker,
                    name: name.to_owned(),
                    lacks: self.lacks(kind, offer),
                });
        reasons.collect()
    }

    /// What keeps an idle worker from being enough.
    fn lacks(&self, kind: &Kind, offer: &Offer) -> Vec<Lack> {
        let unmet = self.failed(offer).map(|requirement| Lack::Requirement {
            requirement: requirement.clone(),
        });
        let exclusive = self
            .unnamed(kind)
            .map(|tag| Lack::Exclusive { tag: tag.clone() });
        let short = self
            .short(offer)
            .map(|(resource, asked, has)| Lack::Resource {
                resource: resource.to_owned(),
                asked,
                has,
            });
        unmet.chain(exclusive).chain(short).collect()
    }

    /// The exclusive tags that the job would only have to name, and some worker could hold it.
    fn tags_to_name(&self) -> Vec<Tag> {
        let fleet = &self.scheduler.fleet;
        let mut tags = Vec::new();
        for (kind, one) in self.admitted() {
            let mut unnamed = self.unnamed(kind);
            let (Some(tag), None, None) = (unnamed.next(), unnamed.next(), self.failed(one).next())
            else {
                continue;
            };
            let holds = |at: &u32| {
                let offer = fleet.offer(*at);
                is_offered(tag, offer) && self.short(offer).next().is_none()
            };
            if kind.members.iter().any(holds) {
                tags.push(tag.clone());
            }
        }
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// What would help a job that no worker could hold.
    fn help(&self) -> Vec<Help> {
        let mut help = Vec::new();
        // A worker that only wants to be named is nearer than one that has to be bought.
        let tags = self.tags_to_name().into_iter().take(MAX_NAMED);
        help.extend(tags.map(|tag| Help::NameTag { tag }));
        let asks = self.shape.asks.against(&self.shape.asks);
        help.push(Help::Worker {
            requirements: self.asks.requirements.clone(),
            resources: asks
                .filter(|(resource, asked, _)| *resource != "slots" || *asked > 1)
                .map(|(resource, asked, _)| (resource.to_owned(), asked))
                .collect(),
            name: self.asks.worker.clone(),
        });
        help
    }

    /// What would help a job that some worker could hold.
    fn help_now(&self, able: &Able<'_>) -> Vec<Help> {
        let limits = self.limits().into_iter().filter_map(|reason| match reason {
            WaitReason::QueueFull { queue, running, .. } => Some(Help::RaiseQueueLimit {
                queue,
                above: running,
            }),
            WaitReason::GroupFull { group, .. } => Some(Help::FreeGroup { group }),
            _ => None,
        });
        let suspended = able.suspended.iter().take(MAX_NAMED);
        let silent = able.silent.iter().take(MAX_NAMED);
        let resume = suspended.map(|name| Help::Resume {
            name: (*name).to_owned(),
        });
        let connect = silent.map(|name| Help::Connect {
            name: (*name).to_owned(),
        });
        let mut help: Vec<_> = limits.chain(resume).chain(connect).collect();
        if able.busy + able.kept > 0 && able.free == 0 {
            help.extend(
                self.help()
                    .into_iter()
                    .filter(|help| matches!(help, Help::Worker { name: None, .. })),
            );
        }
        let complaining = able.complaining.iter().take(MAX_NAMED);
        help.extend(complaining.map(|name| Help::Relieve {
            name: (*name).to_owned(),
        }));
        help
    }
}

/// The workers that could hold a job.
#[derive(Default)]
struct Able<'a> {
    /// Available, and without room.
    busy: u32,
    /// Available, with room that is kept for others.
    kept: u32,
    /// Available, with room: something else holds the job up.
    free: u32,
    /// Available, and the job holds out for them.
    warm: u32,
    /// Of those, the ones with room.
    warm_free: u32,
    silent: Vec<&'a str>,
    suspended: Vec<&'a str>,
    complaining: Vec<&'a str>,
}

impl Able<'_> {
    fn any(&self) -> bool {
        self.busy + self.kept + self.free > 0
            || !self.silent.is_empty()
            || !self.suspended.is_empty()
            || !self.complaining.is_empty()
    }

    /// What they say is not known here.
    fn complaining(&self) -> Option<WaitReason> {
        let named = self.complaining.iter().take(MAX_COMPLAINING);
        let said = named.map(|name| WorkerComplaints::new((*name).to_owned(), Vec::new()));
        (!self.complaining.is_empty()).then(|| WaitReason::Complaining {
            workers: counted(self.complaining.len()),
            said: said.collect(),
        })
    }
}

/// Whether a job that names this tag would find it on the worker: an exclusive tag need not be one that it offers.
fn is_offered(tag: &Tag, offer: &Offer) -> bool {
    let asked = tag.to_string().parse::<Requirement>();
    asked.is_ok_and(|requirement| requirement.is_met_by(&offer.tags))
}

/// A number of workers. No fleet is larger than the type.
fn counted(workers: usize) -> u32 {
    u32::try_from(workers).unwrap_or(u32::MAX)
}
