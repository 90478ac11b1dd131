//! Workers with real processes, real files and a master that does what the test says.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod gate;
mod lease;
mod offer;
mod output;
mod reconnect;
#[cfg(target_os = "linux")]
mod restart;
mod run;
mod shutdown;
mod support;
#[cfg(target_os = "linux")]
mod survive;
