//! Why a call was not done.

use super::Role;
use crate::{AttemptId, JobId, WorkerId};

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no such thing, or the caller may not know of it.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// Something with this id exists and is different. The caller's fault.
    #[error("the {what} {id} exists already and is different")]
    AlreadyExists {
        /// What kind of thing.
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// The caller is known and may not do this.
    #[error("{role} {name} may not do this: it takes the role {needed}")]
    Forbidden {
        /// Who asked.
        name: String,
        /// As what.
        role: Role,
        /// What it would take.
        needed: String,
    },
    /// The request is outside its limits. The caller's fault; it will be refused again.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which part of it.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// The thing is not in a state for this. The caller may look and decide.
    #[error("{problem}")]
    Conflict {
        /// Why not.
        problem: String,
    },
    /// What was asked for is not kept any more.
    #[error("events before {oldest} are not kept any more: go on from there")]
    Gone {
        /// The place of the oldest event that is.
        oldest: u64,
    },
    /// Too much at once. Repeat later.
    #[error("the master has too much to do: {problem}")]
    Exhausted {
        /// Of what.
        problem: String,
    },
    /// The master cannot answer now: it starts, stops, or lost its store or connection. Repeat.
    #[error("the master is not available: {problem}")]
    Unavailable {
        /// Why.
        problem: String,
    },
    /// The master works, and the output that was asked for is out of its reach: an archive or a disk does not answer.
    /// Nothing is lost. Repeat when an operator has looked at it.
    #[error("the output of attempt {attempt} cannot be read at the moment: {problem}")]
    OutputAway {
        /// Whose.
        attempt: AttemptId,
        /// What does not answer, and how.
        problem: String,
    },
    /// The two sides do not trust each other. Repeating does not help.
    #[error("the master and this client do not trust each other: {problem}")]
    Untrusted {
        /// Which check failed.
        problem: String,
    },
    /// The master found its own data damaged, or answered what this client cannot read. An operator's affair.
    #[error("the master failed: {problem}")]
    Internal {
        /// In which way.
        problem: String,
    },
}

impl ControlError {
    /// A machine-readable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::AlreadyExists { .. } => "already_exists",
            Self::Forbidden { .. } => "forbidden",
            Self::Invalid { .. } => "invalid",
            Self::Conflict { .. } => "conflict",
            Self::Gone { .. } => "gone",
            Self::Exhausted { .. } => "exhausted",
            Self::Unavailable { .. } | Self::OutputAway { .. } => "unavailable",
            Self::Untrusted { .. } => "untrusted",
            Self::Internal { .. } => "internal",
        }
    }

    /// Whether the same call may succeed later.
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Exhausted { .. } | Self::Unavailable { .. } | Self::OutputAway { .. }
        )
    }

    /// No job of this id.
    pub fn no_job(id: JobId) -> Self {
        Self::NotFound {
            what: "job",
            id: id.to_string(),
        }
    }

    /// No worker of this id.
    pub fn no_worker(id: WorkerId) -> Self {
        Self::NotFound {
            what: "worker",
            id: id.to_string(),
        }
    }

    /// A part of the request is wrong.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// Not now.
    pub fn unavailable(problem: impl Into<String>) -> Self {
        Self::Unavailable {
            problem: problem.into(),
        }
    }
}
