//! The Jobyard master: queues jobs, matches them to workers, and remembers everything.
//!
//! # What
//!
//! [`Daemon`] is a whole master on one data directory and one port, as the shipped binary has it. [`Master`] is the same
//! without network and files: a host program brings the parts in a [`MasterConfig`] and talks to it through
//! [`Control`](jobyard_core::Control). [`engine`] is the brain alone, for simulations and tests.
//!
//! # Theory of operation
//!
//! One task owns the [`engine::Engine`], a pure state machine that owns the scheduler. Requests of clients, messages of
//! workers and deadlines reach it over one bounded channel. What it decides comes out as *changes*, records to write,
//! and *effects*, messages to send, which belong together: the task commits the changes, one batch at a time, and
//! carries out the effects only against the proof that their batch is durable. While one commit is in flight the next
//! batch grows, so under load hundreds of jobs share an fsync, and a job that is alone waits for nobody. A commit
//! that finds no room is tried again, and heartbeats are answered meanwhile. If one fails otherwise, the term ends: the
//! engine is dropped, and a new one is made from what the store remembers.
//!
//! Output does not pass the engine. It goes from a worker's upload link to the log store, which wakes followers; the
//! engine only learns that a log is settled.
//!
//! A worker that connects lists all that it holds. The engine compares that with its own books and answers keep, stop or
//! forget for each attempt; so a restart of either side loses nothing and starts nothing twice.
//!
//! # Example
//!
//! ```no_run
//! use jobyard_core::{Caller, ExecutorSpec, JobId, JobSpec, Jobs, NewJob};
//! use jobyard_master::{Daemon, DaemonConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let daemon = Daemon::open(DaemonConfig::new(".jobyard", "127.0.0.1:7411".parse()?)).await?;
//! let spec = JobSpec::new(ExecutorSpec::new("process", r#"{"command": ["true"]}"#)).validate()?;
//! let id = JobId::from_uuid(uuid::Uuid::now_v7());
//! daemon.master().submit(&Caller::host(), vec![NewJob::new(id, spec)]).await?;
//! let job = daemon.master().wait(&Caller::host(), id).await?;
//! println!("{:?}", job.outcome);
//! daemon.shutdown().await;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod backup;
mod client_threads;
mod config;
mod daemon;
pub mod engine;
pub mod records;
mod shell;

pub use backup::{BackUpError, back_up, restore};
pub use config::{ConfigCheck, MasterConfig};
pub use jobyard_scheduler::{Placement, Policy};

pub use daemon::{DEFAULT_LISTEN, Daemon, DaemonConfig, DaemonError};
pub use engine::{Retention, Timings};
pub use shell::{Master, MasterEnded, StartError};
