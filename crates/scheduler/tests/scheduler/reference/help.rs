//! Whether what is said to help does.

use jobyard_core::{Help, QueueSettings, Requirement, Resources, TagSet, Test, WorkerId};
use jobyard_scheduler::{Availability, Event, WantsDraft, WorkerOffer};
use uuid::Uuid;

use super::matching::may_hold;
use super::{Job, Reference, Worker};

impl Reference {
    /// Whether this, done in a world without other waiting jobs, brings the job nearer to its start: what it takes away
    /// held the job up.
    pub(crate) fn does_help(&self, help: &Help, job: &Job) -> bool {
        match help {
            Help::Worker {
                requirements,
                resources,
                name,
            } => {
                let draft = job.demand.wants.draft();
                *requirements == draft.requirements
                    && *name == draft.worker
                    && would_hold(&offer_of(requirements, resources, name.as_ref()), job)
            }
            Help::Connect { name } => self.is_kept_away(name, Availability::Silent, job),
            Help::Relieve { name } => self.is_kept_away(name, Availability::Complaining, job),
            Help::Resume { name } => self.is_kept_away(name, Availability::Suspended, job),
            Help::RaiseQueueLimit { queue, above } => {
                let mut raised = self.clone();
                let mut settings: QueueSettings = self.queues.queue(queue).settings;
                settings.max_running = Some(above + 1);
                raised.queues.set(self.now, &job.demand.queue, settings);
                *queue == *job.demand.queue
                    && !self.is_queue_open(queue)
                    && raised.is_queue_open(queue)
            }
            Help::FreeGroup { group } => {
                let own = job.demand.group.as_ref();
                own.is_some_and(|own| own.key == *group) && !self.is_group_open(job)
            }
            Help::NameTag { tag } => {
                let naming: Requirement = tag.to_string().parse().expect("a requirement");
                let mut changed = job.clone();
                let mut draft: WantsDraft = job.demand.wants.draft().clone();
                draft.requirements.push(naming);
                changed.demand.wants = std::sync::Arc::new(draft.into());
                self.able(job).next().is_none() && self.able(&changed).next().is_some()
            }
            _ => false,
        }
    }

    fn is_kept_away(&self, name: &str, why: Availability, job: &Job) -> bool {
        let away = |worker: &Worker| worker.offer.name == name && worker.availability == why;
        self.able(job).any(away)
    }

    /// What follows if the help is taken in a world where nothing else waits.
    pub(crate) fn starts_after(&self, helps: &[Help], job: &Job) -> bool {
        let mut world = self.clone();
        world
            .jobs
            .retain(|other| !other.waits() || other.id() == job.id());
        for help in helps {
            match help {
                Help::Worker {
                    requirements,
                    resources,
                    name,
                } => {
                    let offer = offer_of(requirements, resources, name.as_ref());
                    let worker = offer.worker;
                    world.handle(self.now, &Event::WorkerJoined(offer));
                    let availability = Availability::Available;
                    let event = Event::WorkerAvailability {
                        worker,
                        availability,
                    };
                    world.handle(self.now, &event);
                }
                Help::RaiseQueueLimit { queue, above } => {
                    let mut settings = world.queues.queue(queue).settings;
                    settings.max_running = Some(above + 1);
                    let queue = job.demand.queue.clone();
                    world.handle(self.now, &Event::QueueSet { queue, settings });
                }
                _ => {}
            }
        }
        world.job(job.id()).is_some_and(|job| !job.waits())
    }
}

/// Whether a worker that is made after the words of a help could hold the job, unless the job contradicts itself.
fn would_hold(offer: &WorkerOffer, job: &Job) -> bool {
    let mut requirements = job.demand.wants.draft().requirements.iter();
    let contradicts = requirements.any(|requirement| !requirement.is_met_by(&offer.tags));
    contradicts || may_hold(offer, &job.demand)
}

/// A worker that has exactly what is said.
fn offer_of(
    requirements: &[Requirement],
    resources: &[(String, u64)],
    name: Option<&String>,
) -> WorkerOffer {
    let id = WorkerId::from_uuid(Uuid::from_u128(u128::MAX));
    let mut offer = WorkerOffer::new(id, name.cloned().unwrap_or_default());
    if let Some(id) = name.and_then(|name| name.parse().ok()) {
        offer.worker = id;
    }
    offer.tags = tags_for(requirements);
    for (resource, amount) in resources {
        give(&mut offer.capacity, resource, *amount);
    }
    offer
}

fn give(capacity: &mut Resources, resource: &str, amount: u64) {
    match resource {
        "slots" => capacity.slots = u32::try_from(amount).expect("a number of slots"),
        "cpu" => capacity.cpu_millis = amount,
        "memory" => capacity.memory_bytes = amount,
        name => *capacity = std::mem::take(capacity).with(name, amount),
    }
}

/// Tags that meet what is asked, as far as that is possible at all.
fn tags_for(requirements: &[Requirement]) -> TagSet {
    let mut tags = TagSet::new();
    for requirement in requirements {
        let key = requirement.key();
        let texts = match requirement.test() {
            Test::Present => vec![key.to_owned()],
            Test::AnyOf(values) => values
                .iter()
                .map(|value| format!("{key}={value}"))
                .collect(),
            Test::Compare(..) => (0..20).map(|number| format!("{key}={number}")).collect(),
            _ => Vec::new(),
        };
        for text in texts {
            tags.insert(text.parse().expect("a tag")).expect("room");
        }
    }
    tags
}
