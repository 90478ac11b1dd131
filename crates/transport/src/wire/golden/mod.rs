//! Recorded frames, kept byte by byte.
//!
//! Each file in `tests/golden` holds one encoded message, and beside it its text. A later version has to read them as
//! the same values, and to write the same bytes for them: what was added since is absent. The files are never written
//! anew. After an addition to the protocol, `JOBYARD_WRITE_GOLDEN=1 cargo test -p jobyard-transport golden` writes the
//! files of the cases that have none yet.

mod first;
mod limits;
mod masking;
mod never_twice;
mod readers;
mod recorded;
mod samples;
mod scheduling;

use recorded::{golden, recorded};
