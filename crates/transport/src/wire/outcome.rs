//! How attempts end.

use jobyard_core::{Exit, LimitKind, Outcome};

use super::InvalidMessage;
use super::field::{choice, kind, optional, same_names};
use super::limits::known_kind;
use crate::generated::v1;

impl From<Exit> for v1::Exit {
    fn from(exit: Exit) -> Self {
        use v1::exit::Kind;

        let kind = match exit {
            Exit::Exited(code) => Kind::Code(code),
            Exit::Signaled(signal) => Kind::Signal(signal),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Exit> for Exit {
    type Error = InvalidMessage;

    fn try_from(exit: v1::Exit) -> Result<Self, InvalidMessage> {
        use v1::exit::Kind;

        match kind(exit.kind)? {
            Kind::Code(code) => Ok(Self::Exited(code)),
            // Shells add 128 to it.
            Kind::Signal(signal) if (0..=MAX_SIGNAL).contains(&signal) => {
                Ok(Self::Signaled(signal))
            }
            Kind::Signal(_) => Err(InvalidMessage::new("signal", "there is no such signal")),
        }
    }
}

impl From<Outcome> for v1::Outcome {
    fn from(outcome: Outcome) -> Self {
        use v1::outcome::Kind;

        let ended = |exit: Option<Exit>| v1::Ended {
            exit: exit.map(Into::into),
        };
        let mut in_full = v1::InfraReason::Unspecified;
        let kind = match outcome {
            Outcome::Succeeded => Some(Kind::Succeeded(v1::Nothing {})),
            Outcome::Failed { exit }
            | Outcome::OutOfMemory { exit }
            | Outcome::ProcessLimit { exit } => Some(Kind::Failed(exit.into())),
            Outcome::TimedOut { exit } => Some(Kind::TimedOut(ended(exit))),
            Outcome::Cancelled { exit } => Some(Kind::Cancelled(ended(exit))),
            Outcome::StartFailed { cause } => {
                Some(Kind::StartFailed(v1::StartFailure::from(cause).into()))
            }
            Outcome::Infra { reason } => {
                let reason = v1::InfraReason::from(reason);
                let nearest = nearest_of_first_release(reason);
                if nearest != reason {
                    in_full = reason;
                }
                Some(Kind::Infra(nearest.into()))
            }
            _ => None,
        };
        Self {
            kind,
            limit: limit_of(outcome).into(),
            infra_in_full: in_full.into(),
        }
    }
}

/// The limit that an outcome names.
const fn limit_of(outcome: Outcome) -> v1::LimitKind {
    match outcome {
        Outcome::OutOfMemory { .. } => v1::LimitKind::Memory,
        Outcome::ProcessLimit { .. } => v1::LimitKind::Processes,
        _ => v1::LimitKind::Unspecified,
    }
}

/// A reason on the same budget that peers of the first release know.
const fn nearest_of_first_release(reason: v1::InfraReason) -> v1::InfraReason {
    match reason {
        v1::InfraReason::LimitNotEnforceable => v1::InfraReason::WorkerFault,
        v1::InfraReason::LeaseExpired => v1::InfraReason::WorkerLost,
        v1::InfraReason::WorkerDrained => v1::InfraReason::WorkerRemoved,
        reason => reason,
    }
}

impl TryFrom<v1::Outcome> for Outcome {
    type Error = InvalidMessage;

    fn try_from(outcome: v1::Outcome) -> Result<Self, InvalidMessage> {
        use v1::outcome::Kind;

        Ok(match kind(outcome.kind)? {
            Kind::Succeeded(_) => Self::Succeeded,
            Kind::Failed(exit) => {
                let exit = Exit::try_from(exit).map_err(|error| error.within("failed"))?;
                match known_kind(outcome.limit) {
                    Some(LimitKind::Memory) => Self::OutOfMemory { exit },
                    Some(LimitKind::Processes) => Self::ProcessLimit { exit },
                    _ => Self::Failed { exit },
                }
            }
            Kind::TimedOut(ended) => Self::TimedOut {
                exit: optional("timed_out.exit", ended.exit)?,
            },
            Kind::Cancelled(ended) => Self::Cancelled {
                exit: optional("cancelled.exit", ended.exit)?,
            },
            Kind::StartFailed(cause) => Self::StartFailed {
                cause: choice::<v1::StartFailure, _>("start_failed", cause)?,
            },
            Kind::Infra(nearest) => {
                let in_full = choice::<v1::InfraReason, _>("infra_in_full", outcome.infra_in_full);
                let nearest = choice::<v1::InfraReason, _>("infra", nearest)?;
                Self::Infra {
                    reason: in_full.unwrap_or(nearest),
                }
            }
        })
    }
}

same_names!(
    StartFailure,
    [
        NotFound,
        NotExecutable,
        BadDirectory,
        ArgumentsTooLong,
        BadConfig
    ],
    Unspecified
);
same_names!(
    InfraReason,
    [
        WorkerLost,
        WorkerRestarted,
        NeverStarted,
        WorkerRemoved,
        NoResources,
        WorkerFault,
        Forced,
        NoWorker,
        LimitNotEnforceable,
        LeaseExpired,
        WorkerDrained
    ],
    Unspecified
);

/// Above every signal number of every system.
const MAX_SIGNAL: i32 = 1023;
