//! Cages on this machine, with real processes and real control groups. They need the rights of the super-user, a freezer
//! and controllers of version 1 and a hierarchy of version 2, as the machines have on which this project is built: a
//! weaker machine is told so by a failure.

mod containment;
mod left_over;
mod limits;
mod machine;
mod recorded;
mod removed;
