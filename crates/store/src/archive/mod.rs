//! Where sealed logs may go from the master's disk.

mod contract;
mod directory;
#[cfg(feature = "object-store")]
mod http;
#[cfg(feature = "object-store")]
mod object;
mod place;

pub use contract::{ArchiveError, LogArchive};
pub use directory::DirectoryArchive;
#[cfg(feature = "object-store")]
pub use object::{InvalidArchive, ObjectArchive};
pub(crate) use place::Place;
