//! Who runs where and when: a master, its workers and the CLI, as separate processes.

mod yard;

mod caps;
mod deadlines;
mod exclusive_tags;
mod explanations;
mod fair_share;
mod groups;
mod priorities;
mod requirements;
mod resources;
mod simulate;
