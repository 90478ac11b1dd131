//! The messages.

use std::collections::BTreeSet;

use jobyard_core::{
    AttemptId, Containment, Exit, LimitKind, OutputProgress, Residue, Steady, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::Launch;

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// First.
    Hello {
        /// What the agent speaks, see [`PROTOCOL_VERSION`](super::PROTOCOL_VERSION).
        version: u32,
    },
    /// Start this. An attempt is started once: a second start of one that is known is answered with `NotStarted`.
    Start(Box<Launch>),
    /// Deliver a signal to the main process and its group, and let it go on if it is stopped.
    Signal {
        /// To which attempt.
        attempt: AttemptId,
        /// Which.
        signal: Signal,
    },
    /// Kill all that belongs to it.
    Kill {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// An attempt that has a time by which it ends, see [`Launch::until`], has this one instead from now on. If the old
    /// one has come, nothing changes. Only to a launcher that says [`Welcome::leases`].
    Extend {
        /// Which attempt.
        attempt: AttemptId,
        /// When.
        until: Steady,
    },
    /// The end of this attempt is written down elsewhere.
    Forget {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// Start nothing more, and end once everything has ended and is forgotten.
    Retire,
}

/// Signals that an agent can have delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

/// What a launcher says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// The answer to the hello.
    Welcome(Box<Welcome>),
    /// It runs: the program was executed.
    Started {
        /// Which attempt.
        attempt: AttemptId,
        /// Its main process, as its machine numbers it.
        pid: u32,
        /// When the kernel says that it started, in its ticks since boot.
        start_time: u64,
    },
    /// Its program was not executed.
    NotStarted {
        /// Which attempt.
        attempt: AttemptId,
        /// Why.
        failure: LaunchFailure,
        /// Whether something that was forked for it may still be there, since it cannot be killed. Otherwise nothing is
        /// left of it. A launcher that does not say so has made sure.
        #[serde(default)]
        unconfirmed: bool,
    },
    /// Its output is that far.
    Output {
        /// Of which attempt.
        attempt: AttemptId,
        /// How far.
        progress: OutputProgress,
    },
    /// Its main process has ended. Not said of an attempt that the launcher killed since its time was over, nor of one that
    /// is over at the same moment.
    Exited {
        /// Which attempt.
        attempt: AttemptId,
        /// How.
        exit: Exit,
        /// When, by the machine's wall clock.
        at: Timestamp,
    },
    /// Nothing of it runs any more, or what runs cannot be killed; its output is complete.
    Ended {
        /// Which attempt.
        attempt: AttemptId,
        /// The rest.
        end: End,
    },
}

/// What a launcher is and has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Welcome {
    /// What it speaks.
    pub version: u32,
    /// The version of the program.
    pub build: String,
    /// Its process.
    pub pid: u32,
    /// What it can do to hold jobs.
    pub cages: CageFacts,
    /// Whether it takes starts.
    pub accepting: bool,
    /// Whether it knows [`Launch::until`] and [`Request::Extend`]. One from before them does not say so.
    #[serde(default)]
    pub leases: bool,
    /// Whether it knows [`Launch::masks`]. One from before them does not say so, and would mask nothing.
    #[serde(default)]
    pub masks: bool,
    /// Every attempt that it holds.
    pub attempts: Vec<Known>,
}

impl Welcome {
    /// A launcher that holds nothing.
    pub fn new(version: u32, build: impl Into<String>, pid: u32, cages: CageFacts) -> Self {
        Self {
            version,
            build: build.into(),
            pid,
            cages,
            accepting: true,
            leases: true,
            masks: true,
            attempts: Vec::new(),
        }
    }
}

/// What a launcher can do on its machine to hold jobs. Found out once, by trying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CageFacts {
    /// By what it keeps hold of processes.
    pub mechanism: Mechanism,
    /// How well that holds a job of the launcher's own user.
    pub own_user: Containment,
    /// How well it holds a job of another user; `None`: it may not start jobs of other users.
    pub other_user: Option<Containment>,
    /// The limits that hold all processes of an attempt together.
    pub tree_limits: BTreeSet<LimitKind>,
    /// The limits that hold each process for itself, and that are set where there is nothing better.
    pub process_limits: BTreeSet<LimitKind>,
    /// Whether it can give namespaces to a job.
    pub namespaces: bool,
    /// Whether the kernel knows Landlock.
    pub landlock: bool,
    /// What was found on the way, for people: one line each.
    pub notes: Vec<String>,
}

impl CageFacts {
    /// A mechanism with what it is worth, and nothing else.
    pub const fn new(
        mechanism: Mechanism,
        own_user: Containment,
        other_user: Option<Containment>,
    ) -> Self {
        Self {
            mechanism,
            own_user,
            other_user,
            tree_limits: BTreeSet::new(),
            process_limits: BTreeSet::new(),
            namespaces: false,
            landlock: false,
            notes: Vec::new(),
        }
    }
}

/// By what a launcher keeps hold of processes, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mechanism {
    /// A control group of version 2 with `cgroup.kill`.
    Cgroup2,
    /// A PID namespace, whose first process is ours.
    PidNamespace,
    /// A freezer of control groups of version 1.
    Freezer,
    /// A process of ours above the job, to which its orphans fall.
    Subreaper,
}

impl Mechanism {
    /// As listings name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup2 => "cgroup2",
            Self::PidNamespace => "pid-namespace",
            Self::Freezer => "freezer",
            Self::Subreaper => "subreaper",
        }
    }
}

/// An attempt that a launcher holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Known {
    /// Which one.
    pub attempt: AttemptId,
    /// How far it is.
    pub state: KnownState,
    /// How far its output is.
    pub output: OutputProgress,
}

impl Known {
    /// An attempt in this state, with so much output.
    pub const fn new(attempt: AttemptId, state: KnownState, output: OutputProgress) -> Self {
        Self {
            attempt,
            state,
            output,
        }
    }
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum KnownState {
    /// It was forked; whether its program was executed is not known yet. `Started` or `NotStarted` follows.
    Starting,
    /// Its main process runs.
    Running {
        /// See [`Reply::Started`].
        pid: u32,
        /// See [`Reply::Started`].
        start_time: u64,
    },
    /// Its main process has ended; what it left is being dealt with. `Ended` follows.
    Exited {
        /// See [`Reply::Started`].
        pid: u32,
        /// How.
        exit: Exit,
        /// When.
        at: Timestamp,
    },
    /// It is over.
    Ended {
        /// See [`Reply::Started`].
        pid: u32,
        /// All of it.
        end: End,
    },
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct End {
    /// How its main process ended.
    pub exit: Exit,
    /// When.
    pub at: Timestamp,
    /// What it left, what was done about it, and what it used.
    pub residue: Residue,
    /// Where its output ends.
    pub output: OutputProgress,
    /// Whether the launcher killed it, since [its time](Launch::until) was over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
}

impl End {
    /// An end that left nothing.
    pub fn new(exit: Exit, at: Timestamp, output: OutputProgress) -> Self {
        Self {
            exit,
            at,
            residue: Residue::default(),
            output,
            expired: false,
        }
    }
}

/// Why an attempt was not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct LaunchFailure {
    /// What was being done.
    pub stage: Stage,
    /// The number of the system's error; 0 where there is none.
    pub errno: i32,
    /// In words, with the path or value that was wrong.
    pub problem: String,
}

impl LaunchFailure {
    /// A failure in this stage.
    pub fn new(stage: Stage, errno: i32, problem: impl Into<String>) -> Self {
        Self {
            stage,
            errno,
            problem: problem.into(),
        }
    }
}

/// A step of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// The launcher takes no starts, or knows this attempt already.
    Refused,
    /// Pipes, descriptors, memory, a process.
    Resources,
    /// The cage, or the limits.
    Cage,
    /// The working directory.
    Directory,
    /// The standard input.
    Stdin,
    /// The change of the user.
    User,
    /// Namespaces, Landlock, and what else keeps it apart.
    Isolation,
    /// The program itself.
    Program,
    /// Its time was over before its program was executed. Said only of a launch with [such a time](Launch::until).
    Expired,
}
