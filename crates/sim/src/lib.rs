//! A whole Jobyard cluster in one thread and on virtual time, from a seed: the real brains in a simulated world.
//!
//! # What
//!
//! [`simulate`] runs one world: one master and several workers, clients that submit jobs, and operators that stop jobs and
//! suspend workers, while workers complain about their machines, connections break and stall, programs and machines die and come back, and disks fail. It ends
//! with a [`Summary`] of what happened, or with a [`Failure`] that names the first invariant that did not hold.
//!
//! # Theory of operation
//!
//! The decisions of Jobyard are made in pure state machines: the master's
//! [`Engine`](jobyard_master::engine::Engine) (with its scheduler), the worker's
//! [`Agent`](jobyard_worker::agent::Agent), and the [`Supervisor`](jobyard_executor::Supervisor) of each attempt. They are
//! simulated as they are. Everything around them is made up: an agenda of events ordered by time, a clock for each
//! machine, a network, disks, processes that only take time, output that is only counted, and shells that do what the
//! real ones do: commit, then carry out effects; write the journal, then go on.
//!
//! All chance comes from one generator that is seeded with the world's number, and nothing is kept in an order that
//! differs between runs, so the same seed and [`Scenario`] give the same history, which the hash in the summary
//! shows. A failure is replayed by its seed.
//!
//! The invariants see [`Fact`]s, which tell what really happened (a process was created, a record became durable, a
//! client was told), never what a brain believes:
//!
//! | invariant | breaks when |
//! |---|---|
//! | no submitted job is lost | a client was told that a job is accepted, and it is not in the store, or never finishes |
//! | no attempt starts twice | two processes are created for one attempt |
//! | no resource is ever oversold | live attempts on a worker take more of something than its machine has |
//! | no group runs more than its jobs allow | more live attempts of a group than the largest limit among them |
//! | no queue runs more than its cap | a batch places another job of a full queue |
//! | a job goes only to a worker that suits it | the worker fails a requirement, or keeps itself for others |
//! | a job that is not repeatable runs once | two of its attempts have a process |
//! | outcomes are final | a durable outcome changes |
//! | attempt numbers increase and only the last attempt is live | as it says |
//! | a stopped job gets no new attempt | after the stop was acknowledged |
//! | a worker that is suspended or removed gets nothing | a later batch places an attempt there |
//! | a worker that complains gets nothing | an attempt is placed there after the master has heard it |
//! | the engine's tables agree | its own audit finds a difference |
//! | nothing is left over | faults have stopped for long, and something still runs, is held, or is waited for |
//!
//! What is not simulated yet: messages that arrive twice, clocks that run at different rates, several masters, and a log
//! store that loses or damages bytes.
//!
//! # Example
//!
//! ```
//! use jobyard_sim::{Scenario, simulate};
//!
//! let summary = simulate(7, &Scenario::calm())?;
//! assert!(summary.faults.is_empty() || summary.missing_faults().len() > 20);
//! assert_eq!(simulate(7, &Scenario::calm())?.hash, summary.hash);
//! # Ok::<(), Box<jobyard_sim::Failure>>(())
//! ```

#![forbid(unsafe_code)]

mod agenda;
mod clients;
mod env;
mod fact;
mod failure;
mod fault;
mod invariants;
mod master;
mod network;
mod rng;
mod scenario;
mod summary;
mod trace;
mod worker;
mod world;

pub use fact::Fact;
pub use failure::Failure;
pub use fault::Fault;
pub use scenario::{Sabotage, Scenario};
pub use summary::Summary;
pub use world::simulate;
