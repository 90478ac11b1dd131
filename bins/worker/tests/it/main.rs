//! The program against a real master.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

#[cfg(target_os = "linux")]
mod doctor;
mod program;
mod support;
#[cfg(target_os = "linux")]
mod survival;
