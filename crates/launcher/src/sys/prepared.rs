//! All that a child needs, made before it is there.

use std::ffi::{CStr, CString, c_uint};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Gid, Uid};

use super::c_strings::{CStrings, HasNul};
use super::limits::ProcessLimits;
use super::namespaces::NamespacePlan;
use super::{Inherited, Spawn, WardenKind, landlock};
use crate::protocol::{LaunchFailure, Stage, User};

/// What a child does, in the form in which it can do it without memory of its own.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    /// The file to execute.
    pub(super) program: CString,
    /// Its arguments.
    pub(super) argv: CStrings,
    /// Its environment.
    pub(super) env: CStrings,
    /// Its working directory.
    pub(super) dir: HighFd<'a>,
    /// What becomes its descriptor 0; `None`: it stays what it is here.
    pub(super) stdin: Option<HighFd<'a>>,
    /// What become its descriptors 1 and 2.
    pub(super) output: [HighFd<'a>; 2],
    /// The groups that it enters first.
    pub(super) join: &'a [BorrowedFd<'a>],
    /// The user that it becomes.
    pub(super) user: Option<Identity>,
    /// Its limits.
    pub(super) limits: ProcessLimits,
    /// Its namespaces.
    pub(super) namespaces: NamespacePlan,
    /// Its Landlock rules.
    pub(super) landlock: Option<OwnedFd>,
    /// What stands above it.
    pub(super) warden: Option<WardenKind>,
    /// What it has of the launcher.
    pub(super) inherited: &'a Inherited,
}

/// A user as the kernel wants it.
#[derive(Debug)]
pub(super) struct Identity {
    /// Its number.
    pub(super) uid: Uid,
    /// Its main group.
    pub(super) gid: Gid,
    /// Its other groups.
    pub(super) groups: Vec<Gid>,
}

impl<'a> Prepared<'a> {
    /// Makes all that needs memory.
    pub(super) fn new(
        spawn: &'a Spawn<'_>,
        inherited: &'a Inherited,
    ) -> Result<Self, LaunchFailure> {
        let warden = spawn.entry.warden;
        let asked = spawn.isolation.namespaces;
        if asked.pid && warden != Some(WardenKind::PidNamespace) {
            return Err(LaunchFailure::new(
                Stage::Isolation,
                0,
                "a PID namespace was asked for, and the cage has none",
            ));
        }
        let landlock = match &spawn.isolation.landlock {
            Some(rules) => Some(
                above_standard(landlock::ruleset(rules)?)
                    .map_err(|errno| no_resources("cannot copy a descriptor", errno))?,
            ),
            None => None,
        };
        Ok(Self {
            program: CString::new(spawn.program.as_os_str().as_bytes())
                .map_err(|_| has_nul("the program's path"))?,
            argv: CStrings::new(spawn.argv.iter().map(|argument| [argument.as_str()]))
                .map_err(|HasNul| has_nul("an argument"))?,
            env: CStrings::new(
                spawn
                    .env
                    .iter()
                    .map(|(name, value)| [name.as_str(), "=", value.as_str()]),
            )
            .map_err(|HasNul| has_nul("an environment variable"))?,
            dir: HighFd::new(spawn.dir)?,
            stdin: spawn.stdin.map(HighFd::new).transpose()?,
            output: [HighFd::new(spawn.stdout)?, HighFd::new(spawn.stderr)?],
            join: &spawn.entry.join,
            user: spawn.user.map(Identity::new),
            limits: ProcessLimits::new(spawn.rlimits, inherited),
            namespaces: NamespacePlan::new(asked, warden),
            landlock,
            warden,
            inherited,
        })
    }

    /// Whether the child may borrow the launcher's memory, see [`vfork`](super::vfork::vfork).
    pub(super) fn may_borrow(&self) -> bool {
        let user = self.user.is_none() || self.inherited.is_hidden;
        self.warden.is_none() && user && self.namespaces.is_empty()
    }

    /// Whether it enters its directory first of all, with the launcher's rights, since it keeps these, or since a descriptor
    /// does not lead into the mounts that it will have.
    pub(super) fn enters_dir_first(&self) -> bool {
        self.user.is_none() || self.namespaces.moves_mounts()
    }

    /// The descriptors that it needs, as they are here, once it has entered its directory if it does so first.
    pub(super) fn fds(&self) -> Fds<'_> {
        let [stdout, stderr] = self.output.each_ref().map(AsFd::as_fd);
        Fds {
            stdout,
            stderr,
            stdin: self.stdin.as_ref().map(AsFd::as_fd),
            dir: (!self.enters_dir_first()).then(|| self.dir.as_fd()),
            landlock: self.landlock.as_ref().map(AsFd::as_fd),
        }
    }

    /// The path of the program.
    pub(super) fn program(&self) -> &CStr {
        &self.program
    }
}

impl Identity {
    fn new(user: &User) -> Self {
        Self {
            uid: Uid::from_raw(user.uid),
            gid: Gid::from_raw(user.gid),
            groups: user.groups.iter().copied().map(Gid::from_raw).collect(),
        }
    }
}

/// The descriptors that a child needs when it has put off most of what it has of the launcher.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fds<'a> {
    /// See [`Prepared::output`].
    pub(super) stdout: BorrowedFd<'a>,
    /// See [`Prepared::output`].
    pub(super) stderr: BorrowedFd<'a>,
    /// See [`Prepared::stdin`].
    pub(super) stdin: Option<BorrowedFd<'a>>,
    /// See [`Prepared::dir`]; `None`: it is there already.
    pub(super) dir: Option<BorrowedFd<'a>>,
    /// See [`Prepared::landlock`].
    pub(super) landlock: Option<BorrowedFd<'a>>,
}

impl Fds<'_> {
    /// The number that follows the last of them.
    pub(super) fn end(&self) -> c_uint {
        [self.stdout, self.stderr]
            .into_iter()
            .chain(self.stdin)
            .chain(self.kept())
            .map(|fd| fd.as_raw_fd().unsigned_abs() + 1)
            .fold(0, c_uint::max)
    }

    /// Those that are needed after the child has its three.
    pub(super) fn kept(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.dir.into_iter().chain(self.landlock)
    }
}

/// A descriptor that is none of the three that the child replaces.
#[derive(Debug)]
pub(super) enum HighFd<'a> {
    /// It was so already.
    Borrowed(BorrowedFd<'a>),
    /// A copy.
    Owned(OwnedFd),
}

impl<'a> HighFd<'a> {
    /// This one, or a copy with a higher number.
    pub(super) fn new(fd: BorrowedFd<'a>) -> Result<Self, LaunchFailure> {
        if fd.as_raw_fd() > LAST_STANDARD {
            return Ok(Self::Borrowed(fd));
        }
        fcntl_dupfd_cloexec(fd, LAST_STANDARD + 1)
            .map(Self::Owned)
            .map_err(|errno| no_resources("cannot copy a descriptor", errno))
    }
}

impl AsFd for HighFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Borrowed(fd) => *fd,
            Self::Owned(fd) => fd.as_fd(),
        }
    }
}

const LAST_STANDARD: i32 = 2;

/// The same for one that is ours. Only makes system calls.
pub(super) fn above_standard(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > LAST_STANDARD {
        return Ok(fd);
    }
    fcntl_dupfd_cloexec(fd, LAST_STANDARD + 1)
}

/// Something that the launcher itself ran out of.
pub(super) fn no_resources(words: &str, errno: Errno) -> LaunchFailure {
    LaunchFailure::new(
        Stage::Resources,
        errno.raw_os_error(),
        format!("{words}: {errno}"),
    )
}

fn has_nul(what: &str) -> LaunchFailure {
    LaunchFailure::new(
        Stage::Program,
        Errno::INVAL.raw_os_error(),
        format!("{what} has a NUL in it"),
    )
}
