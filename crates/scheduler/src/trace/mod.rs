//! A compact record of what went into a scheduler, from which the same decisions come out again, bit by bit.
//!
//! A [`Recorder`] stands in front of a scheduler and writes down each event with its time. [`Replay`] reads that, feeds
//! a new scheduler, and compares: after each event the record holds a short digest of the decisions that followed, so
//! that a replay by another version says at which event it departs, not only that it does.
//!
//! ```
//! use jobyard_core::{JobId, Now, WorkerId};
//! use jobyard_scheduler::trace::{Recorder, Replay};
//! use jobyard_scheduler::{Availability, Event, JobDemand, Scheduler, WorkerOffer};
//!
//! let job: JobId = "0190a0b0-0000-7000-8000-000000000001".parse()?;
//! let worker: WorkerId = "0190a0b0-0000-7000-8000-0000000000aa".parse()?;
//! let availability = Availability::Available;
//!
//! let mut scheduler = Scheduler::new();
//! let mut recorder = Recorder::new(scheduler.policy());
//! let mut out = Vec::new();
//! for event in [
//!     Event::WorkerJoined(WorkerOffer::new(worker, "forge")),
//!     Event::WorkerAvailability { worker, availability },
//!     Event::JobQueued(JobDemand::new(job, 1)),
//! ] {
//!     recorder.handle(&mut scheduler, Now::default(), event, &mut out);
//! }
//! let bytes = recorder.take();
//!
//! let mut again = Vec::new();
//! for step in Replay::new(&bytes)? {
//!     again.extend(step?.decisions);
//! }
//! assert_eq!(again, out);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Format
//!
//! Eight bytes: `JYTRACE` and the version, 1. Then records: the length of the body, the body, and four bytes of checksum
//! (FNV-1a, little-endian). The first body is the policy; each further one is an event: its kind, how far both clocks
//! moved, its values, the number of decisions and, if there are any, four bytes of their digest (FNV-1a over kind and
//! ids). Numbers are LEB128, signed ones zigzag. Texts of up to [`MAX_TABLE_TEXT`] bytes and whole wants stand in tables
//! that both sides fill alike, so that a repeat costs one to three bytes; ids are written as what differs from the last
//! one. [`hash_seed`](crate::Policy::hash_seed) is not written: it decides nothing, and is nobody's business.

mod decoder;
mod digest;
mod encoder;
mod reader;
mod recorder;
mod replay;
mod table;
mod writer;

pub use recorder::{MAX_PENDING_BYTES, Recorder};
pub use replay::{Replay, ReplayError, Step};
pub use table::{MAX_TABLE_BYTES, MAX_TABLE_ENTRIES, MAX_TABLE_TEXT};

/// Where every trace begins.
const MAGIC: [u8; 7] = *b"JYTRACE";

/// Of the format. Changes with every change of a record's meaning.
const VERSION: u8 = 1;

/// What stands at the beginning of an event's body.
mod kind {
    pub(super) const JOB_QUEUED: u8 = 1;
    pub(super) const JOB_WITHDRAWN: u8 = 2;
    pub(super) const JOB_PLACED: u8 = 3;
    pub(super) const JOB_RELEASED: u8 = 4;
    pub(super) const WORKER_JOINED: u8 = 5;
    pub(super) const WORKER_CHANGED: u8 = 6;
    pub(super) const WORKER_HOLDS: u8 = 7;
    pub(super) const WORKER_AVAILABLE: u8 = 8;
    pub(super) const WORKER_SILENT: u8 = 9;
    pub(super) const WORKER_SUSPENDED: u8 = 10;
    pub(super) const WORKER_LEFT: u8 = 11;
    pub(super) const QUEUE_SET: u8 = 12;
    pub(super) const FLEET_KNOWN: u8 = 13;
    pub(super) const FLEET_FIXED: u8 = 14;
    pub(super) const FLEET_MAY_GROW: u8 = 15;
    pub(super) const TIME_PASSED: u8 = 16;
    pub(super) const WORKER_COMPLAINS: u8 = 17;
}

/// Which placement a policy has.
mod placement {
    pub(super) const SPREAD: u8 = 0;
    pub(super) const PACK: u8 = 1;
    pub(super) const WARM: u8 = 2;
    pub(super) const SCORED: u8 = 3;
}

/// What a demand has besides what every one has.
mod has {
    pub(super) const PRIORITY: u8 = 1;
    pub(super) const GROUP: u8 = 2;
    pub(super) const EXPECTED: u8 = 4;
}
