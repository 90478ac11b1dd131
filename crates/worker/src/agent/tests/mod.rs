//! The agent's behaviours, one group per file.

mod attempts;
mod condition;
mod drained;
mod lease;
mod random;
mod recovery;
mod rig;
mod session;
mod shutdown;
