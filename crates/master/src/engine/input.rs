//! What the engine is told.

use std::collections::BTreeMap;

use bytes::Bytes;
use jobyard_core::{
    AttemptId, Hello, JobId, JobOrigin, LogStatus, NewToken, QueueChange, RequestId, SessionId,
    StopOptions, WorkerCommand, WorkerFacts, WorkerId, WorkerMessage,
};
use jobyard_pki::{JoinSecret, SpkiHash, TokenRecord};

use super::retention::Forgotten;
use crate::records::{Demand, JobRecord, SpecDigest};

/// An event that the engine decides upon. Plain data: whoever waits for an answer is a [`ReplyTo`].
#[derive(Debug)]
pub enum Input {
    /// Accept jobs, all or none.
    Submit {
        /// Who waits.
        reply: ReplyTo,
        /// Who asks.
        by: String,
        /// The jobs.
        jobs: Vec<Submission>,
    },
    /// Stop a job.
    Stop {
        /// Who waits.
        reply: ReplyTo,
        /// Who asks.
        by: String,
        /// Which job.
        job: JobId,
        /// How.
        options: StopOptions,
    },
    /// A verified worker has opened a session.
    SessionOpened {
        /// Who it is.
        worker: WorkerId,
        /// The session, minted by the shell.
        session: SessionId,
        /// Where it comes from.
        address: String,
        /// What it says.
        hello: Box<Hello>,
    },
    /// A session brought messages.
    Said {
        /// Which session.
        session: SessionId,
        /// Its messages, in order.
        messages: Vec<WorkerMessage>,
    },
    /// A session is over.
    SessionEnded {
        /// Which.
        session: SessionId,
    },
    /// The log of an attempt will not change any more.
    LogSettled {
        /// Whose.
        attempt: AttemptId,
        /// What is held of it.
        status: LogStatus,
    },
    /// Suspend, resume, drain or remove a worker. The answer to a drain may come late.
    SetWorker {
        /// Who waits.
        reply: ReplyTo,
        /// Who asks.
        by: String,
        /// Its name or id.
        worker: String,
        /// What to do.
        to: WorkerCommand,
    },
    /// Change how a queue shares workers with the others.
    SetQueue {
        /// Who waits.
        reply: ReplyTo,
        /// Who asks.
        by: String,
        /// Its name.
        queue: String,
        /// What to change.
        change: QueueChange,
    },
    /// Keep a join token that was just minted.
    CreateToken {
        /// Who waits.
        reply: ReplyTo,
        /// Who asks.
        by: String,
        /// What is kept of it.
        record: Box<TokenRecord>,
        /// On which terms.
        terms: NewToken,
    },
    /// Make a join token useless.
    RevokeToken {
        /// Who waits.
        reply: ReplyTo,
        /// Who asks.
        by: String,
        /// Its public id.
        token: String,
    },
    /// A call whose client gave it an id, under which it may be repeated: one effect, one answer.
    Once {
        /// The id.
        request: RequestId,
        /// What is asked for.
        call: Box<Input>,
    },
    /// Remove finished jobs, and keep their tombstones.
    Forget {
        /// Who waits.
        reply: ReplyTo,
        /// Which; finished, and with all their output settled.
        jobs: Vec<Forgotten>,
    },
    /// Remove output of finished jobs, and keep the jobs.
    ForgetOutput {
        /// Who waits.
        reply: ReplyTo,
        /// The jobs as they are to be kept; finished, and with all their output settled.
        jobs: Vec<JobRecord>,
        /// Whose output goes.
        logs: Vec<AttemptId>,
    },
    /// A machine wants to join.
    Enrol(Box<Joining>),
    /// A worker inside this program wants to be a member. It has no certificate: the program vouches for it.
    AdmitLocal {
        /// Who waits.
        reply: ReplyTo,
        /// What it is called. The same name gives the same worker again.
        name: String,
        /// The id that it gets if it is new; minted by the shell.
        fresh: WorkerId,
    },
    /// Something was refused before it reached the engine, and belongs into the audit trail.
    Refused {
        /// Who.
        who: String,
        /// What, as a short word.
        action: String,
        /// On what.
        subject: String,
        /// Why.
        cause: String,
    },
    /// The deadline that [`Engine::next_deadline`](super::Engine::next_deadline) gave has come.
    DeadlineReached,
}

impl Input {
    /// Who waits for the answer to it; `None` for what nobody is answered.
    pub fn reply(&self) -> Option<ReplyTo> {
        match self {
            Self::Submit { reply, .. }
            | Self::Stop { reply, .. }
            | Self::SetWorker { reply, .. }
            | Self::SetQueue { reply, .. }
            | Self::CreateToken { reply, .. }
            | Self::RevokeToken { reply, .. }
            | Self::Forget { reply, .. }
            | Self::ForgetOutput { reply, .. }
            | Self::AdmitLocal { reply, .. } => Some(*reply),
            Self::Enrol(joining) => Some(joining.reply),
            Self::Once { call, .. } => call.reply(),
            _ => None,
        }
    }
}

/// Who waits for an answer: a number that means something to the shell alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTo(pub u64);

/// A job to accept.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Its id, minted by the client.
    pub id: JobId,
    /// What it asks for.
    pub demand: Demand,
    /// For listings.
    pub name: Option<String>,
    /// For search.
    pub labels: BTreeMap<String, String>,
    /// Why it is submitted.
    pub origin: JobOrigin,
    /// Of the spec, and of the origin.
    pub digest: SpecDigest,
    /// The spec as JSON, to be kept.
    pub spec_json: Bytes,
    /// The digest of a finished job with this id, if the store has one, or of one that retention has removed.
    pub known: Option<SpecDigest>,
}

/// A machine that wants to join, after its request's own signature was checked.
#[derive(Debug)]
pub struct Joining {
    /// Who waits.
    pub reply: ReplyTo,
    /// Where it comes from.
    pub address: String,
    /// The public id of the token that it holds.
    pub token: String,
    /// The secret that it presents.
    pub secret: JoinSecret,
    /// Of the key whose possession it proved.
    pub key: SpkiHash,
    /// The name that it would like to have.
    pub name: String,
    /// What it says of itself.
    pub facts: WorkerFacts,
    /// The id that it gets if it is new; minted by the shell.
    pub fresh: WorkerId,
}
