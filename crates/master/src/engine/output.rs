//! What the engine wants done.

use std::collections::BTreeMap;

use jobyard_core::{
    AttemptId, Batch, Change, ClosingReason, ControlError, JobId, JobState, LogEnd, MasterMessage,
    QueueInfo, Refusal, SessionId, Submitted, TokenInfo, Worker, WorkerId,
};

use super::input::ReplyTo;
use crate::records::SpecDigest;

/// Something for the shell to do. Plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer somebody who waits.
    Reply {
        /// Who.
        to: ReplyTo,
        /// With what.
        answer: Answer,
    },
    /// Send a message to a worker. If its session is gone, the message is too.
    Send {
        /// Through which session.
        session: SessionId,
        /// What.
        message: Box<MasterMessage>,
    },
    /// Send an assignment; the shell adds the spec.
    Assign {
        /// Through which session.
        session: SessionId,
        /// Which attempt.
        attempt: AttemptId,
        /// Of the job's spec.
        digest: SpecDigest,
        /// The environment that the master keeps for the worker.
        env: BTreeMap<String, String>,
    },
    /// End a session, after what was sent before.
    Close {
        /// Which.
        session: SessionId,
        /// Why, as the worker is told; `None` if it does not hear us anyway.
        reason: Option<ClosingReason>,
    },
    /// Refuse a session that was just opened.
    Refuse {
        /// Which.
        session: SessionId,
        /// Why.
        refusal: Refusal,
    },
    /// From now on this worker may upload the output of this attempt.
    Grant {
        /// Whose output.
        attempt: AttemptId,
        /// From whom.
        worker: WorkerId,
    },
    /// From now on nobody may.
    Revoke {
        /// Whose output.
        attempt: AttemptId,
    },
    /// Nothing more will come of this output: seal the log at what is there, then say
    /// [`Input::LogSettled`](super::Input::LogSettled).
    AbandonLog {
        /// Whose output.
        attempt: AttemptId,
        /// Where it would have ended, if that is known.
        end: Option<LogEnd>,
    },
    /// This worker is a member, or was removed.
    Membership {
        /// Who.
        worker: WorkerId,
        /// Whether it is.
        member: bool,
    },
    /// A job has changed: wake those who watch it.
    Changed {
        /// Which.
        job: JobId,
        /// Whether it is finished.
        finished: bool,
    },
}

/// The answer to an input that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The jobs were accepted.
    Submitted(Vec<Submitted>),
    /// The stop was accepted; the job stands here.
    Stopping(JobState),
    /// The worker as it is now.
    Worker(Box<Worker>),
    /// The queue as it is now.
    Queue(Box<QueueInfo>),
    /// The token, or the one that an earlier call with the same id has made.
    Token(Box<TokenInfo>),
    /// Done.
    Done,
    /// The machine is a worker: sign its key.
    Enrolled {
        /// Who it is.
        worker: WorkerId,
        /// What it is called.
        name: String,
    },
    /// The machine is refused.
    Denied(Refusal),
    /// Not done.
    Refused(ControlError),
}

/// Changes and effects that belong together: the effects may be carried out only once the changes are durable.
#[derive(Debug, Default)]
pub struct Outbox {
    pub(super) changes: Vec<Change>,
    pub(super) effects: Vec<Effect>,
}

impl Outbox {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.effects.is_empty()
    }

    /// Splits into the batch to commit and the effects that wait for it. Without changes there is no batch, and the
    /// effects wait for nothing.
    pub fn seal(self, number: u64) -> Sealed {
        if self.changes.is_empty() {
            Sealed::Free(self.effects)
        } else {
            let batch = Batch {
                number,
                changes: self.changes,
            };
            Sealed::AfterCommit(
                batch,
                HeldEffects {
                    number,
                    effects: self.effects,
                },
            )
        }
    }
}

/// An outbox that is ready to leave.
#[derive(Debug)]
pub enum Sealed {
    /// Effects that depend on no change of their own (but on the batches before them).
    Free(Vec<Effect>),
    /// A batch, and the effects that wait for it.
    AfterCommit(Batch, HeldEffects),
}

/// Effects that nobody can see before their batch is durable: commit, then speak.
#[derive(Debug)]
pub struct HeldEffects {
    number: u64,
    effects: Vec<Effect>,
}

impl HeldEffects {
    /// Releases the effects against the proof.
    ///
    /// # Panics
    ///
    /// When the proof is of another batch, which is a bug of the shell.
    pub fn release(self, proof: &Committed) -> Vec<Effect> {
        assert_eq!(
            self.number, proof.0,
            "effects leave after the batch that they belong to"
        );
        self.effects
    }
}

/// Proof that a store has made a batch durable.
#[derive(Debug)]
pub struct Committed(u64);

impl Committed {
    /// To be made only from a commit that returned success for this number.
    pub fn batch(number: u64) -> Self {
        Self(number)
    }
}
