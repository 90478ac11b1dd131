//! What the workspace may depend on.
//!
//! [`dependencies`] holds the rules about names and versions, [`weight`] those about what a
//! library drags in, [`licences`] those about terms, on top of the small parser of [`spdx`].

pub mod dependencies;
pub mod licences;
pub mod spdx;
pub mod weight;
