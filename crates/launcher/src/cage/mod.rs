//! Cages: what keeps hold of all processes of one attempt.
//!
//! # What
//!
//! A launcher probes its machine once ([`Cages::probe`]), and then takes a cage for each attempt. A cage knows how a
//! process enters it, how all of its processes are killed, how it is proven that none is left, which limits hold, and
//! what was used. It knows nothing of how processes are started.
//!
//! # The life of a cage
//!
//! `take` → the child enters (see the entry) → `entered` with the process that was forked → `kill`, as often as is
//! needed → `give_back` once it is proven empty, or `abandon` if it cannot be emptied. Its [`CageName`] is written down
//! before the fork: with it whoever finds a dead launcher ends what is left ([`CageName::end_left_over`]).

#[expect(
    clippy::module_inception,
    reason = "one cage among all that makes cages"
)]
mod cage;
mod cages;
mod capabilities;
mod cgroup1;
mod cgroup2;
mod device;
mod facts;
mod freezer;
mod group;
mod leaf;
mod leaf_pool;
mod left_over;
mod mounts;
mod name;
mod plan;
mod probe;
mod processes;
mod removals;
mod self_check;
mod trial;
mod trial_run;
mod usage;

pub(crate) use self::cage::Cage;
pub use self::cages::{CageOptions, Cages};
pub use self::name::{CageName, LeftOver};
pub(crate) use self::processes::parent;
pub use self::self_check::{Check, self_check};

#[cfg(test)]
mod tests;
