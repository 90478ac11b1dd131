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
//! machine, a network, disks, processes that take time and print, and shells that do what the
//! real ones do: commit, then carry out effects; write the journal, then go on.
//!
//! All chance comes from one generator that is seeded with the world's number, and nothing is kept in an order that
//! differs between runs, so the same seed and [`Scenario`] give the same history, which the hash in the summary
//! shows. A failure is replayed by its seed.
//!
//! The invariants see [`Fact`]s, which tell what really happened (a process was created, a record became durable, a
//! client was told), never what a brain believes:
//!
//! | id | invariant (one file each) | breaks when |
//! |---|---|---|
//! | I1 | no attempt starts twice | two processes are created for one attempt |
//! | I2 | attempt numbers increase and only the last attempt is live | as it says |
//! | I3 | outcomes are final | a durable outcome changes |
//! | I4 | a stale session or attempt changes nothing and is ended | a record tells of an attempt what did not happen to it, or what is over runs on |
//! | I5 | two attempts of a job overlap only if that is declared | nothing in the records says so, or the job forbids it |
//! | I6 | a stored log is a prefix of what was printed | a byte differs, it has a hole, or more, or its worker has dropped what is not stored |
//! | I7 | a log is complete unless a fault took some of it | bytes are missing although the worker's disk lost nothing and the worker was not given up |
//! | I7 | a finished log says what is missing | a settled log is neither complete nor lost from where it ends |
//! | I8 | a stopped job gets no new attempt | or ends as if nobody had stopped it |
//! | I9 | no resource is ever oversold; the engine's tables agree | attempts take more than there is; its own audit finds a difference |
//! | I10, I15 | no submitted job is lost | a client was told that a job is accepted, and it is not in the store, or never finishes |
//! | I11 | the same job id means the same job | it changes, or is accepted again after it was removed |
//! | I12 | a worker serves later terms only | it serves an earlier one |
//! | I13 | only workers that may are welcomed | one is that was removed, has served a newer term, or speaks otherwise |
//! | I13, I14 | a worker that is suspended or removed gets nothing | a later batch places an attempt there |
//! | I14 | a worker that is drained starts nothing | a process starts after the drain was acknowledged |
//! | I16 | each waiting job has a reason | the engine gives none |
//! | | a worker that complains gets nothing | an attempt is placed there after the master has heard it |
//! | | no group runs more than its jobs allow; no queue runs more than its cap | as it says |
//! | | a job goes only to a worker that suits it | the worker fails a requirement, or keeps itself for others |
//! | | a job that is not repeatable runs once | two of its attempts have a process |
//! | | every retry is paid for | a budget pays too often, or an attempt does not say what it follows |
//! | | events have no gap and tell the truth | a place is missing or given twice |
//! | | silence is noticed within a lease | a side keeps a session on which it hears nothing |
//! | | an end is told once, when nothing is left | something of the attempt may be left, or its end was told before |
//! | | an end that is written down counts | the attempt is taken for lost with its worker |
//! | | no job is blamed for a kill | an attempt has failed by a signal of Jobyard's |
//! | | no job outlives its timeout; what is to be stopped ends | it runs on, and nothing holds up its worker |
//! | | only the silent are given up for lost | the worker was heard all the time |
//! | | a repeated call has one effect | an event of it comes twice in a term |
//! | | nothing is left over | faults have stopped for long, and something still runs, is held, or is waited for |
//!
//! What is not simulated: several masters that lead at once (an old one only answers), a log store that damages bytes,
//! and workers without the abilities that newer masters ask for.
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
mod coverage;
mod env;
mod fact;
mod failure;
mod fault;
mod invariants;
mod master;
mod mutant;
mod network;
mod rng;
mod runner;
mod scenario;
mod summary;
mod trace;
mod trouble;
mod worker;
mod world;

pub use fact::Fact;
pub use failure::Failure;
pub use fault::Fault;
pub use mutant::Mutant;
pub use runner::{Run, run};
pub use scenario::{Sabotage, Scenario};
pub use summary::{Seen, Summary};
pub use trouble::Trouble;
pub use world::{simulate, trace};
