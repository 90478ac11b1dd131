//! Events into bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{MAX_TAG_BYTES, Now, QueueSettings, Requirement, Resources, TagSet};

use super::digest::Digest;
use super::table::{MAX_TABLE_TEXT, Numbers};
use super::writer::Writer;
use super::{has, kind, placement};
use crate::{Availability, Decision, Event, JobDemand, Placement, Policy, Wants, WorkerOffer};

/// Writes the bodies of records, each in the light of those before it.
#[derive(Debug)]
pub(super) struct Encoder {
    body: Writer,
    texts: Numbers<Arc<str>>,
    wants: Numbers<Arc<Wants>>,
    now: Now,
    order: u64,
    job: u128,
    worker: u128,
}

impl Encoder {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            body: Writer::default(),
            texts: Numbers::new(seed),
            wants: Numbers::new(seed),
            now: Now::default(),
            order: 0,
            job: 0,
            worker: 0,
        }
    }

    /// The body that was written, which the next one replaces.
    pub(super) fn body(&self) -> &[u8] {
        self.body.as_bytes()
    }

    /// The first record.
    pub(super) fn policy(&mut self, policy: &Policy) {
        self.body.clear();
        match &policy.placement {
            Placement::Spread => self.body.byte(placement::SPREAD),
            Placement::Pack => self.body.byte(placement::PACK),
            Placement::Warm { patience } => {
                self.body.byte(placement::WARM);
                self.duration(*patience);
            }
            Placement::Scored(_) => self.body.byte(placement::SCORED),
        }
        self.maybe(policy.reserve_after);
        self.body.size(policy.max_reservations);
        self.maybe(policy.ageing);
        self.maybe(policy.give_up_after);
    }

    /// The record of an event, up to its decisions.
    pub(super) fn event(&mut self, now: Now, event: &Event) {
        self.body.clear();
        match event {
            Event::JobQueued(demand) => {
                self.begin(kind::JOB_QUEUED, now);
                self.demand(demand);
            }
            Event::JobWithdrawn(job) => {
                self.begin(kind::JOB_WITHDRAWN, now);
                self.job(job.as_uuid().as_u128());
            }
            Event::JobPlaced { demand, worker } => {
                self.begin(kind::JOB_PLACED, now);
                self.demand(demand);
                self.worker(worker.as_uuid().as_u128());
            }
            Event::JobReleased(job) => {
                self.begin(kind::JOB_RELEASED, now);
                self.job(job.as_uuid().as_u128());
            }
            Event::WorkerJoined(offer) => {
                self.begin(kind::WORKER_JOINED, now);
                self.offer(offer);
            }
            Event::WorkerChanged(offer) => {
                self.begin(kind::WORKER_CHANGED, now);
                self.offer(offer);
            }
            Event::WorkerHolds { worker, holds } => {
                self.begin(kind::WORKER_HOLDS, now);
                self.worker(worker.as_uuid().as_u128());
                self.holds(holds);
            }
            Event::WorkerAvailability {
                worker,
                availability,
            } => {
                let kind = match availability {
                    Availability::Available => kind::WORKER_AVAILABLE,
                    Availability::Silent => kind::WORKER_SILENT,
                    Availability::Suspended => kind::WORKER_SUSPENDED,
                    Availability::Complaining => kind::WORKER_COMPLAINS,
                };
                self.begin(kind, now);
                self.worker(worker.as_uuid().as_u128());
            }
            Event::WorkerLeft(worker) => {
                self.begin(kind::WORKER_LEFT, now);
                self.worker(worker.as_uuid().as_u128());
            }
            Event::QueueSet { queue, settings } => {
                self.begin(kind::QUEUE_SET, now);
                self.text(queue);
                self.settings(settings);
            }
            Event::FleetKnown => self.begin(kind::FLEET_KNOWN, now),
            Event::FleetMayGrow(false) => self.begin(kind::FLEET_FIXED, now),
            Event::FleetMayGrow(true) => self.begin(kind::FLEET_MAY_GROW, now),
            Event::TimePassed => self.begin(kind::TIME_PASSED, now),
        }
    }

    /// What followed from the event.
    pub(super) fn decisions(&mut self, decisions: &[Decision]) {
        self.body.size(decisions.len());
        if !decisions.is_empty() {
            self.body.raw(&Digest::of_decisions(decisions));
        }
    }

    /// The kind, and the time: both clocks mostly move together.
    fn begin(&mut self, kind: u8, now: Now) {
        self.body.byte(kind);
        let (from, to) = (self.now.steady.as_micros(), now.steady.as_micros());
        self.body.step(from, to);
        let wall = |now: Now| now.wall.as_micros().cast_unsigned();
        let expected = wall(self.now).wrapping_add(to.wrapping_sub(from));
        self.body.step(expected, wall(now));
        self.now = now;
    }

    fn demand(&mut self, demand: &JobDemand) {
        self.job(demand.job.as_uuid().as_u128());
        self.body.step(self.order, demand.order);
        self.order = demand.order;
        self.text(&demand.queue);
        let mut flags = 0;
        if demand.priority != 0 {
            flags |= has::PRIORITY;
        }
        if demand.group.is_some() {
            flags |= has::GROUP;
        }
        if demand.expected.is_some() {
            flags |= has::EXPECTED;
        }
        self.body.byte(flags);
        if demand.priority != 0 {
            self.body.signed(demand.priority.into());
        }
        if let Some(group) = &demand.group {
            self.text(&group.key);
            self.body.number(group.limit.into());
        }
        if let Some(expected) = demand.expected {
            self.duration(expected);
        }
        self.wants(&demand.wants);
    }

    /// 0 and the wants in full, or one more than the number of those that are known.
    fn wants(&mut self, wants: &Arc<Wants>) {
        if let Some(number) = self.wants.number(&**wants) {
            self.body.size(number + 1);
            return;
        }
        self.body.size(0);
        let before = self.body.as_bytes().len();
        let draft = wants.draft();
        self.body.size(draft.requirements.len());
        for requirement in &draft.requirements {
            self.requirement(requirement);
        }
        self.body.byte(u8::from(draft.worker.is_some()));
        if let Some(worker) = &draft.worker {
            self.body.text(worker);
        }
        self.resources(&draft.resources);
        self.body.size(draft.prefer.len());
        for preference in &draft.prefer {
            self.requirement(&preference.tag);
            self.body.number(preference.weight.into());
        }
        self.body.size(draft.warm.len());
        for key in &draft.warm {
            self.body.text(key);
        }
        let bytes = self.body.as_bytes().len() - before;
        self.wants.add(Arc::clone(wants), bytes);
    }

    /// As text. One that was made by negating the longest is too long to be read, and stands as its opposite.
    fn requirement(&mut self, requirement: &Requirement) {
        let text = requirement.to_string();
        let opposite = (text.len() > MAX_TAG_BYTES).then(|| requirement.negated());
        if let Some(opposite) = opposite.flatten() {
            self.body.byte(1);
            self.body.text(&opposite.to_string());
        } else {
            self.body.byte(0);
            self.body.text(&text);
        }
    }

    fn offer(&mut self, offer: &WorkerOffer) {
        self.worker(offer.worker.as_uuid().as_u128());
        self.text(&offer.name);
        self.tags(&offer.tags);
        self.tags(&offer.exclusive);
        self.resources(&offer.capacity);
        self.holds(&offer.holds);
    }

    fn tags(&mut self, tags: &TagSet) {
        self.body.size(tags.len());
        for tag in tags.iter() {
            self.text(&tag.to_string());
        }
    }

    fn holds(&mut self, holds: &BTreeMap<String, u64>) {
        self.body.size(holds.len());
        for (key, bytes) in holds {
            self.text(key);
            self.body.number(*bytes);
        }
    }

    fn resources(&mut self, resources: &Resources) {
        self.body.number(resources.slots.into());
        self.body.number(resources.cpu_millis);
        self.body.number(resources.memory_bytes);
        self.body.size(resources.counts.len());
        for (name, count) in &resources.counts {
            self.body.text(name);
            self.body.number(*count);
        }
    }

    fn settings(&mut self, settings: &QueueSettings) {
        self.body.signed(settings.class.into());
        self.body.number(settings.weight.into());
        self.body.byte(u8::from(settings.max_running.is_some()));
        if let Some(most) = settings.max_running {
            self.body.number(most);
        }
    }

    /// 0 and a text that is too long for the table; 1 and a new one; or two more than the number of a known one.
    fn text(&mut self, text: &str) {
        if text.len() > MAX_TABLE_TEXT {
            self.body.size(0);
            self.body.text(text);
        } else if let Some(number) = self.texts.number(text) {
            self.body.size(number + 2);
        } else {
            self.body.size(1);
            self.body.text(text);
            self.texts.add(text.into(), text.len());
        }
    }

    fn job(&mut self, job: u128) {
        self.body.id(self.job, job);
        self.job = job;
    }

    fn worker(&mut self, worker: u128) {
        self.body.id(self.worker, worker);
        self.worker = worker;
    }

    fn duration(&mut self, duration: Duration) {
        self.body.number(duration.as_secs());
        self.body.number(duration.subsec_nanos().into());
    }

    fn maybe(&mut self, duration: Option<Duration>) {
        self.body.byte(u8::from(duration.is_some()));
        if let Some(duration) = duration {
            self.duration(duration);
        }
    }
}
