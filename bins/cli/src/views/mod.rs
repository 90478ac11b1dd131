//! What `--json` shows. Programs rely on these keys: they are only ever added to.

mod audit;
mod event;
mod explanation;
mod job;
mod limits;
mod log_line;
mod outcome;
mod queue;
mod residue;
mod resources;
mod status;
mod submitted;
mod time;
mod token;
mod worker;

pub(crate) use audit::AuditView;
pub(crate) use event::EventView;
pub(crate) use explanation::{ExplanationView, help_text, verdict};
pub(crate) use job::{JobView, command};
pub(crate) use limits::limits_text;
pub(crate) use log_line::{LogLine, log_state};
pub(crate) use outcome::OutcomeView;
pub(crate) use queue::QueueView;
pub(crate) use residue::{names as unenforced, residue_lines};
pub(crate) use status::StatusView;
pub(crate) use submitted::{StoppedView, SubmittedView};
#[cfg(test)]
pub(crate) use time::tests::at as time_at;
pub(crate) use time::{duration, time};
pub(crate) use token::TokenView;
pub(crate) use worker::WorkerView;
