//! Loads for the scheduler alone, and what it is compared with.

mod kind;
mod limits;
mod matcher;
mod room;
mod scan_all;
mod shape;
mod stopwatch;
mod tags;
mod workload;
mod yard;
mod yardstick;

pub use kind::Kind;
pub use matcher::Matcher;
pub use scan_all::ScanAll;
pub use shape::{Groups, Shape, Target};
pub use stopwatch::Stopwatch;
pub use workload::{Workload, worker_id};
pub use yard::{Placed, Yard};
pub use yardstick::Yardstick;
