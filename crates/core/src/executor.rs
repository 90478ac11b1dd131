//! The contract of executors: how one attempt runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, Exit, InfraReason, LimitKind, Outcome, OutputStream, StartFailure, Steady, Tag,
    Timestamp, Usage, ValidSpec,
};

/// Runs attempts of one kind: processes, containers, or functions of a host program.
///
/// # Contract
///
/// * **Start.** When `start` returns an error, nothing of the attempt runs and nothing of it is left. When it
///   returns an execution, the attempt has begun. An executor is never asked to start the same attempt twice.
/// * **Cancel-safety.** Dropping the future of `start` leaves nothing running.
/// * **Adoption.** After a restart of the agent, `adopt` finds what still runs of an attempt, if the capabilities
///   say that this executor can; otherwise it answers [`Gone`] after it made sure that nothing runs any more.
/// * **Independence.** Attempts do not know of each other; all methods may be called at the same time.
#[async_trait]
pub trait Executor: Send + Sync + fmt::Debug {
    /// What it offers. Constant for the life of the value.
    fn facts(&self) -> ExecutorFacts;

    /// Looks at a configuration without running anything.
    fn check(&self, config: &str) -> Result<(), ConfigError>;

    /// Starts an attempt whose output goes to `output`.
    async fn start(
        &self,
        context: AttemptContext,
        output: Output,
    ) -> Result<Box<dyn Execution>, StartError>;

    /// Finds an attempt again that an earlier life of this agent started. `trace` is what
    /// [`Execution::trace`] said of it.
    async fn adopt(
        &self,
        context: AttemptContext,
        trace: Option<ExecutionTrace>,
        output: Output,
    ) -> Result<Box<dyn Execution>, Gone>;

    /// The end of this attempt is written down elsewhere, so that nothing of it has to be kept for a later life any
    /// more. Called by agents that adopt: after they have written down what [`Execution::cleanup`] or [`Gone`] said,
    /// and again for what they find written down at their start. Of an attempt that is unknown or has not ended,
    /// nothing is forgotten. An executor that keeps nothing does nothing.
    async fn forget(&self, attempt: AttemptId) {
        let _ = attempt;
    }
}

/// One attempt that has begun.
///
/// # Contract
///
/// * `wait` may be called again after its future was dropped, and after it has returned: it then returns the same
///   exit at once. Cancel-safe.
/// * `signal` and `kill` may be called at any time; after the exit they do nothing and succeed.
/// * `kill` reaches everything that the executor can find of the attempt, and returns without waiting for the end.
/// * `cleanup` is called once, after `wait` has returned. On return nothing of the attempt runs that the executor
///   can find, all of its output was delivered, and its files are removed. It says what it had to remove.
/// * Dropping the value leaks nothing: the executor ends what is left.
#[async_trait]
pub trait Execution: Send + Sync + fmt::Debug {
    /// The process, where there is one.
    fn pid(&self) -> Option<u32>;

    /// What a later life of the agent needs to find this attempt again, or to make sure that it is gone.
    fn trace(&self) -> Option<ExecutionTrace>;

    /// Delivers a signal to the attempt.
    async fn signal(&self, signal: StopSignal) -> Result<(), SignalError>;

    /// Ends the attempt and all that belongs to it by force.
    async fn kill(&self) -> Result<(), SignalError>;

    /// Returns when the attempt's main process has ended, or when it cannot be known any more how it ends.
    async fn wait(&self) -> Result<Exit, Lost>;

    /// Ends what is left, collects the rest of the output, and removes the attempt's files.
    async fn cleanup(self: Box<Self>) -> Residue;

    /// When its main process ended, where the executor knows that better than whoever waits: it may have ended before
    /// it was adopted. `None`: now, or not yet.
    fn ended_at(&self) -> Option<Timestamp> {
        None
    }

    /// It may run until this time, in place of the one that [`AttemptContext::until`] or an earlier call gave. An executor
    /// whose attempts cannot outlive the agent has nothing to do.
    async fn extend(&self, until: Steady) {
        let _ = until;
    }

    /// Lets go of it without ending it, so that a later life of the agent can adopt it. What an executor could not
    /// find again it ends instead. Returns when that is sure.
    async fn detach(self: Box<Self>) {
        drop(self);
    }
}

/// What an executor offers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecutorFacts {
    /// The name by which specs ask for it.
    pub name: String,
    /// Tags that a worker offers because it has this executor, beside `executor=NAME`.
    pub tags: Vec<Tag>,
    /// How well it keeps hold of what it starts.
    pub containment: Containment,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The limits that it can hold an attempt to, all of its processes together.
    pub limits: BTreeSet<LimitKind>,
}

impl ExecutorFacts {
    /// Facts of an executor without tags.
    pub fn new(
        name: impl Into<String>,
        containment: Containment,
        capabilities: Capabilities,
    ) -> Self {
        Self {
            name: name.into(),
            tags: Vec::new(),
            containment,
            capabilities,
            limits: BTreeSet::new(),
        }
    }
}

/// How well an executor keeps hold of the processes that an attempt starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Containment {
    /// There is nothing that could escape: no processes.
    None,
    /// A process that wants to escape can.
    BestEffort,
    /// Nothing survives the end of a namespace.
    Namespace,
    /// The kernel kills the whole tree, and the job has no right to leave it.
    Hard,
}

impl Containment {
    /// The value of the tag `containment`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::BestEffort => "best-effort",
            Self::Namespace => "namespace",
            Self::Hard => "hard",
        }
    }
}

/// What an executor can do, so that one without processes is no special case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent capabilities, not a state"
)]
pub struct Capabilities {
    /// Its attempts are trees of processes.
    pub process_tree: bool,
    /// It finds attempts again after a restart of the agent.
    pub adopt: bool,
    /// It delivers signals; without, a stop goes straight to `kill`.
    pub signal: bool,
    /// Its output has two streams; without, everything is standard output.
    pub two_streams: bool,
}

impl Capabilities {
    /// None of them.
    pub const NONE: Self = Self {
        process_tree: false,
        adopt: false,
        signal: false,
        two_streams: false,
    };

    /// Also has trees of processes.
    #[must_use]
    pub const fn with_process_tree(self) -> Self {
        Self {
            process_tree: true,
            ..self
        }
    }

    /// Also finds attempts again.
    #[must_use]
    pub const fn with_adopt(self) -> Self {
        Self {
            adopt: true,
            ..self
        }
    }

    /// Also delivers signals.
    #[must_use]
    pub const fn with_signal(self) -> Self {
        Self {
            signal: true,
            ..self
        }
    }

    /// Also has two output streams.
    #[must_use]
    pub const fn with_two_streams(self) -> Self {
        Self {
            two_streams: true,
            ..self
        }
    }
}

/// What an executor is told of an attempt.
#[derive(Clone)]
#[non_exhaustive]
pub struct AttemptContext {
    /// Which attempt.
    pub attempt: AttemptId,
    /// What was asked for.
    pub spec: ValidSpec,
    /// The environment that the worker gives it: what describes the attempt, then the worker's own. The job's own
    /// is in the spec and wins.
    pub env: BTreeMap<String, String>,
    /// A path that belongs to this attempt alone, with all of its siblings whose name is its own with a dot and more
    /// behind it. The executor makes what it needs there and removes it.
    pub scratch: PathBuf,
    /// It must not run beyond this time, by the machine's steady clock, unless [`Execution::extend`] moves it: an
    /// executor whose attempts outlive the agent ends it then by itself, and [`Execution::wait`] says
    /// [`Lost`] with [`InfraReason::LeaseExpired`]. `None`: it may run for as long as it likes.
    pub until: Option<Steady>,
    /// It must not begin at or after this time, by the same clock: the master may have given it up by then. Whoever was
    /// held up for so long starts nothing, and says [`StartError::Worker`] with [`InfraReason::NeverStarted`]. `None`:
    /// it may begin at any time.
    pub start_by: Option<Steady>,
}

impl AttemptContext {
    /// A context with an empty environment.
    pub fn new(attempt: AttemptId, spec: ValidSpec, scratch: PathBuf) -> Self {
        Self {
            attempt,
            spec,
            env: BTreeMap::new(),
            scratch,
            until: None,
            start_by: None,
        }
    }
}

impl fmt::Debug for AttemptContext {
    /// Leaves the values of the environment out: they are where people put what should not be in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptContext")
            .field("attempt", &self.attempt)
            .field("spec", &self.spec)
            .field("env", &self.env.keys())
            .field("scratch", &self.scratch)
            .field("until", &self.until)
            .field("start_by", &self.start_by)
            .finish()
    }
}

/// Where an attempt's output goes. Cheap to clone.
#[derive(Clone)]
pub struct Output(Arc<dyn OutputSink>);

impl Output {
    /// Output into this sink.
    pub fn new(sink: Arc<dyn OutputSink>) -> Self {
        Self(sink)
    }

    /// Where another process may write the output itself, see [`OutputSink::place`].
    pub fn place(&self) -> Option<OutputPlace> {
        self.0.place()
    }

    /// See [`OutputSink::advanced`].
    pub fn advanced(&self, progress: OutputProgress) {
        self.0.advanced(progress);
    }

    /// See [`OutputSink::cut_short`].
    pub fn cut_short(&self) {
        self.0.cut_short();
    }

    /// Hands over bytes as they were read; returns when they are taken.
    pub async fn write(&self, stream: OutputStream, bytes: Bytes) {
        self.0.write(stream, bytes).await;
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Output")
    }
}

/// Takes the output of one attempt.
///
/// # Contract
///
/// Bytes of one stream are kept in the order of the calls. The call may wait (a full disk buffer), never for the
/// network and never for a reader. It cannot fail: a sink that cannot keep bytes counts them as dropped, since a
/// problem of the log is no problem of the job. Cancel-safety: bytes of a dropped call may be lost.
#[async_trait]
pub trait OutputSink: Send + Sync {
    /// Takes bytes of one stream.
    async fn write(&self, stream: OutputStream, bytes: Bytes);

    /// A directory in which another process may write the output itself, in the format of the spool; `None`: output
    /// has to go through [`write`](Self::write). Whoever uses the place says with [`advanced`](Self::advanced) how far
    /// it got, and writes nothing by `write` any more.
    fn place(&self) -> Option<OutputPlace> {
        None
    }

    /// Output was written into the [`place`](Self::place) up to here. Never goes back. Does not block.
    fn advanced(&self, progress: OutputProgress) {
        let _ = progress;
    }

    /// Whoever read or wrote the output was gone before its end was seen: there may have been more than was taken until
    /// now, and nobody will ever know. Does not block. A sink that keeps no books of where output ends does nothing.
    fn cut_short(&self) {}
}

/// Where a process may write output itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputPlace {
    /// The directory of this attempt alone; made with the first byte. Absolute.
    pub dir: PathBuf,
    /// How many bytes are kept; what comes after is counted and dropped.
    pub limit: u64,
}

impl OutputPlace {
    /// A place with a limit in bytes.
    pub const fn new(dir: PathBuf, limit: u64) -> Self {
        Self { dir, limit }
    }
}

/// How far output in an [`OutputPlace`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutputProgress {
    /// The offset at which the newest segment begins.
    pub segment: u64,
    /// The offset after the last byte that can be read.
    pub end: u64,
    /// How many bytes were dropped, all after `end`.
    pub dropped: u64,
}

impl OutputProgress {
    /// Output up to `end`, the newest segment of which begins at `segment`, and bytes that were dropped after it.
    pub const fn new(segment: u64, end: u64, dropped: u64) -> Self {
        Self {
            segment,
            end,
            dropped,
        }
    }
}

/// Signals by which an attempt is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopSignal {
    /// SIGTERM, or what comes nearest.
    Terminate,
    /// SIGINT, or what comes nearest.
    Interrupt,
}

/// Where something that was started can be found again. Written to the worker's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExecutionTrace {
    /// The process, which also leads a process group.
    pub pid: u32,
    /// When the kernel says that it started, in its own units since boot; tells it from a later process with the
    /// same number.
    pub start_time: u64,
}

impl ExecutionTrace {
    /// A process and its kernel start time.
    pub const fn new(pid: u32, start_time: u64) -> Self {
        Self { pid, start_time }
    }
}

/// What is known of an attempt once nothing of it runs: what it left behind, what was done about that, and what it
/// used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Residue {
    /// Processes that had to be killed after the main process was gone, or with it.
    pub killed: u32,
    /// Which ones: the first [`MAX_LISTED_PROCESSES`] of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<KilledProcess>,
    /// The limit that the kernel enforced against it: memory, if it was killed for that; processes, if one was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_hit: Option<LimitKind>,
    /// Limits that were asked for and that nothing enforced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unenforced: Vec<LimitKind>,
    /// What it used, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Whether something kept the output open after the exit, and was cut off.
    pub output_held_open: bool,
    /// Whether it is unknown if anything is left: its worker is gone, or a process could not be killed.
    pub unconfirmed: bool,
}

/// How many killed processes are listed one by one.
pub const MAX_LISTED_PROCESSES: usize = 32;

/// A process that had to be killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KilledProcess {
    /// Its number.
    pub pid: u32,
    /// Its name as the system shows it, at most 64 bytes; whatever the process has made of it.
    pub name: String,
}

impl KilledProcess {
    /// A process and its name, which is cut to 64 bytes.
    pub fn new(pid: u32, mut name: String) -> Self {
        let mut end = name.len().min(64);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        Self { pid, name }
    }
}

/// It cannot be known any more how an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct Lost {
    /// What its outcome is.
    pub reason: InfraReason,
    /// In words.
    pub problem: String,
}

impl Lost {
    /// Lost for this reason, with words for people.
    pub fn new(reason: InfraReason, problem: impl Into<String>) -> Self {
        Self {
            reason,
            problem: problem.into(),
        }
    }
}

/// Why an attempt could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// What the spec asks cannot be done here. The job's fault; it ends as `start_failed`.
    #[error("{problem}")]
    Job {
        /// In which way.
        cause: StartFailure,
        /// In words, with the path or value that was wrong.
        problem: String,
    },
    /// The worker could not. Another worker, or this one later, may.
    #[error("{problem}")]
    Worker {
        /// In which way.
        reason: InfraReason,
        /// In words.
        problem: String,
    },
}

impl StartError {
    /// What the attempt's outcome is.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Job { cause, .. } => Outcome::StartFailed { cause: *cause },
            Self::Worker { reason, .. } => Outcome::Infra { reason: *reason },
        }
    }
}

/// Nothing of the attempt runs any more, and how it ended is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is left of the attempt")]
#[non_exhaustive]
pub struct Gone {
    /// How many processes were found and killed.
    pub killed: u32,
}

impl Gone {
    /// After killing so many processes.
    pub const fn new(killed: u32) -> Self {
        Self { killed }
    }
}

/// Why a signal was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// This executor has no signals.
    #[error("this executor cannot deliver signals")]
    Unsupported,
    /// The system refused.
    #[error("the signal was not delivered: {problem}")]
    Refused {
        /// What the system said.
        problem: String,
    },
}

/// Why an executor cannot use a configuration. Its author's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
#[non_exhaustive]
pub struct ConfigError {
    /// Which part of it.
    pub field: String,
    /// What is wrong, in words.
    pub problem: String,
}

impl ConfigError {
    /// Says which field is wrong, and how.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}
