//! Who runs where, and why not: a scheduler as a plain value.
//!
//! # What
//!
//! [`Scheduler`] matches queued jobs to workers. A host tells it what happened ([`Event`]: a job was queued, a worker
//! came, a job ended) and gets back what was decided ([`Decision`]). Ask it why a job waits and it
//! [explains](Scheduler::explain) itself with reasons as data. It has no runtime, no clock, no randomness and no IO, so
//! it can be used in any program, and the same events always give the same decisions.
//!
//! # Example
//!
//! ```
//! use jobyard_core::{JobId, Now, WaitVerdict, WorkerId};
//! use jobyard_scheduler::{Availability, Decision, Event, JobDemand, Scheduler, Wants, WorkerOffer};
//! use uuid::Uuid;
//!
//! let (mut scheduler, mut out, now) = (Scheduler::new(), Vec::new(), Now::default());
//! let (worker, job) = (WorkerId::from_uuid(Uuid::from_u128(1)), JobId::from_uuid(Uuid::from_u128(2)));
//!
//! let wants = Wants::meeting(vec!["os=linux".parse()?, "cores>=8".parse()?]);
//! scheduler.handle(now, Event::JobQueued(JobDemand::of(job, 1, wants)), &mut out);
//! scheduler.handle(now, Event::FleetKnown, &mut out);
//! let why = scheduler.explain(job).expect("it waits");
//! assert_eq!(why.verdict, Some(WaitVerdict::Never)); // `NoWorkers`
//!
//! let mut offer = WorkerOffer::new(worker, "builder-1");
//! offer.tags.insert("os=linux".parse()?)?;
//! offer.tags.insert("cores=16".parse()?)?;
//! scheduler.handle(now, Event::WorkerJoined(offer), &mut out);
//! let availability = Availability::Available;
//! scheduler.handle(now, Event::WorkerAvailability { worker, availability }, &mut out);
//! assert_eq!(out, [Decision::Assigned { job, worker }]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Theory of operation
//!
//! **What is decided** stands in [`policy_in_full`], ties included: requirements and exclusive tags; slots and other
//! resources; classes of queues with ageing, then weighted fair share by dominant resource and running time; priority,
//! then first come first served; caps of queues and limits of groups; placement by load, preference, warmth or a host's
//! own [`Score`]; room that is kept for jobs that would be passed over for ever. A slow program that follows that text
//! literally lives in the tests of this crate and has to agree with this one at every event of random histories.
//!
//! **Nothing is left over.** After each event no job waits that could start. So the next event can only concern what it
//! changes: a worker with more room, a queue or a group that opens, a line with another head. Nothing else is looked at,
//! and nothing waits for a tick.
//!
//! **Alike is one.** Jobs that want the same of the same queue stand in one *line*, and only its head is looked at. What
//! jobs ask for is interned. Workers for which the same of all asked-for facts are true are of one *kind*; a kind knows
//! in a bit set which needs it meets. A fact that nobody asked about before parts the kinds of which it is true of some
//! members only, and they become one again when nobody asks any more.
//!
//! **Cost.** With *L* lines in the queues that go first and not a match among them, a freed worker looks at each of those
//! heads once, or, if fewer lines suit it than that, at these alone. A new job behind an equal one that waits costs one
//! insertion. Whether there is room for something is asked again only when a worker that suits it has got more. A worker
//! that comes or changes costs its tags, and each need once if nobody is like it.
//!
//! **Why not.** [`Scheduler::explain`] reads the same tables, so a verdict cannot disagree with a decision. `Never` means
//! that no worker it knows could hold the job even when idle, available or not; until [`Event::FleetKnown`], and while
//! the [fleet may grow](Event::FleetMayGrow), it says `NotKnownYet` instead.
//!
//! **Around it.** [`trace`] records events so that the same decisions replay bit by bit; [`simulate`] plays a recorded
//! load against a fleet that does not exist yet.

#![forbid(unsafe_code)]

mod amounts;
mod demand;
mod event;
mod explain;
mod fleet;
mod groups;
mod heads;
mod hopeless;
mod jobs;
mod lines;
mod lining;
mod load;
mod needs;
mod offer;
mod placement;
mod policy;
mod queues;
mod ring;
mod scheduler;
mod settle;
mod shapes;
pub mod simulate;
mod take_in;
mod terms;
pub mod trace;
mod turning;
mod walk;
#[doc = include_str!("../POLICY.md")]
pub mod policy_in_full {}

pub use demand::{JobDemand, Wants, WantsDraft};
pub use event::{Decision, Event};
pub use load::load;
pub use offer::{Availability, WorkerOffer, WorkerUse};
pub use policy::{MAX_SCORED, Placement, Policy, Score, ScoredJob, ScoredWorker};
pub use queues::MAX_IDLE_QUEUES;
pub use ring::ring_place;
pub use scheduler::{QueueState, Scheduler};
pub use shapes::MAX_IDLE_WANTS;
