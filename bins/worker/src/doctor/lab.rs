//! A place to try things in.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use jobyard_clock::SystemClock;
use jobyard_core::{
    AttemptContext, AttemptId, AttemptNumber, ExecutorSpec, JobId, JobSpec, Limits, Output,
    PROCESS_EXECUTOR, StopCause,
};
use jobyard_executor::launcher::{CageFacts, Launcher};
use jobyard_executor::{
    Ending, LeftBehind, ProcessConfig, ProcessExecutor, SupervisorEvent, SupervisorHandle, adopt,
    supervise,
};
use jobyard_worker::spool::{Spool, SpoolLog, SpoolReader, SpoolSink};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::executors::processes;
use crate::job_options::JobSettings;

/// Longer than anything here takes on a machine that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// An executor as the worker would have it, in a directory of its own.
#[derive(Debug)]
pub(super) struct Lab {
    executor: Arc<ProcessExecutor>,
    settings: JobSettings,
    dir: TempDir,
    runs: AtomicU32,
}

/// Something that runs.
pub(super) struct Running {
    pub(super) attempt: AttemptId,
    pub(super) handle: SupervisorHandle,
    events: mpsc::Receiver<(AttemptId, SupervisorEvent)>,
    log: Arc<SpoolLog>,
}

/// Something that ran.
pub(super) struct Ran {
    pub(super) ending: Ending,
    pub(super) output: Vec<u8>,
}

impl Lab {
    /// Opens it: a launcher starts.
    pub(super) async fn open(settings: &JobSettings) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("jobyard-doctor-")
            .tempdir()
            .context("there is no place for a temporary directory")?;
        // Another user's jobs pass through it.
        let passage = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(dir.path(), passage)?;
        let executor = processes(settings, dir.path()).await?;
        Ok(Self {
            executor: Arc::new(executor),
            settings: settings.clone(),
            dir,
            runs: AtomicU32::new(0),
        })
    }

    /// What the launcher says; `None`: there is none.
    pub(super) fn facts(&self) -> Option<&CageFacts> {
        self.executor.launcher().map(Launcher::facts)
    }

    /// The same place as the next life of the program finds it.
    pub(super) async fn reopen(&mut self) -> anyhow::Result<()> {
        // The earlier life has ended before the next one begins.
        self.executor = Arc::new(ProcessExecutor::new());
        self.executor = Arc::new(processes(&self.settings, self.dir.path()).await?);
        Ok(())
    }

    /// Runs a script to its end.
    pub(super) async fn run(&self, script: &str, limits: Limits) -> anyhow::Result<Ran> {
        self.start(script, limits)?.end().await
    }

    /// Runs a script, and stops it when it has printed something.
    pub(super) async fn stop(&self, script: &str, grace: Duration) -> anyhow::Result<Ran> {
        let running = self.start(script, Limits::NONE)?;
        running.printed().await?;
        running.handle.stop(StopCause::Cancelled, grace).await;
        running.end().await
    }

    pub(super) fn start(&self, script: &str, limits: Limits) -> anyhow::Result<Running> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let job = JobId::from_uuid(uuid::Uuid::now_v7());
        let number = AttemptNumber::new(number).context("too many runs")?;
        let attempt = AttemptId::new(job, number);
        let (events, reports) = mpsc::channel(4);
        let (log, output) = self.output(attempt)?;
        let handle = supervise(
            Arc::clone(&self.executor) as _,
            self.context(attempt, script, limits)?,
            output,
            Arc::new(SystemClock::new()),
            events,
        );
        Ok(Running {
            attempt,
            handle,
            events: reports,
            log,
        })
    }

    /// Finds what was left running.
    pub(super) fn adopt(&self, attempt: AttemptId) -> anyhow::Result<Running> {
        let (events, reports) = mpsc::channel(4);
        let (log, output) = self.output(attempt)?;
        let handle = adopt(
            Arc::clone(&self.executor) as _,
            self.context(attempt, "", Limits::NONE)?,
            LeftBehind::default(),
            output,
            Arc::new(SystemClock::new()),
            events,
        );
        Ok(Running {
            attempt,
            handle,
            events: reports,
            log,
        })
    }

    fn context(
        &self,
        attempt: AttemptId,
        script: &str,
        limits: Limits,
    ) -> anyhow::Result<AttemptContext> {
        let config = ProcessConfig::command(["sh", "-c", script]).to_config_string();
        let mut spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config));
        spec.limits = limits;
        let scratch = self
            .dir
            .path()
            .join("scratch")
            .join(attempt.job.to_string());
        Ok(AttemptContext::new(attempt, spec.validate()?, scratch))
    }

    fn output(&self, attempt: AttemptId) -> anyhow::Result<(Arc<SpoolLog>, Output)> {
        // Nothing that is tried here has secrets.
        let spec = JobSpec::default().validate()?;
        let limit = 1 << 20;
        let log = Spool::open(&self.spool())?.log(attempt, limit);
        let sink = SpoolSink::new(Arc::clone(&log), Arc::new(SystemClock::new()), &spec);
        Ok((log, Output::new(Arc::new(sink))))
    }

    fn spool(&self) -> std::path::PathBuf {
        Path::new(self.dir.path()).join("spool")
    }
}

impl Running {
    /// Waits until it has printed something.
    pub(super) async fn printed(&self) -> anyhow::Result<()> {
        let mut progress = self.log.watch();
        let printed = progress.wait_for(|progress| progress.end > 0);
        tokio::time::timeout(PATIENCE, printed)
            .await
            .context("it printed nothing")??;
        Ok(())
    }

    /// Waits for its end.
    pub(super) async fn end(mut self) -> anyhow::Result<Ran> {
        let finished = async {
            while let Some((_, event)) = self.events.recv().await {
                if let SupervisorEvent::Finished(ending) = event {
                    return Some(ending);
                }
            }
            None
        };
        let ending = tokio::time::timeout(PATIENCE, finished).await;
        let ending = ending
            .context("it did not end in time")?
            .context("nobody said how it ended")?;
        self.log.close();
        let mut output = Vec::new();
        for chunk in SpoolReader::new(self.log, 0).read(usize::MAX)? {
            output.extend_from_slice(&chunk.bytes);
        }
        Ok(Ran { ending, output })
    }
}
