//! The local certificate authority: a root and two intermediates in a directory of the master.

mod files;
mod issuer;
mod lifetime;
mod local;

pub use files::OpenAuthorityError;
pub use lifetime::{AUTHORITY_LIFETIME, BACKDATE, CLIENT_LIFETIME, ROOT_LIFETIME, SERVER_LIFETIME};
pub use local::LocalAuthority;
