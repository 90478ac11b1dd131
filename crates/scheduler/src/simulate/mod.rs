//! What would have happened: a load, run through the real scheduler against a fleet that is only described.
//!
//! A [`Load`] says which workers there are and when, how queues share them, and when which job arrives, what it asks for
//! and how long it runs. [`run`] lets virtual time pass from event to event, with the same [`Scheduler`](crate::Scheduler)
//! that decides in earnest, and [`Report`] says how long jobs waited and how well workers were used. Nothing is drawn by
//! chance: the same load has the same report.
//!
//! ```
//! use std::time::Duration;
//!
//! use jobyard_core::{JobId, WorkerId};
//! use jobyard_scheduler::simulate::{self, Load, LoadJob, LoadWorker};
//! use jobyard_scheduler::{JobDemand, WorkerOffer};
//!
//! let worker: WorkerId = "0190a0b0-0000-7000-8000-0000000000aa".parse()?;
//! let mut load = Load::default();
//! load.workers.push(LoadWorker::new(WorkerOffer::new(worker, "forge")));
//! for number in 0..3 {
//!     let job: JobId = format!("0190a0b0-0000-7000-8000-00000000000{number}").parse()?;
//!     // All arrive at the beginning, and run for a minute.
//!     let demand = JobDemand::new(job, number);
//!     load.jobs.push(LoadJob::new(demand, Duration::ZERO, Duration::from_mins(1)));
//! }
//! let report = simulate::run(&load)?;
//! assert_eq!(report.makespan, Duration::from_mins(3));
//! assert_eq!(report.queues[0].waits.max, Duration::from_mins(2));
//! assert_eq!(report.workers[0].used["slots"], 1000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is simple here
//!
//! Each job has one attempt, which begins in the moment in which it gets its worker, and takes its time whatever else
//! runs there. The scheduler is not told how long that is, unless the [demand](crate::JobDemand::expected) says it. A
//! worker is connected from when it joins; when it leaves, it gets no more jobs, and those that it has run to their end. What
//! workers hold for the warm placement stays as their offer says. The fleet is known from the beginning.
//!
//! Things of the same moment happen in this order: jobs end, workers join, workers leave, jobs arrive; and of each kind
//! in the order in which the jobs were started or the load lists them.

mod check;
mod load;
mod report;
mod run;
mod tally;
mod timeline;

pub use check::{LoadError, MAX_LOAD_JOBS, MAX_LOAD_WORKERS};
pub use load::{Load, LoadJob, LoadQueue, LoadWorker};
pub use report::{NeverStarted, QueueReport, Report, Waits, WorkerReport};
pub use run::{MAX_IDLE_DEADLINES, run};
