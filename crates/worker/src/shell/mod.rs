//! The tokio shell of the [`Agent`](crate::agent::Agent): sockets, disks, clocks and executors.
//!
//! One task owns the agent, the journal and the spool, and takes events from a bounded channel: what the master says,
//! how attempts go, how uploads go. It feeds the agent and carries out the answer before it takes the next event; it
//! waits for nothing else. Beside it there is a task for the session, and one for each attempt and each upload.

mod attempt;
mod config;
mod connection;
mod earlier;
mod environment;
mod event;
mod handle;
mod leftovers;
mod lock;
mod start;
mod task;
mod watch;

pub use self::config::WorkerConfig;
pub use self::handle::WorkerHandle;
pub use self::lock::{DataDirLock, LockError};
pub use self::start::{StartWorkerError, Worker};
