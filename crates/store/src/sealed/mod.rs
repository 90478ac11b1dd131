//! One log that is over as one compressed file. The format is described in [`FileLogs`](crate::FileLogs).

mod block;
mod digest;
mod index;
mod write;

pub(crate) use block::decode;
pub(crate) use digest::Digests;
pub(crate) use index::{IndexError, SealedIndex, TAIL_GUESS_BYTES};
pub(crate) use write::SealedWriter;
