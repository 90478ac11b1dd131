//! The real thing: a master and a worker as shipped, each a process of its own, and a client of them.
//!
//! [`Programs`] builds or finds the two binaries, [`Cluster`] runs them with an SQLite store on disk and mutual TLS, and
//! [`Load`] is the client: it submits through gRPC with the administrator's profile.

mod load;
mod process;
mod programs;
mod running;

pub use load::Load;
pub use programs::Programs;
pub use running::Cluster;
