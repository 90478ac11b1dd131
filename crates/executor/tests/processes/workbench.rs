//! Runs one job under a supervisor and watches it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_clock::SystemClock;
use jobyard_core::{
    AttemptContext, AttemptId, AttemptNumber, ExecutorSpec, JobId, JobSpec, Outcome, Output,
    OutputSink, OutputStream, PROCESS_EXECUTOR, StopCause,
};
use jobyard_executor::{
    Ending, ProcessConfig, ProcessExecutor, SupervisorEvent, SupervisorHandle, supervise,
};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Longer than any of these jobs takes, however slow the machine is.
pub(crate) const GUARD: Duration = Duration::from_mins(1);
/// Shorter than anybody wants to wait in a test.
pub(crate) const SHORT: Duration = Duration::from_millis(100);
/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_mins(10);

/// A job that is described and does not run yet.
pub(crate) struct Workbench {
    pub(crate) base: TempDir,
    pub(crate) executor: ProcessExecutor,
    pub(crate) context: AttemptContext,
}

impl Workbench {
    pub(crate) fn new(config: &ProcessConfig) -> Self {
        Self::with_spec(config, |_| {})
    }

    pub(crate) fn script(script: &str) -> Self {
        Self::new(&ProcessConfig::script(script))
    }

    pub(crate) fn with_spec(config: &ProcessConfig, change: impl FnOnce(&mut JobSpec)) -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let executor = ExecutorSpec::new(PROCESS_EXECUTOR, config.to_config_string());
        let mut spec = JobSpec::new(executor);
        change(&mut spec);
        let id = AttemptId::new(JobId::from_uuid(uuid::Uuid::now_v7()), AttemptNumber::FIRST);
        let scratch = base.path().join("jobs/scratch");
        let spec = spec.validate().expect("a valid spec");
        Self {
            executor: crate::way::executor(base.path()),
            base,
            context: AttemptContext::new(id, spec, scratch),
        }
    }

    /// A directory or file of the attempt.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.context.scratch.with_extension(name)
    }

    pub(crate) fn begin(self) -> Running {
        let sink = Arc::new(Sink::default());
        let (events, reports) = mpsc::channel(1);
        let handle = supervise(
            Arc::new(self.executor),
            self.context,
            Output::new(Arc::clone(&sink) as Arc<dyn OutputSink>),
            Arc::new(SystemClock::new()),
            events,
        );
        Running {
            handle: Some(handle),
            reports,
            sink,
            base: self.base,
        }
    }

    /// Runs it to its end.
    pub(crate) async fn run(self) -> (Ending, Running) {
        let mut running = self.begin();
        let ending = running.finished().await;
        (ending, running)
    }

    /// Runs it to its end, which is a success; answers what it printed.
    pub(crate) async fn succeed(self) -> Vec<u8> {
        let (ending, running) = self.run().await;
        let out = running.sink.bytes(OutputStream::Stdout);
        assert_eq!(
            ending.outcome,
            Outcome::Succeeded,
            "{:?} {:?}",
            String::from_utf8_lossy(&running.sink.bytes(OutputStream::Stderr)),
            String::from_utf8_lossy(&out),
        );
        out
    }

    /// As [`succeed`](Self::succeed), as text.
    pub(crate) async fn prints(self) -> String {
        String::from_utf8(self.succeed().await).expect("text")
    }
}

/// A job that was begun.
pub(crate) struct Running {
    pub(crate) handle: Option<SupervisorHandle>,
    reports: mpsc::Receiver<(AttemptId, SupervisorEvent)>,
    pub(crate) sink: Arc<Sink>,
    pub(crate) base: TempDir,
}

impl Running {
    /// The files of the attempt that are still there.
    pub(crate) fn left(&self) -> Vec<PathBuf> {
        files_of_attempts(self.base.path())
    }

    /// The next report.
    pub(crate) async fn event(&mut self) -> SupervisorEvent {
        let report = timeout(GUARD, self.reports.recv()).await;
        report.expect("in time").expect("the end comes last").1
    }

    /// The end, whatever comes before it.
    pub(crate) async fn finished(&mut self) -> Ending {
        loop {
            if let SupervisorEvent::Finished(ending) = self.event().await {
                return ending;
            }
        }
    }

    /// Returns when it has printed this on standard output.
    pub(crate) async fn printed(&self, text: &str) -> String {
        self.sink.printed(text).await
    }

    pub(crate) async fn stop(&self, grace: Duration) {
        let handle = self.handle.as_ref().expect("not dropped yet");
        handle.stop(StopCause::Cancelled, grace).await;
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.sink.bytes(OutputStream::Stderr)).into_owned()
    }
}

/// Keeps what a job prints.
pub(crate) struct Sink(watch::Sender<[Vec<u8>; 2]>);

impl Default for Sink {
    fn default() -> Self {
        Self(watch::channel([Vec::new(), Vec::new()]).0)
    }
}

impl Sink {
    pub(crate) fn bytes(&self, stream: OutputStream) -> Vec<u8> {
        self.0.borrow()[stream as usize].clone()
    }

    pub(crate) async fn printed(&self, text: &str) -> String {
        let mut seen = self.0.subscribe();
        let has = |taken: &[Vec<u8>; 2]| String::from_utf8_lossy(&taken[0]).contains(text);
        let taken = timeout(GUARD, seen.wait_for(has)).await;
        let taken = taken.expect("in time").expect("we hold the sender");
        String::from_utf8_lossy(&taken[0]).into_owned()
    }
}

#[async_trait]
impl OutputSink for Sink {
    async fn write(&self, stream: OutputStream, bytes: Bytes) {
        self.0
            .send_modify(|taken| taken[stream as usize].extend_from_slice(&bytes));
    }
}

/// The files of attempts that are still there. Empty directories that wait to be used again are no such files.
pub(crate) fn files_of_attempts(base: &Path) -> Vec<PathBuf> {
    let list = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let is_pool = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(".slots-")
    };
    let (pools, mut files): (Vec<_>, Vec<_>) =
        list(&base.join("jobs")).into_iter().partition(is_pool);
    let slots = pools.iter().flat_map(|pool| list(pool));
    let dirs = slots.flat_map(|slot| list(&slot));
    files.extend(dirs.flat_map(|dir| list(&dir)));
    files
}

/// What a job printed, with its private directories by the names that they have without a launcher: with one they are
/// in a slot of the pool, beside the other files of the attempt.
pub(crate) fn as_told(printed: &str) -> String {
    let Some((before, slot)) = printed.split_once("/.slots-") else {
        return printed.to_owned();
    };
    let [pool, number, rest] = slot.splitn(3, '/').collect::<Vec<_>>()[..] else {
        panic!("no slot: {printed}");
    };
    assert!(
        pool.parse::<u64>().is_ok() && number.parse::<u32>().is_ok(),
        "{printed}"
    );
    format!("{before}/scratch.{rest}")
}

/// Whether a process runs: it exists, and is not dead and unreaped.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest.trim_start());
    !state.is_empty() && !state.starts_with('Z')
}
