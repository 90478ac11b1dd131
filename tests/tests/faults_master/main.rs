//! The master dies, its disk is full or fails, it is restored or upgraded, and its whole fleet comes at once.
//!
//! The names begin with the row of the list of faults. Not here: output (FM3), certificates (FM4), and several masters
//! (FM5). Nobody can set the clock of one program alone, so in FM14 it is the program that takes it for wrong; clocks of
//! whole clusters are wrong in the simulation (`Fault::WallClockJumped` in `crates/sim`).
#![cfg(target_os = "linux")]

mod clock;
mod disk;
mod failpoints;
mod fleet;
mod restart;
mod restore;
