//! How processes begin and end: the only part of the launcher, and of the project, that cannot be written in safe Rust.
//!
//! # How a start goes
//!
//! 1. The parent prepares everything that needs memory: strings, Landlock rules, the report pipe.
//! 2. One `clone3` makes the child, inside of its control group and of its PID namespace if it has them. The child is a
//!    copy of the launcher until it executes its program, so it only makes system calls: it takes no lock, allocates
//!    nothing, and cannot panic.
//! 3. The child puts off what it has of the launcher, step by step, and executes the program. A step that fails is written
//!    to the report pipe as a [`Stage`](crate::protocol::Stage) and an error number.
//! 4. The pipe closes by itself when the program is executed. That, or the record of a failure, is the first
//!    [`Report`]; the last ones are how the main process ended and, with a warden, that nothing is left.
//!
//! A copy costs as much as starting a small program does, so most jobs are started without one: where the child makes no
//! namespaces and has no warden, it borrows the launcher's memory until it executes its program (see `vfork`). The thread
//! that starts it stands still until then, so no pipe is needed to hear of it; starts are made by threads that do nothing
//! else, each with its own [`Starter`]. A program that is still being written, for which a child waits, is tried again
//! with a copy.
//!
//! Such a child also has the launcher's table of descriptors at first. To copy hundreds of them, only to close the copies,
//! costs as much as the rest of a start: so what a child needs has low numbers (see `low_fds`), and one of the first things
//! that the child does is to ask for a table of its own with what lies below the end of them alone.
//! Until it has that it changes nothing in the table, and if it cannot have it, it ends.
//!
//! Between its birth and the moment at which the thread that made it has told of it, a child may already be dead, and
//! found by whoever reaps: the [`Newborn`] of the thread says whose it is.
//!
//! # Wardens
//!
//! Where the kernel has no better way to keep hold of a tree, a process of ours stands above it: the [`WardenKind`]. It
//! is the child that the launcher forks, and forks the main process itself. It reaps all that falls to it, and ends when
//! it has no children left. It sees the death of the launcher at its report pipe, and then ends its tree.

mod c_strings;
mod child;
mod child_side;
mod entry;
mod inherited;
mod landlock;
mod limits;
mod low_fds;
mod namespaces;
mod newborn;
mod prepared;
mod probe;
mod raw;
mod record;
mod report;
mod self_protection;
mod signals;
mod spawn;
mod start_time;
mod starter;
mod stat;
mod step;
mod strays;
#[cfg(test)]
mod tests;
mod vfork;
mod warden;

pub(crate) use self::child::Child;
pub(crate) use self::entry::{Entry, OwnedEntry, WardenKind};
use self::inherited::Inherited;
pub(crate) use self::low_fds::{LowNumbers, set_aside};
pub(crate) use self::newborn::Newborn;
pub(crate) use self::probe::{landlock_version, try_namespaces};
pub(crate) use self::report::Report;
pub(crate) use self::self_protection::{be_as_others, be_patient, protect_self};
pub(crate) use self::signals::{Signals, hold_back_signals};
pub(crate) use self::spawn::{Spawn, spawn};
pub(crate) use self::starter::Starter;
pub(crate) use self::strays::{Dead, reap_any};
