//! The launcher as a process, with real jobs.

#![cfg(target_os = "linux")]

mod client;

mod agents;
mod crash;
mod drain;
mod failures;
mod held_up;
mod kill;
mod life;
mod output;
mod strangers;
mod term;
