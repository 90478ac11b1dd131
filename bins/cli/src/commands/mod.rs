//! The commands, one module each.

pub(crate) mod audit;
pub(crate) mod dev;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod jobs;
pub(crate) mod logs;
pub(crate) mod queue;
pub(crate) mod queues;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod submit;
pub(crate) mod token;
pub(crate) mod wait;
pub(crate) mod worker;
pub(crate) mod workers;
