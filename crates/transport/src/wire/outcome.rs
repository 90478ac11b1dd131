//! How attempts end.

use jobyard_core::{Exit, Outcome};

use super::InvalidMessage;
use super::field::{choice, kind, optional, same_names};
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
        let kind = match outcome {
            Outcome::Succeeded => Some(Kind::Succeeded(v1::Nothing {})),
            Outcome::Failed { exit } => Some(Kind::Failed(exit.into())),
            Outcome::TimedOut { exit } => Some(Kind::TimedOut(ended(exit))),
            Outcome::Cancelled { exit } => Some(Kind::Cancelled(ended(exit))),
            Outcome::StartFailed { cause } => {
                Some(Kind::StartFailed(v1::StartFailure::from(cause).into()))
            }
            Outcome::Infra { reason } => Some(Kind::Infra(v1::InfraReason::from(reason).into())),
            _ => None,
        };
        Self { kind }
    }
}

impl TryFrom<v1::Outcome> for Outcome {
    type Error = InvalidMessage;

    fn try_from(outcome: v1::Outcome) -> Result<Self, InvalidMessage> {
        use v1::outcome::Kind;

        Ok(match kind(outcome.kind)? {
            Kind::Succeeded(_) => Self::Succeeded,
            Kind::Failed(exit) => Self::Failed {
                exit: Exit::try_from(exit).map_err(|error| error.within("failed"))?,
            },
            Kind::TimedOut(ended) => Self::TimedOut {
                exit: optional("timed_out.exit", ended.exit)?,
            },
            Kind::Cancelled(ended) => Self::Cancelled {
                exit: optional("cancelled.exit", ended.exit)?,
            },
            Kind::StartFailed(cause) => Self::StartFailed {
                cause: choice::<v1::StartFailure, _>("start_failed", cause)?,
            },
            Kind::Infra(reason) => Self::Infra {
                reason: choice::<v1::InfraReason, _>("infra", reason)?,
            },
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
        NoWorker
    ],
    Unspecified
);

/// Above every signal number of every system.
const MAX_SIGNAL: i32 = 1023;
