//! What the benchmarks of Jobyard are made of.
//!
//! # What
//!
//! | part | is |
//! |---|---|
//! | [`raw`] | how fast this machine starts and reaps processes, with nothing else |
//! | [`bare`] | a master and a worker of tonic and mutual TLS that can do nothing but run `/bin/true`: the yardstick |
//! | [`supervised`] | the process executor and its supervisor alone: what the worker adds to starting a process |
//! | [`cluster`] | the real `jobyard-master` and `jobyard-worker`, as processes of their own, and a client |
//! | [`figures`] | medians, percentiles and rates |
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
//! # Example
//!
//! ```
//! use jobyard_benches::figures::median;
//!
//! let rates = [3_100.0, 2_900.0, 3_000.0];
//! assert_eq!(median(&rates), Some(3_000.0));
//! ```
//!
//! Run it with `cargo bench -p jobyard-benches --bench end_to_end`; `-- --help` shows its options.

#![forbid(unsafe_code)]

pub mod bare;
pub mod cluster;
pub mod figures;
pub mod machine;
mod program;
pub mod raw;
pub mod supervised;

pub use program::PROGRAM;
