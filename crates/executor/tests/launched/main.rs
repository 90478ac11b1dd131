//! Real processes under the supervisor, started by a launcher; one group of behaviours per file. What holds for both ways
//! of starting them is in the files of the other.
#![cfg(target_os = "linux")]

mod way;
#[path = "../processes/workbench.rs"]
mod workbench;

#[path = "../processes/busy.rs"]
mod busy;
#[path = "../processes/contract.rs"]
mod contract;
#[path = "../processes/directory.rs"]
mod directory;
#[path = "../processes/environment.rs"]
mod environment;
#[path = "../processes/exit.rs"]
mod exit;
#[path = "../processes/output.rs"]
mod output;
#[path = "../processes/start.rs"]
mod start;
#[path = "../processes/stop.rs"]
mod stop;

mod adopt;
mod death;
mod isolation;
mod limits;
mod place;
mod term;
mod tree;
mod upgrade;
