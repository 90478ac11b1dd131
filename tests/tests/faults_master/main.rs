//! The master dies, its disk is full or fails, it is restored or upgraded, and its whole fleet comes at once.
//!
//! The names begin with the row of the list of faults. Not here: output (FM3), certificates (FM4), several masters (FM5),
//! and steps of the wall clock (FM14): a test
//! cannot set the clock of its machine, so the simulation does (`Fault::WallClockJumped` in `crates/sim`).
#![cfg(target_os = "linux")]

mod disk;
mod failpoints;
mod fleet;
mod restart;
mod restore;
