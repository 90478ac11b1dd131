//! When a worker takes no jobs for its machine's sake.
//!
//! # What
//!
//! * [`Protection`]: the thresholds.
//! * [`Readings`]: the machine as it is; [`Readings::of_this_machine`] reads it.
//! * [`Guard`]: compares the two, purely, and says what there is to complain about.
//!
//! # Theory of operation
//!
//! The worker looks at its machine when something happens: an attempt has ended, it is about to connect, a heartbeat is
//! due, or the kernel says that tasks wait for memory. What is beyond a threshold becomes a complaint, and stays one
//! until it is well within again, so that a worker at the edge does not change its mind with each look. The words of a
//! complaint are those of its beginning.
//!
//! What runs goes on. What the master has sent before it heard of the complaint is run as well, unless the disk is so
//! full that the worker could not write down what becomes of it.

mod guard;
mod pressure;
mod readings;
mod thresholds;

pub use self::guard::{Guard, Judgement};
pub(crate) use self::pressure::MemoryPressure;
pub use self::readings::{DiskReading, MemoryReading, Readings};
pub use self::thresholds::{FULL_DISK, Protection};
