//! Who runs where, and why not: a scheduler as a plain value.

#![forbid(unsafe_code)]

mod demand;
mod event;
mod load;
mod offer;
mod policy;
mod ring;
mod scheduler;

#[doc = include_str!("../POLICY.md")]
pub mod policy_in_full {}

pub use demand::{JobDemand, Wants, WantsDraft};
pub use event::{Decision, Event};
pub use load::load;
pub use offer::{Availability, WorkerOffer, WorkerUse};
pub use policy::{MAX_SCORED, Placement, Policy, Score, ScoredJob, ScoredWorker};
pub use ring::ring_place;
pub use scheduler::{MAX_IDLE_QUEUES, QueueState, Scheduler};
