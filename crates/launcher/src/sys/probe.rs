//! What this machine allows.

use std::io;

use super::WardenKind;
use crate::protocol::Namespaces;

/// Tries to make these namespaces, and for a warden the process above, in a child that ends at once.
///
/// # Errors
///
/// What the kernel said to the first that it refused.
pub(crate) fn try_namespaces(namespaces: Namespaces, warden: Option<WardenKind>) -> io::Result<()> {
    let _ = (namespaces, warden);
    Err(io::ErrorKind::Unsupported.into())
}

/// The version of Landlock that the kernel has; `None`: it has none, or it is switched off.
pub(crate) fn landlock_version() -> Option<u32> {
    None
}
