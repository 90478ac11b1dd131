//! What jobs try against each other, their worker and their machine, and what holds them: a master, a worker with its
//! launcher, and the CLI, as separate processes.
//!
//! The names begin with the row of the list of attacks that they hold; a table of all rows is in `docs/processes.md`.
//! Needs root, since jobs are run as another user, and control groups.
#![cfg(target_os = "linux")]

mod site;

mod doctor;
mod environment;
mod input;

mod limits;
mod own_user;
mod programs;
mod trees;
mod trespass;
mod unkillable;
