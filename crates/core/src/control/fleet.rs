//! What is asked and answered about workers and join tokens.

use std::time::Duration;

use crate::{SecretText, Tag, Timestamp};

/// How long a join token lives if nobody says.
pub const DEFAULT_TOKEN_TTL: Duration = Duration::from_mins(30);

/// The longest life of a join token.
pub const MAX_TOKEN_TTL: Duration = Duration::from_hours(365 * 24);

/// How many machines may join with one token.
pub const MAX_TOKEN_USES: u32 = 100_000;

/// What to do with a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkerCommand {
    /// It keeps its jobs and gets none.
    Suspend,
    /// It gets jobs again.
    Resume,
    /// It gets no more jobs and finishes those that it has. Done once no job can start there any more.
    Drain {
        /// How long it may take for that; what still runs then is stopped and runs elsewhere. `None`: as long as it likes.
        deadline: Option<Duration>,
    },
    /// It is gone for good: its jobs are stopped, its certificate is refused, it deletes its identity.
    Remove,
}

/// A join token to make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewToken {
    /// How many machines may join with it; 1 to [`MAX_TOKEN_USES`].
    pub uses: u32,
    /// How long it lives; at most [`MAX_TOKEN_TTL`].
    pub ttl: Duration,
    /// What each worker that joins with it offers in addition.
    pub tags: Vec<Tag>,
}

impl Default for NewToken {
    fn default() -> Self {
        Self {
            uses: 1,
            ttl: DEFAULT_TOKEN_TTL,
            tags: Vec::new(),
        }
    }
}

/// A token that was just made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedToken {
    /// What is known of it from now on.
    pub info: TokenInfo,
    /// The printable word, shown this once.
    pub token: SecretText,
}

impl CreatedToken {
    /// A token and what is known of it.
    pub const fn new(info: TokenInfo, token: SecretText) -> Self {
        Self { info, token }
    }
}

/// What is known of a join token. Nothing in it lets anybody join.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenInfo {
    /// Its public id.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How many machines may still join.
    pub uses_left: u32,
    /// Whether it was revoked.
    pub revoked: bool,
    /// What workers that join with it offer in addition.
    pub tags: Vec<Tag>,
}

impl TokenInfo {
    /// A fresh token without tags.
    pub const fn new(
        id: String,
        created_at: Timestamp,
        expires_at: Timestamp,
        uses_left: u32,
    ) -> Self {
        Self {
            id,
            created_at,
            expires_at,
            uses_left,
            revoked: false,
            tags: Vec::new(),
        }
    }
}
