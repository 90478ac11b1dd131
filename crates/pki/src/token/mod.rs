//! Join tokens: how a stranger proves to the master, and the master to a stranger, that an operator wants both
//! to meet.

mod id;
mod join_token;
mod pin;
mod secret;

pub use id::{InvalidTokenId, TokenId};
pub use join_token::{JoinToken, MAX_PINS, MAX_TOKEN_CHARS, TOKEN_ENTROPY_BYTES, TokenError};
pub use pin::RootPin;
pub use secret::{JoinSecret, SecretHash};
