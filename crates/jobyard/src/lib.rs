//! Run other people's jobs on other people's machines, and lose none of them.
//!
//! # What
//!
//! The Jobyard crates under one name. Take all of it, or by features what you need:
//!
//! | feature | modules | gives you |
//! |---|---|---|
//! | (always) | [`core`] | the vocabulary, and the traits behind which each part can be replaced |
//! | `scheduler` | `scheduler` | who runs where, and why not; no runtime |
//! | `executor` | `executor`, `clock` | run and supervise processes |
//! | `client` | `transport`, `pki` | talk to a master over gRPC and mutual TLS |
//! | `master` (default) | `master`, `store` and those above | be a master |
//! | `worker` (default) | `worker` and those above | be a worker |
//!
//! # Theory of operation
//!
//! There is one way to ask for things, the trait [`Control`](core::Control), whether the master lives in your program or
//! behind a network; and one way to be a worker, over any [`Transport`](core::Transport). So a program that begins with
//! both sides in one process becomes a cluster by changing two lines. Each crate's own first page says how it works.
//!
//! # Example
//!
//! ```
//! use jobyard::prelude::*;
//!
//! let spec = JobSpec::new(ExecutorSpec::new("process", r#"{"command": ["make", "test"]}"#));
//! let job = NewJob::new(new_job_id(), spec.validate()?);
//! # let _ = job;
//! # Ok::<(), InvalidSpec>(())
//! ```

#![forbid(unsafe_code)]

pub use jobyard_core as core;

#[cfg(feature = "executor")]
pub use jobyard_clock as clock;
#[cfg(feature = "executor")]
pub use jobyard_executor as executor;
#[cfg(feature = "master")]
pub use jobyard_master as master;
#[cfg(feature = "client")]
pub use jobyard_pki as pki;
#[cfg(feature = "scheduler")]
pub use jobyard_scheduler as scheduler;
#[cfg(feature = "master")]
pub use jobyard_store as store;
#[cfg(feature = "client")]
pub use jobyard_transport as transport;
#[cfg(feature = "worker")]
pub use jobyard_worker as worker;

mod ids;

/// What most programs need.
pub mod prelude {
    pub use crate::ids::new_job_id;
    pub use jobyard_core::{
        Admin, Caller, Control, ControlError, ExecutorSpec, Explanation, Fleet, Group, InvalidSpec,
        Job, JobId, JobQuery, JobSpec, JobState, Jobs, LimitKind, Limits, LogItem, LogQuery,
        NewJob, Outcome, Preference, QueueChange, QueueInfo, QueueSettings, Requirement, Resources,
        Role, StopOptions, Tag, ValidSpec, Worker,
    };
}
