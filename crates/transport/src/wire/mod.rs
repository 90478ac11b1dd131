//! The door between the wire and the vocabulary of `jobyard-core`.
//!
//! Outwards every value has a message: `From`. Inwards every message is checked: `TryFrom`, whose error names the
//! field. A variant that a later `core` adds and this crate does not know yet goes out as "unspecified", which every
//! receiver refuses.

mod common;
mod complaint;
mod control;
mod enrolment;
mod error;
mod event;
mod explanation;
mod field;
mod fleet;
mod frames;
#[cfg(test)]
mod golden;
mod help;
#[cfg(test)]
mod hostile;
mod invalid;
mod job;
mod lack;
mod limits;
mod outcome;
mod queue;
mod residue;
mod resources;
mod secret;
mod session;
mod spec;
mod upload;
mod wait_reason;

pub(crate) use error::{control_error, refusal};
pub(crate) use field::{id, id_bytes, required};
pub(crate) use fleet::set_worker_request;
pub(crate) use frames::{master_frames, upload_frames, worker_frames};
pub(crate) use invalid::InvalidMessage;
pub(crate) use job::stop_request;
pub(crate) use queue::{QueuePage, after_queue, set_queue_request};
