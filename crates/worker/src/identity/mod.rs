//! Who a worker is: its key and certificate on disk, and how it gets them.
//!
//! Everything is in `DATA/identity`, mode 0700: while a certificate is awaited the key that waits for it, afterwards key,
//! certificate and trusted roots in one file. Both are private and replaced whole. A worker that has an identity needs
//! no token and ignores one.

mod join;
mod store;

pub use self::join::{JOIN_PATIENCE, Join, JoinError};
pub use self::store::{Identity, IdentityError};
