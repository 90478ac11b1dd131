//! The worker: runs the attempts that a master assigns, and owes it what became of them.
//!
//! # What
//!
//! * [`agent`]: what this worker holds and owes, as a pure state machine. No IO, no clock, no runtime.
//! * [`Worker`]: the tokio shell around it. [`Worker::start`] takes a [`WorkerConfig`] and gives a [`WorkerHandle`].
//! * [`journal`] and [`spool`]: what it writes down, and the output of attempts until the master has it.
//! * [`facts`]: what the machine says of itself, as facts and as tags.
//! * [`protection`]: when it takes no jobs for its machine's sake.
//! * [`Identity`]: its key and certificate, and how it gets them with a join token.
//!
//! # Theory of operation
//!
//! An assignment is written to the journal, then started, then acknowledged; so it never starts twice, whatever is lost
//! or repeated on the way. Attempts run on when the session is lost: their output goes to the spool, and everything that
//! the worker holds is in the hello of the next session, to which the master answers for each attempt: keep, stop or
//! forget. Reports are repeated until the master forgets them.
//!
//! Output goes from the executor to files, and from there, by offset, over upload links of its own to the master; what
//! the master calls durable is deleted. A slow or dead master holds up no attempt. After a restart of the worker, its
//! executors look for what ran: an executor with a launcher finds everything again, with the end of what has ended
//! meanwhile; what is not found is reported as `worker_restarted`. An executor is told to forget an attempt once its end
//! is in the journal.
//!
//! Several workers can live in one process, each with a data directory of its own. Nothing is global.
//!
//! # Example
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use jobyard_core::{SessionHandler, WorkerId};
//! use jobyard_executor::ProcessExecutor;
//! use jobyard_transport::InProcess;
//! use jobyard_worker::{Worker, WorkerConfig, agent::ShutdownMode};
//!
//! # async fn example(master: Arc<dyn SessionHandler>, id: WorkerId) -> Result<(), jobyard_worker::StartWorkerError> {
//! let transport = Arc::new(InProcess::new(id, master));
//! let executor = Arc::new(ProcessExecutor::new());
//! let mut config = WorkerConfig::new("worker-data", id, transport, vec![executor]);
//! config.capacity.slots = 4;
//! config.capacity = config.capacity.with("gpu", 1);
//! config.exclusive.insert("gpu".parse().expect("a tag")).expect("one tag");
//! let worker = Worker::start(config).await?;
//! // ... it runs jobs; until:
//! worker.shutdown(ShutdownMode::Drain { timeout: Duration::from_secs(600) }).await;
//! println!("{}", worker.wait().await);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod agent;
pub mod facts;
mod identity;
pub mod journal;
pub mod protection;
mod self_defence;
mod shell;
pub mod spool;
mod uploader;

pub use self::identity::{Identity, IdentityError, JOIN_PATIENCE, Join, JoinError};
pub use self::self_defence::harden_process;
pub use self::shell::{
    DataDirLock, LockError, StartWorkerError, Worker, WorkerConfig, WorkerHandle,
};
pub use self::uploader::{MAX_LINKS, READ_BATCH};
