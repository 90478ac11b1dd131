//! Why a job waits, read from the tables by which it is matched.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jobyard_core::{Explanation, Help, Lack, Requirement, Tag, WaitReason, WaitVerdict};

use crate::fleet::{Offer, Worker};
use crate::jobs::{Job, Place};
use crate::lines::Line;
use crate::shapes::Shape;
use crate::{Availability, Scheduler, WantsDraft};

/// How many workers that come near are named.
const MAX_NEAREST: usize = 3;

/// How many workers are named that would only have to be connected or resumed.
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

    /// The workers that the job names, or all if it names none.
    fn admitted(&self) -> Vec<(u32, &Worker, &Offer)> {
        let named = |worker: &Worker, offer: &Offer| {
            self.asks
                .worker
                .as_ref()
                .is_none_or(|text| offer.name == *text || text.parse() == Ok(worker.id))
        };
        let workers = self.scheduler.fleet.iter();
        workers
            .filter(|(_, worker, offer)| named(worker, offer))
            .collect()
    }

    /// Each requirement that some of these workers fail, the one that most of them fail first.
    fn unmet(&self, workers: &[(u32, &Worker, &Offer)]) -> Vec<WaitReason> {
        let mut unmet: Vec<_> = self
            .asks
            .requirements
            .iter()
            .map(|requirement| {
                let fails =
                    |(_, _, offer): &&(u32, &Worker, &Offer)| !requirement.is_met_by(&offer.tags);
                (requirement, workers.iter().filter(fails).count())
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
                    workers: counted(workers.len()),
                });
        reasons.collect()
    }

    /// The exclusive tags that the job does not name, the one that most workers have first.
    fn excluded(&self, workers: &[(u32, &Worker, &Offer)]) -> Vec<WaitReason> {
        let mut tags: BTreeMap<&Tag, usize> = BTreeMap::new();
        for (at, _, _) in workers {
            for tag in self.unnamed(*at) {
                *tags.entry(tag).or_default() += 1;
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

    /// The exclusive tags of a worker that the job does not name.
    fn unnamed(&self, at: u32) -> impl Iterator<Item = &Tag> {
        let exclusive = self.scheduler.fleet.kind_of(at).exclusive().iter();
        exclusive.filter(|tag| {
            !self
                .asks
                .requirements
                .iter()
                .any(|requirement| requirement.names(tag))
        })
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
    fn nearest(&self, workers: &[(u32, &Worker, &Offer)]) -> Vec<WaitReason> {
        let mut nearest: Vec<_> = workers
            .iter()
            .map(|(at, worker, offer)| (self.lacks(*at, offer), worker, offer))
            .filter(|(lacks, ..)| !lacks.is_empty())
            .collect();
        let order = |(lacks, worker, offer): &(Vec<Lack>, &&Worker, &&Offer)| {
            (lacks.len(), offer.name.clone(), worker.id)
        };
        if nearest.len() > MAX_NEAREST {
            nearest.select_nth_unstable_by_key(MAX_NEAREST, order);
            nearest.truncate(MAX_NEAREST);
        }
        nearest.sort_by_key(order);
        let reasons = nearest
            .into_iter()
            .map(|(lacks, worker, offer)| WaitReason::Nearest {
                worker: worker.id,
                name: offer.name.clone(),
                lacks,
            });
        reasons.collect()
    }

    /// What keeps an idle worker from being enough.
    fn lacks(&self, at: u32, offer: &Offer) -> Vec<Lack> {
        let unmet = self
            .asks
            .requirements
            .iter()
            .filter(|requirement| !requirement.is_met_by(&offer.tags))
            .map(|requirement| Lack::Requirement {
                requirement: requirement.clone(),
            });
        let exclusive = self
            .unnamed(at)
            .map(|tag| Lack::Exclusive { tag: tag.clone() });
        let short = self
            .shape
            .asks
            .against(&offer.total)
            .filter(|(_, asked, has)| asked > has)
            .map(|(resource, asked, has)| Lack::Resource {
                resource: resource.to_owned(),
                asked,
                has,
            });
        unmet.chain(exclusive).chain(short).collect()
    }

    /// What would help a job that no worker could hold.
    fn help(&self) -> Vec<Help> {
        let mut help = Vec::new();
        // A worker that only wants to be named is nearer than one that has to be bought.
        let mut tags: Vec<_> = self
            .admitted()
            .into_iter()
            .filter_map(|(at, _, offer)| match &self.lacks(at, offer)[..] {
                [Lack::Exclusive { tag }] if is_offered(tag, offer) => Some(tag.clone()),
                _ => None,
            })
            .collect();
        tags.sort_unstable();
        tags.dedup();
        help.extend(
            tags.into_iter()
                .take(MAX_NAMED)
                .map(|tag| Help::NameTag { tag }),
        );
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
}

impl Able<'_> {
    fn any(&self) -> bool {
        self.busy + self.kept + self.free > 0
            || !self.silent.is_empty()
            || !self.suspended.is_empty()
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
