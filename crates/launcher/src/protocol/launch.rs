//! What a launcher is told of an attempt.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use jobyard_core::{AttemptId, Limits, SecretText, Steady, exposed};
use serde::{Deserialize, Serialize};

/// One attempt to start: everything is said, nothing is inherited from the launcher.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Launch {
    /// Which attempt.
    pub attempt: AttemptId,
    /// The file to execute; absolute.
    pub program: PathBuf,
    /// Its arguments, the first of which is its name as it was called.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub dir: WorkDir,
    /// The file that it reads as its standard input; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<PathBuf>,
    /// Whether standard error goes into the same pipe as standard output.
    pub merge: bool,
    /// Where its output goes, in the format of the [spool](crate::spool); absolute, of this attempt alone.
    pub output: PathBuf,
    /// How many bytes of output are kept.
    pub output_limit: u64,
    /// How long the output may stay open after the main process has ended, in milliseconds, before what holds it open
    /// is killed.
    pub drain_ms: u64,
    /// What it is held to. The agent has made sure that the launcher can, or lives with it that it cannot.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// As whom it runs; `None`: as the launcher's own user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// What else keeps it apart.
    #[serde(default, skip_serializing_if = "is_default")]
    pub isolation: Isolation,
    /// When the launcher kills all of it by itself, unless [`Request::Extend`](super::Request::Extend) moves that; by the
    /// machine's clock that counts through suspend (`CLOCK_BOOTTIME`, microseconds). `None`: never. A launcher that does
    /// not say [`Welcome::leases`](super::Welcome::leases) does not know this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Steady>,
    /// When it is too late to start it; by the same clock. `None`: never. A launcher of an earlier version does not know
    /// this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_by: Option<Steady>,
    /// What must not be seen in its output, see [`mask`](crate::spool::mask). A launcher that does not say
    /// [`Welcome::masks`](super::Welcome::masks) does not know this.
    #[serde(default, with = "exposed::list", skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<SecretText>,
}

/// Every launcher so far takes what is not said for this.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Launch {
    /// A program with its arguments, in a directory, with its output in another; everything else as plain as can be.
    pub fn new(
        attempt: AttemptId,
        program: PathBuf,
        argv: Vec<String>,
        dir: WorkDir,
        output: PathBuf,
    ) -> Self {
        Self {
            attempt,
            program,
            argv,
            env: BTreeMap::new(),
            dir,
            stdin: None,
            merge: false,
            output,
            output_limit: u64::MAX,
            drain_ms: 500,
            limits: Limits::NONE,
            user: None,
            isolation: Isolation::default(),
            until: None,
            start_by: None,
            masks: Vec::new(),
        }
    }

    /// Whether its time has come before it was started.
    pub fn is_too_late(&self, now: Steady) -> bool {
        [self.until, self.start_by]
            .iter()
            .flatten()
            .any(|end| *end <= now)
    }
}

impl fmt::Debug for Launch {
    /// Leaves out the values of the environment and the arguments: they are where people put what should not be in
    /// logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("attempt", &self.attempt)
            .field("program", &self.program)
            .field("env", &self.env.keys())
            .field("dir", &self.dir)
            .field("limits", &self.limits)
            .field("user", &self.user)
            .field("isolation", &self.isolation)
            .field("until", &self.until)
            .field("start_by", &self.start_by)
            .finish_non_exhaustive()
    }
}

/// The working directory of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkDir {
    /// A directory; absolute.
    pub root: PathBuf,
    /// A path beneath it, which leads out of it neither by `..` nor by a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beneath: Option<PathBuf>,
}

impl WorkDir {
    /// This directory.
    pub const fn at(root: PathBuf) -> Self {
        Self {
            root,
            beneath: None,
        }
    }

    /// A directory beneath this one.
    pub const fn beneath(root: PathBuf, path: PathBuf) -> Self {
        Self {
            root,
            beneath: Some(path),
        }
    }
}

/// A user of the system, by numbers: names are resolved by the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// Its main group.
    pub gid: u32,
    /// Its other groups.
    pub groups: Vec<u32>,
}

impl User {
    /// A user with its groups.
    pub const fn new(uid: u32, gid: u32, groups: Vec<u32>) -> Self {
        Self { uid, gid, groups }
    }
}

/// What keeps a job apart from its machine, beside its user and its limits. Always so: no new privileges, three
/// descriptors, no core dumps, default signal handlers and mask, a session of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Isolation {
    /// Namespaces of its own.
    pub namespaces: Namespaces,
    /// Which files it may touch; `None`: what its user may.
    pub landlock: Option<Landlock>,
}

/// Namespaces that a job gets for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Namespaces {
    /// Mounts: what it mounts is seen by nobody else, and is gone with it. With `pid` it also gets a `/proc` of its own.
    pub mount: bool,
    /// Process numbers: it sees and reaches only its own processes.
    pub pid: bool,
    /// Network: a loopback interface and nothing else.
    pub net: bool,
}

impl Namespaces {
    /// Whether it gets any.
    pub const fn any(self) -> bool {
        self.mount || self.pid || self.net
    }
}

/// Which files a job may touch, by Landlock (Linux 5.13). Everything that is not named is closed to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Landlock {
    /// What it may read and execute, with all beneath; absolute. Paths that do not exist are left out.
    pub read: Vec<PathBuf>,
    /// What it may also write, with all beneath; absolute.
    pub write: Vec<PathBuf>,
}
