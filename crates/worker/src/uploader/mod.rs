//! Brings the output of attempts to the master.
//!
//! Each attempt whose output the master wants has a task for as long as the session lives. It waits, without a link,
//! until there is output; takes one of [`MAX_LINKS`] places; opens a link, sends from where the master says, follows
//! what the attempt prints, says where the output ends and waits until the master has sealed it. A link that breaks is
//! opened again after a while. When attempts wait for a place, a link that has nothing to send makes room, and so does
//! one that has had its share.
//!
//! All links of a session together have no more under way than its [`Pace`](pace::Pace) lets out, so that output never
//! delays what the worker has to say besides, however narrow the way to its master is.

mod link;
mod pace;
mod pacer;
mod places;
mod upload;

pub(crate) use self::pacer::Pacer;
pub(crate) use self::places::Places;
pub(crate) use self::upload::{Upload, Uploaded};
use crate::spool::CHUNK_COST;
use jobyard_core::MAX_CHUNK_BYTES;

/// How many upload links are open at once: each costs both ends some buffers and a task, and what is under way on all of
/// them together is bounded by their pace. Attempts beyond it take turns, each for a mebibyte or a second, so that it is
/// more than most workers run at once.
pub const MAX_LINKS: usize = 512;

/// How many bytes of output are read and sent at a time, at most: several whole chunks, and small against what a worker
/// with [`MAX_LINKS`] links may hold in memory.
pub const READ_BATCH: usize = 8 * (MAX_CHUNK_BYTES + CHUNK_COST);
