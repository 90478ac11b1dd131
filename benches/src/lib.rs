//! What the benchmarks of Jobyard are made of.
//!
//! # What
//!
//! | part | is |
//! |---|---|
//! | [`raw`] | how fast this machine starts and reaps processes, with nothing else |
//! | [`tiny`] | a program that is as small as can be |
//! | [`consumption`] | what a process consumes: processor time and memory |
//! | [`bare`] | a master and a worker of tonic and mutual TLS that can do nothing but run `/bin/true`, or move bytes: the yardsticks |
//! | [`supervised`] | an executor and its supervisor alone: what the worker adds to starting a process |
//! | [`cluster`] | the real `jobyard-master` and `jobyard-worker`, as processes of their own, and a client |
//! | [`figures`] | medians, percentiles and rates |
//! | [`scheduling`] | loads for the scheduler alone, a scan-all matcher and an ordered set beside it |
//! | [`revision`] | of what, and by which compiler, the programs were made |
//! | [`at_least_one`] | a number on the command line of a benchmark |
//! | [`machine`] | what the figures were measured on |
//!
//! # Theory of operation
//!
//! Machines differ, and one machine differs from hour to hour. So a benchmark never claims an absolute figure: it
//! measures a yardstick in the same run, in turns with the real thing, and claims the ratio. Each round takes all of
//! them once, and what is printed last are medians over the rounds, of the ratios too.
//!
//! The yardstick of the end-to-end benchmark does what cannot be left out: messages over a long-lived stream with
//! mutual TLS, a process started the way the process executor does it, its two pipes read to the end, its exit sent
//! back. It queues nothing, stores nothing and supervises nothing.
//!
//! The yardstick of output is such a pair as well: it sends bytes over one stream and keeps nothing. Jobs, launcher, worker
//! and master, with a disk on both sides and a reader behind it, can only be slower.
//!
//! The yardstick of the scheduler is one key that leaves an ordered set of a million, and one that comes in: less than
//! that, no scheduler with an order among a million jobs can do for one job that ends and one that comes. Beside it stands
//! what is usually done instead: to look at every worker and every job.
//!
//! # Example
//!
//! ```
//! use jobyard_benches::figures::median;
//!
//! let rates = [3_100.0, 2_900.0, 3_000.0];
//! assert_eq!(median(&rates), Some(3_000.0));
//! ```
//!
//! Run them with `cargo bench -p jobyard-benches --bench end_to_end`, `--bench spawn`, `--bench restart`, `--bench scheduler`
//! and `--bench logs`;
//! `-- --help` shows their options. `--bench scheduler_instructions --features instructions` counts instructions instead of time: the gate
//! against getting slower, since the count hardly differs from run to run.

#![forbid(unsafe_code)]

mod at_least_one;
pub mod bare;
pub mod cluster;
pub mod consumption;
pub mod figures;
pub mod machine;
mod program;
pub mod raw;
pub mod revision;
pub mod scheduling;
pub mod supervised;
pub mod tiny;

pub use at_least_one::at_least_one;
pub use program::PROGRAM;
