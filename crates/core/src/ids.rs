//! Identifiers. Each is a type of its own, so that none can stand in for another.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Declares a UUID newtype with text, parsing and conversion.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that was minted elsewhere (version 7 by convention).
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { what: $what, text: shown(text) })
            }
        }
    };
}

uuid_id!(
    /// A job, for its whole life. Chosen by whoever submits it, so that a repeated submit is recognised.
    JobId, "job id"
);
uuid_id!(
    /// A worker, from its enrolment to its removal.
    WorkerId, "worker id"
);
uuid_id!(
    /// One live connection of a worker. A newer session of a worker ends the older one.
    SessionId, "session id"
);
uuid_id!(
    /// One mutating request of a client. A repeat with the same id has one effect.
    RequestId, "request id"
);
uuid_id!(
    /// One installation: a master, its standbys and all that trust its root.
    ClusterId, "cluster id"
);
uuid_id!(
    /// One boot of a worker's machine, as its kernel names it. What ran under another boot is gone.
    BootId, "boot id"
);

/// Which execution of a job: 1 for the first. Only the highest is live.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptNumber(NonZeroU32);

impl AttemptNumber {
    /// The first attempt of every job.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// `None` for zero.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number as it is shown: from 1.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The attempt after this one. Stays at the largest number, which no retry budget can reach.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for AttemptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AttemptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One execution of a job: the fence that everything about it carries. Text: `JOB/NUMBER`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The job that is executed.
    pub job: JobId,
    /// Which of its executions.
    pub number: AttemptNumber,
}

impl AttemptId {
    /// Names attempt `number` of `job`.
    pub const fn new(job: JobId, number: AttemptNumber) -> Self {
        Self { job, number }
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.job, self.number)
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttemptId({self})")
    }
}

impl FromStr for AttemptId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidId {
            what: "attempt id",
            text: shown(text),
        };
        let (job, number) = text.split_once('/').ok_or_else(invalid)?;
        Ok(Self {
            job: job.parse().map_err(|_| invalid())?,
            number: number
                .parse()
                .ok()
                .and_then(AttemptNumber::new)
                .ok_or_else(invalid)?,
        })
    }
}

/// A term of leadership. Grows strictly; whoever holds an older one is refused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Before any master has led.
    pub const ZERO: Self = Self(0);

    /// The term after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}")]
#[non_exhaustive]
pub struct InvalidId {
    /// Which kind of id was wanted.
    pub what: &'static str,
    /// The text, cut to a length that can be shown.
    pub text: String,
}

/// The part of a wrong text that is repeated to its author.
fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 64;
    text.chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempt_id_reads_back_what_it_prints() {
        let id = AttemptId::new(
            JobId::from_uuid(Uuid::from_u128(7)),
            AttemptNumber::FIRST.next(),
        );
        assert_eq!(id.to_string().parse::<AttemptId>(), Ok(id));
    }

    #[test]
    fn refuse_attempt_zero() {
        let text = format!("{}/0", Uuid::from_u128(7));
        assert!(text.parse::<AttemptId>().is_err());
    }

    #[test]
    fn wrong_id_is_quoted_shortened() {
        let error = "x".repeat(1000).parse::<JobId>().expect_err("not a UUID");
        assert!(error.to_string().len() < 120, "{error}");
    }
}
