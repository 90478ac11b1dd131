//! Starting a child.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::process::Resource;

use super::{Child, Entry};
use crate::protocol::{Isolation, LaunchFailure, Stage, User};

/// All that a child is started with.
#[derive(Debug)]
pub(crate) struct Spawn<'a> {
    /// The file to execute; absolute.
    pub(crate) program: &'a Path,
    /// Its arguments, the first of which is its name as it was called.
    pub(crate) argv: &'a [String],
    /// Its whole environment.
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Where it runs: a directory, `O_PATH` is enough. Entered as the user of the job.
    pub(crate) dir: BorrowedFd<'a>,
    /// Its standard input.
    pub(crate) stdin: BorrowedFd<'a>,
    /// Its standard output.
    pub(crate) stdout: BorrowedFd<'a>,
    /// Its standard error; may be the same as its standard output.
    pub(crate) stderr: BorrowedFd<'a>,
    /// The way into its cage.
    pub(crate) entry: Entry<'a>,
    /// As whom it runs; `None`: as the launcher's own user.
    pub(crate) user: Option<&'a User>,
    /// Limits for each of its processes: soft and hard, `u64::MAX` for none. They come before the limits of a fresh login.
    pub(crate) rlimits: Vec<(Resource, u64, u64)>,
    /// What else keeps it apart.
    pub(crate) isolation: &'a Isolation,
}

/// Forks a child. Returns as soon as it is forked: its first report says whether the program was executed.
///
/// # Errors
///
/// Nothing was forked.
pub(crate) fn spawn(spawn: &Spawn<'_>) -> Result<Child, LaunchFailure> {
    let _ = spawn;
    Err(LaunchFailure::new(Stage::Refused, 0, "not ready"))
}
