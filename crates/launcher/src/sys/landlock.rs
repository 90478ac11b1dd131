//! Rules of Landlock for a job.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::raw::{self, LandlockRuleset};
use crate::protocol::{Landlock, LaunchFailure, Stage};

/// The rules as the kernel takes them. What a job may not touch it may not signal either, from version 6 of Landlock on:
/// processes outside of it, and with them its launcher.
pub(super) fn ruleset(landlock: &Landlock) -> Result<OwnedFd, LaunchFailure> {
    let version =
        raw::landlock_version().map_err(|errno| failure("the kernel has no Landlock", errno))?;
    let handled = handled(version);
    let ruleset = raw::landlock_ruleset(LandlockRuleset {
        handled_access_fs: handled,
        handled_access_net: 0,
        scoped: if version >= SCOPES_SINCE {
            SCOPE_SIGNAL
        } else {
            0
        },
    })
    .map_err(|errno| failure("cannot make rules for Landlock", errno))?;
    allow(ruleset.as_fd(), &landlock.read, READ & handled)?;
    allow(ruleset.as_fd(), &landlock.write, handled)?;
    Ok(ruleset)
}

fn allow(ruleset: BorrowedFd<'_>, paths: &[PathBuf], access: u64) -> Result<(), LaunchFailure> {
    for path in paths {
        allow_one(ruleset, path, access).map_err(|errno| {
            failure(
                &format!("cannot allow {} with Landlock", path.display()),
                errno,
            )
        })?;
    }
    Ok(())
}

fn allow_one(ruleset: BorrowedFd<'_>, path: &Path, access: u64) -> Result<(), Errno> {
    let file = match open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        opened => opened?,
    };
    let is_dir = FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::Directory;
    let access = if is_dir { access } else { access & OF_FILES };
    raw::landlock_allow(ruleset, file.as_fd(), access)
}

/// What is closed without a rule: all that this version knows of and that is about files.
fn handled(version: u32) -> u64 {
    let known = match version {
        0 | 1 => 13,
        2 => 14,
        3 | 4 => 15,
        _ => 16,
    };
    (1 << known) - 1
}

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;

/// What a path to read allows.
const READ: u64 = EXECUTE | READ_FILE | READ_DIR;

/// What a rule on something else than a directory may say.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

/// No signals to processes outside.
const SCOPE_SIGNAL: u64 = 1 << 1;

/// The version of Landlock that has scopes.
const SCOPES_SINCE: u32 = 6;

fn failure(words: &str, errno: Errno) -> LaunchFailure {
    LaunchFailure::new(
        Stage::Isolation,
        errno.raw_os_error(),
        format!("{words}: {errno}"),
    )
}
