//! Real processes under the supervisor, one group of behaviours per file.
#![cfg(target_os = "linux")]

mod workbench;

mod adopt;
mod busy;
mod directory;
mod environment;
mod exit;
mod output;
mod start;
mod stop;
mod tree;
