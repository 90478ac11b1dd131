//! The client of the launchers of one directory.

mod burial;
mod cell;
mod connection;
mod directory;
mod keeper;
mod link;
mod output;
mod process;
mod wire;

pub(crate) use self::cell::{Cell, Stage};
pub(crate) use self::keeper::Keeper;
pub(crate) use self::link::Link;
pub(crate) use self::output::SpoolReader;
