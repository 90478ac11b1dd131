//! What the engine knows: jobs that are not over, workers, sessions and tokens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jobyard_core::{
    AdminState, Attempt, AttemptId, AttemptNumber, BootId, Complaint, Contact, Group, JobId,
    JobState, LogEnd, LogStatus, OnDisconnect, QueueSettings, Requirement, SessionId, Steady, Tag,
    TagSet, Timestamp, Worker, WorkerId, WorkerState, mutated,
};
use jobyard_pki::{SpkiHash, TokenRecord};
use jobyard_scheduler::{Availability, JobDemand, Wants, WorkerOffer};

use super::input::ReplyTo;
use super::pool::Pool;
use super::state_counts::StateCounts;
use crate::records::{Demand, JobRecord, MASKING_TAG, SpecDigest, WorkerRecord};

/// How many finished jobs are remembered by digest, so that a repeated submit that overtakes its own end is recognised
/// without the store. Older ones are found there.
const MAX_RECENT: usize = 65_536;

/// Every table. Ordered maps only, so that the same inputs give the same outputs.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) jobs: BTreeMap<JobId, JobEntry>,
    pub(super) states: StateCounts,
    wants: Pool<Wants>,
    groups: Pool<Group>,
    queue_names: Pool<str>,
    /// Queues whose settings are not the default.
    pub(super) queues: BTreeMap<String, QueueSettings>,
    pub(super) workers: BTreeMap<WorkerId, WorkerEntry>,
    /// Names of workers that are not removed.
    pub(super) names: BTreeMap<String, WorkerId>,
    pub(super) sessions: BTreeMap<SessionId, WorkerId>,
    pub(super) tokens: BTreeMap<String, TokenRecord>,
    /// Keys with which workers enrolled, removed ones included.
    pub(super) keys: BTreeMap<SpkiHash, WorkerId>,
    /// Workers that were known at the start of this term and have not connected since.
    pub(super) awaited: BTreeSet<WorkerId>,
    /// Jobs whose record has to be written with the next batch.
    pub(super) dirty: BTreeSet<JobId>,
    recent: BTreeMap<JobId, SpecDigest>,
    recent_order: VecDeque<JobId>,
}

impl Tables {
    /// Empty ones; see [`Pool::new`] for the seed.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            jobs: BTreeMap::new(),
            states: StateCounts::default(),
            wants: Pool::new(seed),
            groups: Pool::new(seed),
            queue_names: Pool::new(seed),
            queues: BTreeMap::new(),
            workers: BTreeMap::new(),
            names: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            keys: BTreeMap::new(),
            awaited: BTreeSet::new(),
            dirty: BTreeSet::new(),
            recent: BTreeMap::new(),
            recent_order: VecDeque::new(),
        }
    }

    /// Takes in a job. What it has in common with others is held once.
    pub(super) fn insert_job(&mut self, mut entry: JobEntry) {
        let Demand {
            queue,
            group,
            wants,
            ..
        } = &mut entry.record.demand;
        *wants = self.wants.share(wants.clone());
        *queue = self.queue_names.share(queue.clone());
        *group = group.take().map(|group| self.groups.share(group));
        self.states.add(entry.record.state);
        self.jobs.insert(entry.record.id, entry);
    }

    /// What the scheduler is asked for.
    pub(super) fn demand(&mut self, job: JobId) -> Option<JobDemand> {
        let record = &self.jobs.get(&job)?.record;
        let asked = &record.demand;
        let wants = match asked.on_disconnect {
            OnDisconnect::Finish => Arc::clone(&asked.wants),
            _ => self.wants.share(wants_leases(&asked.wants)),
        };
        let mut demand = JobDemand::of(job, record.sequence, wants);
        demand.queue = Arc::clone(&asked.queue);
        demand.priority = asked.priority;
        demand.group = asked.group.as_deref().cloned();
        Some(demand)
    }

    /// Takes so many of the jobs whose record has to be written, the last submitted first: a job that was just accepted
    /// goes with its spec.
    pub(super) fn take_newest_dirty(&mut self, most: usize) -> BTreeSet<JobId> {
        let sequence = |job: &JobId| self.jobs.get(job).map(|entry| entry.record.sequence);
        let mut all: Vec<JobId> = self.dirty.iter().copied().collect();
        all.sort_unstable_by_key(|job| std::cmp::Reverse(sequence(job)));
        self.dirty = all.split_off(most.min(all.len())).into_iter().collect();
        all.into_iter().collect()
    }

    /// The worker of this name or id that is not removed.
    pub(super) fn find_worker(&self, name_or_id: &str) -> Option<WorkerId> {
        if let Some(id) = self.names.get(name_or_id) {
            return Some(*id);
        }
        let id = name_or_id.parse().ok()?;
        let entry = self.workers.get(&id)?;
        (entry.record.admin != AdminState::Removed).then_some(id)
    }

    /// Drops a job that is over, and remembers its digest for a while.
    pub(super) fn retire(&mut self, job: JobId) {
        let Some(entry) = self.jobs.remove(&job) else {
            return;
        };
        self.states.remove(entry.record.state);
        if self.recent.insert(job, entry.record.digest).is_none() {
            self.recent_order.push_back(job);
        }
        if self.recent_order.len() > MAX_RECENT
            && let Some(oldest) = self.recent_order.pop_front()
        {
            self.recent.remove(&oldest);
        }
    }

    /// The digest of a job that is known here, unfinished or recently finished.
    pub(super) fn digest(&self, job: JobId) -> Option<&SpecDigest> {
        self.jobs
            .get(&job)
            .map(|entry| &entry.record.digest)
            .or_else(|| self.recent.get(&job))
    }
}

/// What is offered by workers that end attempts before their lease does, and asked for by jobs that want that. In words
/// that an explanation can show.
fn lease_tag() -> Tag {
    LEASE_TAG.parse().expect("a tag as tags are written")
}

const LEASE_TAG: &str = "on-disconnect=stop";

/// What is offered by workers that mask secrets.
fn masking_tag() -> Tag {
    MASKING_TAG.parse().expect("a tag as tags are written")
}

/// The same, and only where attempts end before a lease does.
fn wants_leases(wants: &Wants) -> Arc<Wants> {
    let mut draft = wants.draft().clone();
    draft.requirements.extend(LEASE_TAG.parse::<Requirement>());
    Arc::new(draft.into())
}

/// A job that is not over, or whose output is still on its way.
#[derive(Debug)]
pub(super) struct JobEntry {
    pub(super) record: JobRecord,
    pub(super) stage: Stage,
    /// Attempts that have ended while some of their output is still to come.
    pub(super) open_logs: BTreeMap<AttemptNumber, OpenLog>,
    /// A log that was sealed before its attempt was reported as ended.
    pub(super) early_log: Option<(AttemptNumber, LogStatus)>,
    /// Attempts that never started and cost nothing.
    pub(super) free_retries: u32,
}

/// Where a job stands; see the table in the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waits for a worker.
    Queued,
    /// Waits before another attempt; the scheduler does not know of it.
    Backoff,
    /// Sent. Not known to have begun.
    Sent {
        /// Where to.
        worker: WorkerId,
    },
    /// Begun.
    Running {
        /// Where.
        worker: WorkerId,
    },
    /// Told to stop, or to be told when its worker comes back.
    Stopping {
        /// Where.
        worker: WorkerId,
    },
    /// Over, waits for its output. Its outcome is that of its last attempt.
    Draining,
    /// Over and told so; only logs are still open.
    Finished,
}

impl Stage {
    /// The worker that has the current attempt.
    pub(super) const fn worker(self) -> Option<WorkerId> {
        match self {
            Self::Sent { worker } | Self::Running { worker } | Self::Stopping { worker } => {
                Some(worker)
            }
            Self::Queued | Self::Backoff | Self::Draining | Self::Finished => None,
        }
    }
}

/// Output that is still to come from an attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenLog {
    /// Who has it.
    pub(super) worker: WorkerId,
    /// Where it ends; unknown if the worker has not said so.
    pub(super) end: Option<LogEnd>,
    /// Nothing more is taken: the shell was told to seal it at what is there.
    pub(super) abandoned: bool,
}

impl JobEntry {
    /// Changes the state of the job, and the counts with it.
    pub(super) fn set_state(&mut self, state: JobState, counts: &mut StateCounts) {
        counts.remove(self.record.state);
        counts.add(state);
        self.record.state = state;
    }

    /// The attempt that counts.
    pub(super) fn current(&self) -> Option<&Attempt> {
        self.record.attempts.last()
    }

    /// The attempt that counts, to change it.
    pub(super) fn current_mut(&mut self) -> Option<&mut Attempt> {
        self.record.attempts.last_mut()
    }

    /// Whether this worker is still to send output of this attempt, which has ended.
    pub(super) fn awaits_log(&self, attempt: AttemptId, worker: WorkerId) -> bool {
        self.open_logs
            .get(&attempt.number)
            .is_some_and(|open| open.worker == worker && !open.abandoned)
    }

    /// Whether this attempt is the one that counts, and with this worker.
    pub(super) fn is_current(&self, attempt: AttemptId, worker: WorkerId) -> bool {
        self.stage.worker() == Some(worker)
            && self
                .current()
                .is_some_and(|current| current.id == attempt || mutated("a stale attempt counts"))
    }
}

/// A worker and what is known of its contact.
#[derive(Debug)]
pub(super) struct WorkerEntry {
    pub(super) record: WorkerRecord,
    pub(super) session: Option<LiveSession>,
    /// What the hello of the session said, until the worker has answered the welcome.
    pub(super) claims: Option<Claims>,
    /// Why it takes no jobs at the moment by its own judgement, as it said last in its session.
    pub(super) complaints: Vec<Complaint>,
    pub(super) address: String,
    /// Jobs whose current attempt it has.
    pub(super) jobs: BTreeSet<JobId>,
    /// Attempts that have ended and whose output it still has.
    pub(super) logs: BTreeSet<AttemptId>,
    /// Before this, nothing that must not outlive a lease is given up: what an earlier term promised may still hold.
    /// Until the worker has answered a welcome of this term.
    pub(super) not_before: Steady,
    /// Who waits until no job can start there any more.
    pub(super) drain_waiters: Vec<ReplyTo>,
    /// Attempts that count no more and that it may begin all the same, with the time from which on it does not.
    pub(super) given_up: BTreeMap<AttemptId, Steady>,
    /// Attempts that it declines because it was told that it drains, and not because it takes nothing.
    pub(super) told_to_decline: BTreeSet<AttemptId>,
}

/// What is believed only of a worker that answers: a hello can be late, of a connection that was given up.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) boot: BootId,
    /// Every attempt that it knew of.
    pub(super) listed: BTreeSet<AttemptId>,
}

/// A worker's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiveSession {
    pub(super) id: SessionId,
    /// Whether it takes assignments.
    pub(super) accepting: bool,
    /// When it was last heard.
    pub(super) heard: Steady,
    /// The same for people.
    pub(super) heard_wall: Timestamp,
}

impl WorkerEntry {
    pub(super) fn new(record: WorkerRecord) -> Self {
        Self {
            record,
            session: None,
            claims: None,
            complaints: Vec::new(),
            address: String::new(),
            jobs: BTreeSet::new(),
            logs: BTreeSet::new(),
            not_before: Steady::default(),
            drain_waiters: Vec::new(),
            given_up: BTreeMap::new(),
            told_to_decline: BTreeSet::new(),
        }
    }

    /// What the scheduler is told of it.
    pub(super) fn offer(&self) -> WorkerOffer {
        let mut offer = WorkerOffer::new(self.record.id, self.record.name.clone());
        offer.tags = self.offered_tags();
        offer.exclusive.clone_from(&self.record.exclusive);
        offer.capacity.clone_from(&self.record.capacity);
        offer
    }

    /// Whether it offers anything else than it did then.
    pub(super) fn offers_other_than(&self, before: &WorkerRecord) -> bool {
        let now = &self.record;
        let keeps_leases = now.knows_leases() == before.knows_leases();
        let keeps_masking = now.knows_masking() == before.knows_masking();
        !keeps_leases
            || !keeps_masking
            || (&now.tags, &now.exclusive, &now.capacity)
                != (&before.tags, &before.exclusive, &before.capacity)
    }

    /// Its tags, and whether it ends attempts before its lease does, and masks secrets: what it says of these as a tag
    /// does not count, what its program says of itself does.
    fn offered_tags(&self) -> TagSet {
        let tags = self.record.all_tags();
        let ours = [
            (lease_tag(), self.record.knows_leases()),
            (masking_tag(), self.record.knows_masking()),
        ];
        let is_ours = |tag: &Tag| ours.iter().any(|(own, _)| own.key() == tag.key());
        let others = tags.iter().filter(|tag| !is_ours(tag));
        let first = ours.iter().filter(|(_, known)| *known).map(|(tag, _)| tag);
        let mut offered = TagSet::new();
        // First, so that the limit of tags leaves out another one.
        for tag in first.cloned().chain(others) {
            if offered.insert(tag).is_err() {
                break;
            }
        }
        offered
    }

    /// Whether it gets jobs.
    pub(super) fn availability(&self) -> Availability {
        match (&self.session, self.record.admin) {
            (None, _) => Availability::Silent,
            (Some(_), _) if self.claims.is_some() => Availability::Silent,
            (Some(_), AdminState::Active) if !self.complaints.is_empty() => {
                Availability::Complaining
            }
            (Some(session), AdminState::Active) if session.accepting => Availability::Available,
            (Some(_), _) => Availability::Suspended,
        }
    }

    /// The state that is shown.
    pub(super) fn state(&self) -> WorkerState {
        WorkerState::derive(self.shown_admin(), self.contact())
    }

    fn contact(&self) -> Contact {
        match self.session {
            Some(_) => Contact::Connected,
            None => Contact::Silent,
        }
    }

    /// A worker that says itself that it takes nothing more is about to end, unless it has complaints: they come with
    /// that word.
    fn shown_admin(&self) -> AdminState {
        let says_no = self.session.is_some_and(|session| !session.accepting);
        let is_ending = says_no && self.complaints.is_empty();
        match self.record.admin {
            AdminState::Active if is_ending => AdminState::Draining,
            admin => admin,
        }
    }

    /// As its users see it. The caller adds what is used.
    pub(super) fn shown(&self) -> Worker {
        let record = &self.record;
        let mut worker = Worker::new(record.id, record.name.clone(), record.enrolled_at);
        worker.admin = self.shown_admin();
        worker.contact = self.contact();
        worker.facts = record.facts.clone();
        worker.address.clone_from(&self.address);
        worker.tags = record.all_tags();
        worker.exclusive.clone_from(&record.exclusive);
        worker.capacity.clone_from(&record.capacity);
        worker.complaints.clone_from(&self.complaints);
        worker.env.clone_from(&record.env);
        worker.last_contact = self
            .session
            .map(|session| session.heard_wall)
            .or(record.last_contact);
        worker
    }
}
