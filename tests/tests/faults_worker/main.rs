//! Workers, their launchers and their machines fail under real jobs.
//!
//! The names begin with the row of the list of faults. More of FW1 to FW5 is in `adoption`.
#![cfg(target_os = "linux")]

mod drain;
mod killed;
mod power;
mod starts;
mod stuck;
mod upgrade;
