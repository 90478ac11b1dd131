//! Runs one attempt and ends it properly: the job supervisor of Jobyard, usable alone.
//!
//! # What
//!
//! * [`Supervisor`]: the pure life cycle of one attempt. It is told what happens and says what to do: start,
//!   signal, kill, clean up, report. No IO, no clock, no runtime.
//! * [`supervise`]: the tokio task around it, for any [`Executor`](jobyard_core::Executor). What happens comes back
//!   through a bounded channel; a [`SupervisorHandle`] stops the attempt.
//! * [`ProcessExecutor`]: the executor for programs of the operating system.
//! * [`launcher`]: the way to the small process that starts jobs for it, keeps hold of them, and outlives this program.
//!
//! # Theory of operation
//!
//! All decisions are made in one place that can be tested without a process: timeout, grace, a stop that comes while
//! the start is not answered, an exit that comes together with a stop. The task only waits for the execution, the
//! orders and the next deadline, tells the supervisor, and does what it says. It reports the end only when the executor
//! has made sure that nothing of the attempt is left, and says what had to be killed for that.
//!
//! The process executor builds the environment instead of inheriting it, runs each attempt in private directories, and
//! hands on its output as bytes. With a launcher, each attempt is in a cage that nothing of it survives, limits are
//! enforced where the machine can, and a later life of this program finds what runs and what has ended
//! ([`adopt`]). Without one, an attempt is a process group, whose main process is not reaped before the group has been dealt
//! with, so that no signal can ever reach a stranger whose process has the same number. Neither way installs a signal
//! handler: on Linux, deaths are learned from process descriptors.
//!
//! Launchers exist on Linux only. On macOS an attempt is a process group, on Windows a job object, which ends with this
//! program; what differs there is told at [`ProcessExecutor`]. For both systems the code is checked by the compiler only.
//!
//! # Example
//!
//! ```
//! # #[cfg(unix)]
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use jobyard_clock::SystemClock;
//! use jobyard_core::{
//!     AttemptContext, AttemptId, AttemptNumber, Exit, ExecutorSpec, JobId, JobSpec, Outcome, Output, OutputSink,
//!     OutputStream, PROCESS_EXECUTOR,
//! };
//! use jobyard_executor::{ProcessConfig, ProcessExecutor, SupervisorEvent, supervise};
//! use tokio::sync::mpsc;
//!
//! /// Prints what the job prints.
//! struct Terminal;
//!
//! #[async_trait::async_trait]
//! impl OutputSink for Terminal {
//!     async fn write(&self, stream: OutputStream, bytes: Bytes) {
//!         println!("{stream:?}: {}", String::from_utf8_lossy(&bytes));
//!     }
//! }
//!
//! let config = ProcessConfig::command(["sh", "-c", "echo hello; exit 7"]).to_config_string();
//! let spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config)).validate()?;
//! let id = AttemptId::new(JobId::from_uuid(uuid::Uuid::now_v7()), AttemptNumber::FIRST);
//! let scratch = std::env::temp_dir().join(id.job.to_string());
//!
//! let (events, mut reports) = mpsc::channel(8);
//! let handle = supervise(
//!     Arc::new(ProcessExecutor::new()),
//!     AttemptContext::new(id, spec, scratch),
//!     Output::new(Arc::new(Terminal)),
//!     Arc::new(SystemClock::new()),
//!     events,
//! );
//! let mut outcome = None;
//! while let Some((_, event)) = reports.recv().await {
//!     match event {
//!         SupervisorEvent::Started { pid, .. } => println!("runs as {pid:?}"),
//!         SupervisorEvent::Finished(ending) => outcome = Some(ending.outcome),
//!         _ => {}
//!     }
//! }
//! assert_eq!(outcome, Some(Outcome::Failed { exit: Exit::Exited(7) }));
//! # drop(handle);
//! # Ok(())
//! # }
//! # #[cfg(not(unix))]
//! # fn main() {}
//! ```

#![forbid(unsafe_code)]

pub mod launcher;
mod process;
mod supervise;
pub mod supervisor;

pub use process::{
    ClosedWayError, DEFAULT_PATH, FindUserError, IsolationError, JobUser, MAX_ARGUMENT_BYTES,
    OUTPUT_DRAIN, ProcessConfig, ProcessExecutor, Unenforceable,
};
pub use supervise::{Events, LeftBehind, SupervisorHandle, adopt, supervise};
pub use supervisor::{Ending, Supervisor, SupervisorEvent};
