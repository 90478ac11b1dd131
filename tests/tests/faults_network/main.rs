//! The network fails between real programs: a proxy, or a router between network namespaces, loses what a test says.
//!
//! The names begin with the row of the list of faults. Not here: duplicated, reordered and late messages of whole
//! clusters (FN6), which the simulation makes at every step; enrolment in FN1; several masters (FN7).
#![cfg(target_os = "linux")]

mod site;

mod black_hole;
mod cancel;
mod duplicates;
mod lost_answers;
mod one_way;
mod partitions;
mod quiet;
