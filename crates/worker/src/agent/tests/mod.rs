//! The agent's behaviours, one group per file.

mod attempts;
mod random;
mod recovery;
mod rig;
mod session;
mod shutdown;
