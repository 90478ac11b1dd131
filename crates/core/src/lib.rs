//! The vocabulary of Jobyard, and the contracts between its parts.
//!
//! # What
//!
//! Jobyard runs other people's jobs on other people's machines. Whatever two of its parts have to agree on stands
//! here: ids, tags and requirements, the validated job spec, jobs and attempts and how they end, workers, the messages
//! of a session, and the *ports*, traits that a host program can implement to replace a part:
//!
//! | port | question | kept by |
//! |---|---|---|
//! | [`Store`] | what does the master remember? | `jobyard-store` |
//! | [`LogStore`] | where is the output? | `jobyard-store` |
//! | [`Executor`] | how does one attempt run? | `jobyard-executor` |
//! | [`Transport`] | how do a worker and its master talk? | `jobyard-transport` |
//! | [`CertAuthority`] | who is who? | `jobyard-pki` |
//! | [`Control`] | what can a person or a host ask? | `jobyard-master`, `jobyard-transport` |
//! | [`Clock`] | what time is it? | `jobyard-clock` |
//!
//! # Theory of operation
//!
//! There is no IO, no clock and no randomness in this crate. Values that come from people have one constructor, which
//! checks them ([`JobSpec::validate`], [`Tag`]'s parser), so that whoever holds one need not check again. Everything
//! about an execution carries its [`AttemptId`]; a stale one is refused. What an ending means is decided in one table,
//! [`Outcome::rule`]. Each trait says in its documentation what holds on return, what may be repeated, what happens when
//! a future is dropped, and which errors mean "try again"; `jobyard-testkit` holds the suites that check it.
//!
//! # Example
//!
//! ```
//! use jobyard_core::{ExecutorSpec, JobSpec, Requirement, Tag, TagSet};
//!
//! let mut spec = JobSpec::new(ExecutorSpec::new("process", r#"{"command": ["make"]}"#));
//! spec.requirements.push("os=linux|darwin".parse::<Requirement>()?);
//! let spec = spec.validate()?;
//!
//! let offered = TagSet::try_from(vec!["os=linux".parse::<Tag>()?])?;
//! assert!(spec.requirements.iter().all(|requirement| requirement.is_met_by(&offered)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod authority;
mod control;
mod event;
mod executor;
mod explanation;
mod ids;
mod job;
mod limits;
mod log;
mod mutation;
mod outcome;
mod quantity;
mod requirement;
mod resources;
mod secret;
mod session;
mod spec;
mod store;
mod tag;
mod text;
mod time;
mod transport;
mod worker;
mod written;

pub use authority::*;
pub use control::*;
pub use event::*;
pub use executor::*;
pub use explanation::*;
pub use ids::*;
pub use job::*;
pub use limits::*;
pub use log::*;
#[doc(hidden)]
pub use mutation::*;
pub use outcome::*;
pub use quantity::*;
pub use requirement::*;
pub use resources::*;
pub use secret::*;
pub use session::*;
pub use spec::*;
pub use store::*;
pub use tag::{InvalidTag, MAX_TAG_BYTES, MAX_TAGS, Tag, TagSet};
pub use text::*;
pub use time::*;
pub use transport::*;
pub use worker::*;
pub use written::*;
