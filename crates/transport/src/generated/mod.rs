//! The code that `cargo xtask codegen` makes of the `.proto` files. Private: no type of it leaves this crate.

/// The package `jobyard.v1`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code switches lints off in its own way"
)]
#[path = "jobyard.v1.rs"]
#[rustfmt::skip]
pub(crate) mod v1;

/// The descriptors of all `.proto` files, for reflection and for the check of the policy table.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!("descriptors.bin");
