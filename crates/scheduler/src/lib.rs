//! Who runs where, and why not: a scheduler as a plain value.
//!
//! # What
//!
//! [`Scheduler`] matches queued jobs to workers. A host tells it what happened ([`Event`]: a job was queued, a worker
//! came, a job ended) and gets back who runs where ([`Assignment`]). Ask it why a job waits and it
//! [explains](Scheduler::explain) itself with reasons as data. It has no runtime, no clock, no randomness and no IO, so
//! it can be used in any program, and the same events always give the same assignments.
//!
//! # Theory of operation
//!
//! **Who may run where.** A worker will do for a job if it meets every requirement, is the worker that the job names
//! (if it names one), is [available](Availability::Available), and has as many free slots as the job takes.
//!
//! **Who goes first.** First come, first served: among all queued jobs for which some worker will do *now*, the one
//! with the lowest [`order`](JobDemand::order) goes first, in whatever queue it is; equal orders go by job id. A job
//! that takes many slots does not hold up smaller ones behind it, so a stream of small jobs can keep it waiting.
//!
//! **Who gets it.** The worker with the most free slots. Ties are broken by data, not by chance and not always in
//! favour of the same worker: workers and jobs have a [place on a ring](ring_place), a hash of their ids, and the
//! first worker at or after the job's place wins.
//!
//! **Reservation.** An assignment takes the slots at once. They come back once, with [`Event::JobReleased`], however
//! the attempt ended. A worker's capacity may shrink below what its jobs take: they keep it, and the worker gets
//! nothing until enough of them are gone. Only a host that says so ([`Event::JobPlaced`]) can occupy more than there is.
//!
//! **No scans.** After each event nothing is left that could be placed. So a queued job concerns only itself, and a
//! worker with new room is the only one that can take anything. Equal sets of requirements are interned: each knows
//! which workers meet it and keeps its jobs in order by the slots they take. A freed slot looks at the heads of those
//! lines, never at all jobs; a new job looks at the workers with the most free slots, or, behind an equal job that
//! waits already, at nothing.
//!
//! **Why not.** [`Scheduler::explain`] reads the same table of who meets what, so a verdict cannot disagree with a
//! decision. `Never` means that no worker it knows could run the job even when idle, available or not; until
//! [`Event::FleetKnown`] it says `NotKnownYet` instead.
//!
//! # Example
//!
//! ```
//! use jobyard_core::{JobId, Now, WaitVerdict, WorkerId};
//! use jobyard_scheduler::{Availability, Event, JobDemand, Scheduler, WorkerOffer};
//! use uuid::Uuid;
//!
//! let (mut scheduler, mut out, now) = (Scheduler::new(), Vec::new(), Now::default());
//! let (worker, job) = (WorkerId::from_uuid(Uuid::from_u128(1)), JobId::from_uuid(Uuid::from_u128(2)));
//!
//! let mut demand = JobDemand::new(job, 1);
//! demand.requirements = vec!["os=linux".parse()?];
//! scheduler.handle(now, Event::JobQueued(demand), &mut out);
//! scheduler.handle(now, Event::FleetKnown, &mut out);
//! assert!(out.is_empty());
//! let why = scheduler.explain(job).expect("it waits");
//! assert_eq!(why.verdict, Some(WaitVerdict::Never)); // `NoWorkers`
//!
//! let mut offer = WorkerOffer::new(worker, "builder-1");
//! offer.tags.insert("os=linux".parse()?)?;
//! scheduler.handle(now, Event::WorkerJoined(offer), &mut out);
//! let availability = Availability::Available;
//! scheduler.handle(now, Event::WorkerAvailability { worker, availability }, &mut out);
//! assert_eq!((out[0].job, out[0].worker), (job, worker));
//! assert_eq!(scheduler.explain(job), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod demand;
mod event;
mod explain;
mod fleet;
mod lanes;
mod needs;
mod offer;
mod ring;
mod scheduler;

pub use demand::JobDemand;
pub use event::{Assignment, Event};
pub use lanes::QueueCounts;
pub use offer::{Availability, WorkerOffer, WorkerUse};
pub use ring::ring_place;
pub use scheduler::{MAX_IDLE_NEEDS, Scheduler};
