//! What a thread is told that starts an attempt.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat, openat2};
use rustix::io::Errno;
use rustix::process::Resource;

use super::clock;
use super::start::too_late;
use crate::protocol::{Launch, LaunchFailure, Stage, WorkDir};
use crate::spool::LateMasks;
use crate::sys::{self, Child, OwnedEntry, Spawn, Starter};

/// A start, with all that it needs.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) launch: Box<Launch>,
    /// The way into its cage.
    pub(super) entry: OwnedEntry,
    pub(super) rlimits: Vec<(Resource, u64, u64)>,
    pub(super) stdout: OwnedFd,
    /// `None`: the same as standard output.
    pub(super) stderr: Option<OwnedFd>,
    /// What is to be made of its secrets before it can print them. `None`: it has none.
    pub(super) masks: Option<LateMasks>,
}

impl Order {
    /// Forks it. Asks `may_fork` when everything is there; if that says no, nothing is forked, and `None` returned.
    /// Blocks, for as long as files do not open, or the child is kept from executing its program. All that it holds is
    /// closed when it returns; what it was told comes back.
    pub(super) fn carry_out(
        self,
        starter: &mut Starter,
        may_fork: impl FnOnce() -> bool,
    ) -> (Box<Launch>, Option<Result<Child, LaunchFailure>>) {
        let result = self.start(starter, may_fork);
        (self.launch, result)
    }

    fn start(
        &self,
        starter: &mut Starter,
        may_fork: impl FnOnce() -> bool,
    ) -> Option<Result<Child, LaunchFailure>> {
        let opened = open_dir(&self.launch.dir).and_then(|dir| {
            let stdin = self.launch.stdin.as_deref().map(open_stdin).transpose()?;
            Ok((dir, stdin))
        });
        if let Some(masks) = &self.masks {
            masks.make(&self.launch.masks);
        }
        let may_fork = may_fork();
        let (dir, stdin) = match opened {
            _ if !may_fork => return None,
            Err(failure) => return Some(Err(failure)),
            // Files may have taken long to open.
            Ok(_) if self.launch.is_too_late(clock::steady()) => return Some(Err(too_late())),
            Ok(opened) => opened,
        };
        let launch = &self.launch;
        let spawn = Spawn {
            program: &launch.program,
            argv: &launch.argv,
            env: &launch.env,
            dir: dir.as_fd(),
            // The launcher's own is one at which nothing is to be read.
            stdin: stdin.as_ref().map(AsFd::as_fd),
            stdout: self.stdout.as_fd(),
            stderr: self.stderr.as_ref().unwrap_or(&self.stdout).as_fd(),
            entry: self.entry.borrow(),
            user: launch.user.as_ref(),
            rlimits: &self.rlimits,
            isolation: &launch.isolation,
        };
        Some(sys::spawn(&spawn, starter))
    }
}

/// Opens a working directory, without more rights than it takes to name it: the job enters it with its own.
fn open_dir(dir: &WorkDir) -> Result<OwnedFd, LaunchFailure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if !dir.root.is_absolute() {
        return Err(dir_failure(&dir.root, Errno::INVAL, "not absolute"));
    }
    let root = openat(CWD, &dir.root, flags, Mode::empty())
        .map_err(|errno| dir_failure(&dir.root, errno, ""))?;
    let Some(beneath) = &dir.beneath else {
        return Ok(root);
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = OPEN_TRIES;
    let opened = loop {
        match openat2(&root, beneath, flags, Mode::empty(), resolve) {
            // Something was renamed somewhere meanwhile, so that the kernel is not sure of a `..`.
            Err(Errno::AGAIN | Errno::INTR) if tries > 0 => tries -= 1,
            opened => break opened,
        }
    };
    opened.map_err(|errno| {
        let problem = match errno {
            Errno::XDEV | Errno::LOOP => "leads out of the directory of the job",
            _ => "",
        };
        dir_failure(beneath, errno, problem)
    })
}

/// How often the way to a directory is gone again. Whoever renames all the time does not keep the launcher from the rest.
const OPEN_TRIES: u32 = 16;

fn dir_failure(path: &Path, errno: Errno, problem: &str) -> LaunchFailure {
    let problem = if problem.is_empty() {
        format!("{}: {errno}", path.display())
    } else {
        format!("{}: {problem}", path.display())
    };
    LaunchFailure::new(Stage::Directory, errno.raw_os_error(), problem)
}

/// Opens a standard input, without waiting for whoever is at the other end of a pipe.
fn open_stdin(path: &Path) -> Result<OwnedFd, LaunchFailure> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let open = || {
        let file = open(path, flags, Mode::empty())?;
        rustix::io::ioctl_fionbio(&file, false)?;
        Ok(file)
    };
    open().map_err(|errno: Errno| {
        let problem = format!("{}: {errno}", path.display());
        LaunchFailure::new(Stage::Stdin, errno.raw_os_error(), problem)
    })
}
