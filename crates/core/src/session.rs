//! What a worker and its master say to each other.
//!
//! # The conversation
//!
//! 1. The worker opens a session with [`Hello`]: who it is comes from its certificate, what it offers and **everything
//!    it holds** from the message.
//! 2. The master answers [`Welcome`] with a verdict for each attempt that was listed: keep, stop or forget. An attempt
//!    that the master believes to be there and that is not listed never started, or was lost with an earlier life of
//!    the worker; [`Hello::agent`] and [`Hello::boot`] tell which.
//!    The worker says something at once, a heartbeat if nothing else: a hello can be late, of a connection that its
//!    worker has given up, so the master believes what a hello does *not* list, and assigns, only after that.
//! 3. [`MasterMessage::Assign`] hands out an attempt. The worker writes it to its journal first, then starts it, then
//!    says [`WorkerMessage::Started`]. The same assignment may arrive again after a reconnect; it is started once.
//! 4. [`WorkerMessage::Finished`] reports the end, as soon as the process tree is known to be empty. It is repeated in
//!    each inventory until the master says [`MasterMessage::Forget`]; only then the worker deletes what it has of the
//!    attempt.
//! 5. Output goes over links of its own (see [`UploadFrame`]), so that megabytes never delay a heartbeat.
//! 6. Silence for longer than [`Welcome::lease`] ends the session on both sides. Heartbeats go both ways.
//!
//! Messages of one session arrive at most once and in order. A new session of a worker ends its older one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, AttemptReport, BootId, Complaint, Epoch, LogChunk, LogEnd, Resources, SessionId,
    TagSet, Timestamp, ValidSpec, WorkerFacts, WorkerId,
};

/// The version of this protocol. Versions N and N-1 work together.
pub const PROTOCOL_VERSION: u32 = 1;

/// The ability of a worker to understand [`MasterMessage::Draining`].
pub const FEATURE_DRAIN: &str = "drain";

/// The ability of a worker to end attempts before its lease does, see [`OnDisconnect`](crate::OnDisconnect). One without
/// it gets no jobs that ask for that.
pub const FEATURE_LEASES: &str = "leases";

/// The ability of a worker to keep the secrets of a job ([`JobSpec::secret_env`](crate::JobSpec)) out of its output. One
/// without it gets no jobs that bring any.
pub const FEATURE_MASKING: &str = "masking";

/// How many attempts one worker may hold, finished ones that the master has not confirmed included. At the limit it
/// refuses assignments.
pub const MAX_INVENTORY: usize = 10_000;

/// How many messages travel in one frame at most.
pub const MAX_FRAME_MESSAGES: usize = 512;

/// The first message of a session, from the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello {
    /// What this side speaks.
    pub protocol: Protocol,
    /// The machine's boot. Another one than last time: everything that ran is gone.
    pub boot: BootId,
    /// This life of the worker program; minted at its start.
    pub agent: BootId,
    /// The machine and the program.
    pub facts: WorkerFacts,
    /// What it offers by itself.
    pub tags: TagSet,
    /// Tags of those that refuse every job which does not name them.
    pub exclusive: TagSet,
    /// What it has for jobs.
    pub capacity: Resources,
    /// Whether it takes assignments. A worker that is told to end takes none.
    pub accepting: bool,
    /// Every attempt that it knows of, at most [`MAX_INVENTORY`].
    pub inventory: Vec<Held>,
    /// The highest epoch that it has seen. A master with an older one steps down.
    pub max_epoch: Epoch,
}

impl Hello {
    /// A worker that holds nothing.
    pub fn new(
        boot: BootId,
        agent: BootId,
        facts: WorkerFacts,
        tags: TagSet,
        capacity: impl Into<Resources>,
    ) -> Self {
        Self {
            protocol: Protocol::current(),
            boot,
            agent,
            facts,
            tags,
            exclusive: TagSet::new(),
            capacity: capacity.into(),
            accepting: true,
            inventory: Vec::new(),
            max_epoch: Epoch::ZERO,
        }
    }
}

/// What one side of a session speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// See [`PROTOCOL_VERSION`].
    pub version: u32,
    /// Optional abilities by name.
    pub features: BTreeSet<String>,
}

impl Protocol {
    /// What this build speaks.
    pub fn current() -> Self {
        Self {
            version: PROTOCOL_VERSION,
            features: [FEATURE_DRAIN, FEATURE_LEASES, FEATURE_MASKING]
                .map(str::to_owned)
                .into(),
        }
    }

    /// Whether the other side has this ability.
    pub fn knows(&self, feature: &str) -> bool {
        self.features.contains(feature)
    }

    /// Whether this build can talk to that one: versions differ by at most one.
    pub const fn speaks_with(&self, other: &Self) -> bool {
        self.version.abs_diff(other.version) <= 1
    }
}

/// An attempt that a worker knows of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Held {
    /// Which one.
    pub attempt: AttemptId,
    /// Where it stands.
    pub state: HeldState,
}

impl Held {
    /// An attempt in this state.
    pub const fn new(attempt: AttemptId, state: HeldState) -> Self {
        Self { attempt, state }
    }
}

/// Where an attempt stands on its worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HeldState {
    /// In the journal, and about to start.
    Accepted,
    /// Running, or told to stop.
    Running {
        /// The process, where there is one.
        pid: Option<u32>,
        /// When it started.
        started_at: Timestamp,
    },
    /// Over; the master has not confirmed yet that it knows.
    Finished(AttemptReport),
}

/// The master's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Welcome {
    /// What the master speaks.
    pub protocol: Protocol,
    /// This session.
    pub session: SessionId,
    /// The master's term. The worker refuses a master with an older one from now on.
    pub epoch: Epoch,
    /// Who the master takes this worker for.
    pub worker: WorkerId,
    /// Its name.
    pub name: String,
    /// How often each side says something.
    pub heartbeat: Duration,
    /// How long each side waits for the other before it takes the session for dead.
    pub lease: Duration,
    /// How long before the end of its lease a worker begins to stop attempts that must not outlive it; shorter than the
    /// lease.
    pub margin: Duration,
    /// Whether the worker drains: what it has accepted and not begun it declines.
    pub draining: bool,
    /// One verdict for each attempt of the inventory.
    pub verdicts: Vec<(AttemptId, Verdict)>,
}

impl Welcome {
    /// A welcome without verdicts.
    pub fn new(
        session: SessionId,
        epoch: Epoch,
        worker: WorkerId,
        name: String,
        heartbeat: Duration,
        lease: Duration,
    ) -> Self {
        Self {
            protocol: Protocol::current(),
            session,
            epoch,
            worker,
            name,
            heartbeat,
            lease,
            margin: lease / 4,
            draining: false,
            verdicts: Vec::new(),
        }
    }
}

/// What a worker shall do with an attempt that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Go on: run it, upload its output, report its end.
    Keep,
    /// Stop it and report its end.
    Stop {
        /// Why.
        cause: StopCause,
        /// How long it may take to end before it is killed.
        grace: Duration,
    },
    /// The master wants nothing of it any more: end it at once if it runs, delete what there is, report nothing.
    Forget,
}

/// Why an attempt is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopCause {
    /// Somebody asked for it.
    Cancelled,
    /// It ran for too long.
    TimedOut,
    /// The worker ends, and does not wait for it any longer.
    WorkerStopping,
    /// The worker and the master have lost each other, and the job is not to go on without.
    LeaseExpired,
    /// The worker is drained, and does not wait for it any longer.
    Drained,
}

/// What a worker says after its hello.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerMessage {
    /// I am here.
    Heartbeat,
    /// It runs.
    Started {
        /// Which attempt.
        attempt: AttemptId,
        /// The process, where there is one.
        pid: Option<u32>,
        /// When; the worker's clock.
        at: Timestamp,
    },
    /// It is over, and its process tree is empty.
    Finished(AttemptReport),
    /// I do not take this assignment; nothing of it ran or will.
    Declined {
        /// Which attempt.
        attempt: AttemptId,
        /// Why.
        reason: DeclineReason,
    },
    /// I take no more assignments from now on (or do again).
    Accepting(bool),
    /// Why I take no assignments at the moment, apart from an end that I was told; replaces what was said before. At
    /// most [`MAX_COMPLAINTS`]; empty: nothing any more. A master that does not know this message still knows
    /// [`Accepting`](Self::Accepting), which comes with it.
    Complaints(Vec<Complaint>),
}

/// How many complaints a worker may have at once.
pub const MAX_COMPLAINTS: usize = 16;

/// Why a worker does not take an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeclineReason {
    /// It is about to end.
    Stopping,
    /// It holds as many attempts as it can.
    Full,
    /// It has run, or refused, this attempt before.
    Stale,
    /// Its journal cannot be written.
    JournalFailed,
}

/// What a master says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MasterMessage {
    /// The first message of a session.
    Welcome(Welcome),
    /// I am here.
    Heartbeat,
    /// Run this.
    Assign(Assignment),
    /// Stop this.
    Stop {
        /// Which attempt.
        attempt: AttemptId,
        /// Why.
        cause: StopCause,
        /// How long it may take to end before it is killed.
        grace: Duration,
    },
    /// As [`Verdict::Forget`].
    Forget {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// From now on you drain (or no longer): decline what you have accepted and not begun. Only for workers that know
    /// [`FEATURE_DRAIN`].
    Draining(bool),
    /// You are no longer one of us: stop what runs, delete your identity, end.
    Removed,
    /// This session is over.
    Closing(ClosingReason),
}

/// Why a master ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClosingReason {
    /// It restarts: reconnect at once.
    Restarting,
    /// A newer session of this worker has replaced this one.
    Replaced,
    /// The worker said what it may not say.
    ProtocolError,
}

/// An attempt for a worker to run.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assignment {
    /// Which attempt.
    pub attempt: AttemptId,
    /// What to run.
    pub spec: ValidSpec,
    /// The worker's own environment, as the master keeps it for all of its jobs.
    pub env: BTreeMap<String, String>,
}

impl Assignment {
    /// An assignment without an environment from the master.
    pub fn new(attempt: AttemptId, spec: ValidSpec) -> Self {
        Self {
            attempt,
            spec,
            env: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Assignment {
    /// Leaves the values of the environment out: they are where people put what should not be in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment")
            .field("attempt", &self.attempt)
            .field("spec", &self.spec)
            .field("env", &self.env.keys())
            .finish()
    }
}

/// What a worker says on an upload link, which carries the output of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UploadFrame {
    /// The next bytes. The first chunk begins where [`UploadAnswer::ResumeAt`] said.
    Chunks(Vec<LogChunk>),
    /// Nothing follows.
    End(LogEnd),
}

/// What a master says on an upload link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UploadAnswer {
    /// First: send from this offset on. It may lie before or behind what the worker proposed.
    ResumeAt(u64),
    /// Everything below this offset is durable; the worker may drop its copy.
    Durable(u64),
    /// The end is known and durable as well. Last message.
    Sealed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttemptNumber, JobId, JobSpec};

    #[test]
    fn an_assignment_does_not_print_the_environment() {
        let id = AttemptId::new(JobId::from_uuid(uuid::Uuid::nil()), AttemptNumber::FIRST);
        let spec = JobSpec::default().validate().expect("valid");
        let mut assignment = Assignment::new(id, spec);
        assignment
            .env
            .insert("KEY".to_owned(), "hunter2".to_owned());
        let shown = format!("{assignment:?}");
        assert!(
            shown.contains("KEY") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
