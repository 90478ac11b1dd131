//! Bytes into events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{
    Group, JobId, Now, Preference, QueueSettings, Requirement, Resources, Steady, TagSet,
    Timestamp, WorkerId,
};

use super::reader::{Broken, Reader, id_of};
use super::table::{MAX_TABLE_TEXT, Values};
use super::{has, kind, placement};
use crate::{
    Availability, Event, JobDemand, Placement, Policy, Score, Wants, WantsDraft, WorkerOffer,
};

/// Reads the bodies of records, each in the light of those before it.
#[derive(Debug)]
pub(super) struct Decoder {
    texts: Values<Arc<str>>,
    wants: Values<Arc<Wants>>,
    now: Now,
    order: u64,
    job: u128,
    worker: u128,
}

/// Why there is no policy in the first record.
pub(super) enum NoPolicy {
    Broken,
    ScoreNeeded,
}

impl From<Broken> for NoPolicy {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

/// What followed from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    pub(super) decisions: u64,
    /// Of none, there is none.
    pub(super) digest: Option<[u8; 4]>,
}

/// The first record. The seed of the hash tables is not in it.
pub(super) fn policy(
    body: &mut Reader<'_>,
    score: Option<Arc<dyn Score>>,
) -> Result<Policy, NoPolicy> {
    let placement = match body.byte()? {
        placement::SPREAD => Placement::Spread,
        placement::PACK => Placement::Pack,
        placement::WARM => Placement::Warm {
            patience: duration(body)?,
        },
        placement::SCORED => Placement::Scored(score.ok_or(NoPolicy::ScoreNeeded)?),
        _ => return Err(NoPolicy::Broken),
    };
    let policy = Policy {
        placement,
        reserve_after: maybe(body)?,
        max_reservations: body.small()?,
        ageing: maybe(body)?,
        give_up_after: maybe(body)?,
        hash_seed: 0,
    };
    if body.is_empty() {
        Ok(policy)
    } else {
        Err(NoPolicy::Broken)
    }
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            texts: Values::new(),
            wants: Values::new(),
            now: Now::default(),
            order: 0,
            job: 0,
            worker: 0,
        }
    }

    /// A whole record.
    pub(super) fn record(
        &mut self,
        body: &mut Reader<'_>,
    ) -> Result<(Now, Event, Followed), Broken> {
        let kind = body.byte()?;
        self.time(body)?;
        let event = self.event(kind, body)?;
        let decisions = body.number()?;
        let digest = if decisions > 0 {
            Some(body.four()?)
        } else {
            None
        };
        if !body.is_empty() {
            return Err(Broken::Wrong);
        }
        Ok((self.now, event, Followed { decisions, digest }))
    }

    fn time(&mut self, body: &mut Reader<'_>) -> Result<(), Broken> {
        let from = self.now.steady.as_micros();
        let to = body.step(from)?;
        // Where deadlines end that are never reached.
        if to == u64::MAX {
            return Err(Broken::Wrong);
        }
        let wall = self.now.wall.as_micros().cast_unsigned();
        let wall = body.step(wall.wrapping_add(to.wrapping_sub(from)))?;
        self.now.steady = Steady::from_micros(to);
        self.now.wall = Timestamp::from_micros(wall.cast_signed());
        Ok(())
    }

    fn event(&mut self, kind: u8, body: &mut Reader<'_>) -> Result<Event, Broken> {
        let availability = |worker, availability| Event::WorkerAvailability {
            worker,
            availability,
        };
        Ok(match kind {
            kind::JOB_QUEUED => Event::JobQueued(self.demand(body)?),
            kind::JOB_WITHDRAWN => Event::JobWithdrawn(self.job(body)?),
            kind::JOB_PLACED => Event::JobPlaced {
                demand: self.demand(body)?,
                worker: self.worker(body)?,
            },
            kind::JOB_RELEASED => Event::JobReleased(self.job(body)?),
            kind::WORKER_JOINED => Event::WorkerJoined(self.offer(body)?),
            kind::WORKER_CHANGED => Event::WorkerChanged(self.offer(body)?),
            kind::WORKER_HOLDS => Event::WorkerHolds {
                worker: self.worker(body)?,
                holds: self.holds(body)?,
            },
            kind::WORKER_AVAILABLE => availability(self.worker(body)?, Availability::Available),
            kind::WORKER_SILENT => availability(self.worker(body)?, Availability::Silent),
            kind::WORKER_SUSPENDED => availability(self.worker(body)?, Availability::Suspended),
            kind::WORKER_COMPLAINS => availability(self.worker(body)?, Availability::Complaining),
            kind::WORKER_LEFT => Event::WorkerLeft(self.worker(body)?),
            kind::QUEUE_SET => Event::QueueSet {
                queue: self.text(body)?,
                settings: settings(body)?,
            },
            kind::FLEET_KNOWN => Event::FleetKnown,
            kind::FLEET_FIXED => Event::FleetMayGrow(false),
            kind::FLEET_MAY_GROW => Event::FleetMayGrow(true),
            kind::TIME_PASSED => Event::TimePassed,
            _ => return Err(Broken::Wrong),
        })
    }

    fn demand(&mut self, body: &mut Reader<'_>) -> Result<JobDemand, Broken> {
        let job = self.job(body)?;
        self.order = body.step(self.order)?;
        let queue = self.text(body)?;
        let flags = body.byte()?;
        if flags & !(has::PRIORITY | has::GROUP | has::EXPECTED) != 0 {
            return Err(Broken::Wrong);
        }
        let priority = match flags & has::PRIORITY {
            0 => 0,
            _ => body.small_signed()?,
        };
        let group = match flags & has::GROUP {
            0 => None,
            _ => Some(Group::new(&*self.text(body)?, body.small()?)),
        };
        let expected = match flags & has::EXPECTED {
            0 => None,
            _ => Some(duration(body)?),
        };
        Ok(JobDemand {
            job,
            order: self.order,
            queue,
            priority,
            group,
            wants: self.wants(body)?,
            expected,
        })
    }

    fn wants(&mut self, body: &mut Reader<'_>) -> Result<Arc<Wants>, Broken> {
        if let Some(number) = body.small::<usize>()?.checked_sub(1) {
            return self.wants.value(number).cloned().ok_or(Broken::Wrong);
        }
        let before = body.at();
        let mut draft = WantsDraft::default();
        for _ in 0..body.number()? {
            draft.requirements.push(requirement(body)?);
        }
        if flag(body)? {
            draft.worker = Some(body.text()?.to_owned());
        }
        draft.resources = resources(body)?;
        for _ in 0..body.number()? {
            let tag = requirement(body)?;
            draft.prefer.push(Preference::new(tag, body.small()?));
        }
        let mut warm = BTreeSet::new();
        for _ in 0..body.number()? {
            warm.insert(body.text()?.to_owned());
        }
        draft.warm = warm;
        let wants: Arc<Wants> = Arc::new(draft.into());
        self.wants.add(Arc::clone(&wants), body.at() - before);
        Ok(wants)
    }

    fn offer(&mut self, body: &mut Reader<'_>) -> Result<WorkerOffer, Broken> {
        Ok(WorkerOffer {
            worker: self.worker(body)?,
            name: self.text(body)?.as_ref().to_owned(),
            tags: self.tags(body)?,
            exclusive: self.tags(body)?,
            capacity: resources(body)?,
            holds: self.holds(body)?,
        })
    }

    fn tags(&mut self, body: &mut Reader<'_>) -> Result<TagSet, Broken> {
        let mut tags = TagSet::new();
        for _ in 0..body.number()? {
            let tag = self.text(body)?.parse().map_err(|_| Broken::Wrong)?;
            tags.insert(tag).map_err(|_| Broken::Wrong)?;
        }
        Ok(tags)
    }

    fn holds(&mut self, body: &mut Reader<'_>) -> Result<BTreeMap<String, u64>, Broken> {
        let mut holds = BTreeMap::new();
        for _ in 0..body.number()? {
            let key = self.text(body)?.as_ref().to_owned();
            holds.insert(key, body.number()?);
        }
        Ok(holds)
    }

    fn text(&mut self, body: &mut Reader<'_>) -> Result<Arc<str>, Broken> {
        match body.small::<usize>()? {
            0 => Ok(body.text()?.into()),
            1 => {
                let text = body.text()?;
                if text.len() > MAX_TABLE_TEXT {
                    return Err(Broken::Wrong);
                }
                let shared: Arc<str> = text.into();
                self.texts.add(Arc::clone(&shared), text.len());
                Ok(shared)
            }
            known => self.texts.value(known - 2).cloned().ok_or(Broken::Wrong),
        }
    }

    fn job(&mut self, body: &mut Reader<'_>) -> Result<JobId, Broken> {
        self.job = body.id(self.job)?;
        id_of(self.job)
    }

    fn worker(&mut self, body: &mut Reader<'_>) -> Result<WorkerId, Broken> {
        self.worker = body.id(self.worker)?;
        id_of(self.worker)
    }
}

fn requirement(body: &mut Reader<'_>) -> Result<Requirement, Broken> {
    let opposite = flag(body)?;
    let written: Requirement = body.text()?.parse().map_err(|_| Broken::Wrong)?;
    if opposite {
        return written.negated().ok_or(Broken::Wrong);
    }
    Ok(written)
}

fn resources(body: &mut Reader<'_>) -> Result<Resources, Broken> {
    let mut resources = Resources::of_slots(body.small()?);
    resources.cpu_millis = body.number()?;
    resources.memory_bytes = body.number()?;
    for _ in 0..body.number()? {
        let name = body.text()?.to_owned();
        resources.counts.insert(name, body.number()?);
    }
    Ok(resources)
}

fn settings(body: &mut Reader<'_>) -> Result<QueueSettings, Broken> {
    let mut settings = QueueSettings::default();
    settings.class = body.small_signed()?;
    settings.weight = body.small()?;
    settings.max_running = if flag(body)? {
        Some(body.number()?)
    } else {
        None
    };
    Ok(settings)
}

fn duration(body: &mut Reader<'_>) -> Result<Duration, Broken> {
    let seconds = body.number()?;
    let nanos = body.small()?;
    if nanos >= 1_000_000_000 {
        return Err(Broken::Wrong);
    }
    Ok(Duration::new(seconds, nanos))
}

fn maybe(body: &mut Reader<'_>) -> Result<Option<Duration>, Broken> {
    Ok(if flag(body)? {
        Some(duration(body)?)
    } else {
        None
    })
}

fn flag(body: &mut Reader<'_>) -> Result<bool, Broken> {
    match body.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Broken::Wrong),
    }
}
