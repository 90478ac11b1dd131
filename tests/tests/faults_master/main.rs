//! The master dies, its disk is full or fails, it is restored or upgraded, and its whole fleet comes at once.
//!
//! The names begin with the row of the list of faults. Not here: output (FM3), certificates (FM4), several masters (FM5),
//! and steps of the wall clock (FM14), which the simulation makes, since a test cannot set the clock of its machine.
#![cfg(target_os = "linux")]

mod site;

mod disk;
mod failpoints;
mod fleet;
mod restart;
mod restore;
