//! The tokio shell around the engine: it reads sockets, disks and clocks, feeds the engine, and carries out what the
//! engine wants. It decides nothing about jobs.
//!
//! One task owns the engine ([`term`]); everybody else sends it requests over one bounded channel and waits. Log bytes
//! pass it by: they go from the upload links ([`uploads`]) straight to the log store.

mod arrivals;
mod authorize;
mod blocks;
mod control;
mod effects;
mod ended;
mod enrol;
mod events;
mod failpoint;
mod followers;
mod gate;
mod hub;
mod interregnum;
mod last_lines;
mod log_room;
mod master;
mod ports;
mod replies;
mod requests;
mod sealing;
mod sessions;
mod shared;
mod specs;
mod stall;
mod term;
mod tokens;
mod upkeep;
mod uploads;

pub use ended::MasterEnded;
pub use master::Master;
pub use term::StartError;
