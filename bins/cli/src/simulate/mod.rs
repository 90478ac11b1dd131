//! Loads from files, and reports for people and programs.

mod fleet;
mod job_entry;
mod load_file;
mod plan;
mod recorded;
mod spans;
mod text;
mod view;

pub(crate) use plan::Plan;
pub(crate) use text::text;
pub(crate) use view::SimulationView;
