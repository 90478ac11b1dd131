//! The launcher as a process, with real jobs.

#![cfg(target_os = "linux")]

mod client;

mod life;
