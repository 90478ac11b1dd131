//! Namespaces of a job.

use std::ffi::CStr;
use std::io::Write;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, write};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{DumpableBehavior, getegid, geteuid, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, capabilities};

use super::step::{Failed, Step};
use super::{WardenKind, raw};
use crate::protocol::Namespaces;

/// Which namespaces are made, by whom, and how.
#[derive(Debug)]
pub(super) struct NamespacePlan {
    /// A user namespace is needed to be allowed to make the others: what is written into its maps.
    user: Option<IdMaps>,
    pid: bool,
    mount: bool,
    proc: Proc,
    net: bool,
}

/// Who a process is, as a user namespace is told: the same as outside, and nobody else exists.
#[derive(Debug)]
struct IdMaps {
    uid: Vec<u8>,
    gid: Vec<u8>,
}

/// What becomes of `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proc {
    /// It stays.
    Keep,
    /// A new one is mounted, as a courtesy: the PID namespace is only there to keep hold of the job.
    Try,
    /// A new one is mounted: the job shall see nothing else.
    Must,
}

impl NamespacePlan {
    /// What is needed for these.
    pub(super) fn new(asked: Namespaces, warden: Option<WardenKind>) -> Self {
        let pid = warden == Some(WardenKind::PidNamespace);
        let any = pid || asked.mount || asked.net;
        Self {
            user: (any && !privileged()).then(IdMaps::of_this_process),
            pid,
            // The `/proc` of other numbers would mislead programs.
            mount: asked.mount || pid,
            proc: match (pid, asked.pid) {
                (false, _) => Proc::Keep,
                (true, false) => Proc::Try,
                (true, true) => Proc::Must,
            },
            net: asked.net,
        }
    }

    /// Whether none is made.
    pub(super) fn is_empty(&self) -> bool {
        !(self.pid || self.mount || self.net)
    }

    /// Whether the child that is cloned begins a PID namespace.
    pub(super) fn clone_pid(&self) -> bool {
        self.pid
    }

    /// Whether the child that is cloned begins a user namespace.
    pub(super) fn clone_user(&self) -> bool {
        self.pid && self.user.is_some()
    }

    /// Whether a directory that was opened before is none of the job's mounts after [`enter`](Self::enter).
    pub(super) fn moves_mounts(&self) -> bool {
        self.mount
    }

    /// In the child that was cloned: sets up the user namespace that it was born in, if it was.
    pub(super) fn begin(&self) -> Result<(), Failed> {
        if self.clone_user() {
            self.write_maps()?;
        }
        Ok(())
    }

    /// In the process that becomes the job: makes the others.
    pub(super) fn enter(&self) -> Result<(), Failed> {
        let user = self.user.is_some() && !self.pid;
        let flags = [
            (user, libc::CLONE_NEWUSER),
            (self.mount, libc::CLONE_NEWNS),
            (self.net, libc::CLONE_NEWNET),
        ];
        let flags = flags
            .iter()
            .filter(|(wanted, _)| *wanted)
            .fold(0, |flags, (_, flag)| flags | flag);
        if flags == 0 {
            return Ok(());
        }
        raw::unshare(flags).map_err(|errno| Step::Namespaces.failed(errno))?;
        if user {
            self.write_maps()?;
        }
        if self.mount {
            keep_mounts().map_err(|errno| Step::Mounts.failed(errno))?;
        }
        if let (Proc::Must, Err(errno)) = (self.proc, mount_proc(self.proc)) {
            return Err(Step::Proc.failed(errno));
        }
        if self.net {
            switch_on_loopback().map_err(|errno| Step::Loopback.failed(errno))?;
        }
        Ok(())
    }

    fn write_maps(&self) -> Result<(), Failed> {
        let Some(maps) = &self.user else {
            return Ok(());
        };
        // The files of a process that may not be looked into belong to the super-user.
        let written = set_dumpable_behavior(DumpableBehavior::Dumpable)
            .and_then(|()| write_file(c"/proc/self/setgroups", b"deny"))
            .and_then(|()| write_file(c"/proc/self/uid_map", &maps.uid))
            .and_then(|()| write_file(c"/proc/self/gid_map", &maps.gid));
        let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        written
            .and(hidden)
            .map_err(|errno| Step::Maps.failed(errno))
    }
}

impl IdMaps {
    fn of_this_process() -> Self {
        let map = |id: u32| {
            let mut line = Vec::new();
            // Writing to a vector does not fail.
            let _ = writeln!(line, "{id} {id} 1");
            line
        };
        Self {
            uid: map(geteuid().as_raw()),
            gid: map(getegid().as_raw()),
        }
    }
}

/// Whether this process may make namespaces without a user namespace of its own.
fn privileged() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Mounts of the job stay with it; those of the machine still come to it, so that what is unmounted there is gone.
fn keep_mounts() -> Result<(), Errno> {
    mount_change(
        c"/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
}

fn mount_proc(proc: Proc) -> Result<(), Errno> {
    if proc == Proc::Keep {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(c"proc", c"/proc", c"proc", flags, None)
}

fn switch_on_loopback() -> Result<(), Errno> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    raw::switch_on_loopback(socket.as_fd())
}

/// Writes all of a small file of `/proc` at once.
pub(super) fn write_file(path: &CStr, bytes: &[u8]) -> Result<(), Errno> {
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    write(&file, bytes).map(drop)
}
