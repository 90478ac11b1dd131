//! Output that the launcher writes where it is kept.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_clock::SystemClock;
use jobyard_core::{
    Executor, Exit, Outcome, Output, OutputPlace, OutputProgress, OutputSink, OutputStream,
};
use jobyard_executor::{ProcessConfig, SupervisorEvent, supervise};
use jobyard_launcher::spool::{frame, segment_path};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::adopt::life;
use crate::workbench::{GUARD, Workbench};

/// Has a place, and keeps how far it got.
struct Placed {
    dir: PathBuf,
    limit: u64,
    progress: watch::Sender<OutputProgress>,
}

#[async_trait]
impl OutputSink for Placed {
    async fn write(&self, _stream: OutputStream, _bytes: Bytes) {
        panic!("whoever uses the place does not write");
    }

    fn place(&self) -> Option<OutputPlace> {
        Some(OutputPlace::new(self.dir.clone(), self.limit))
    }

    fn advanced(&self, progress: OutputProgress) {
        self.progress.send_replace(progress);
    }
}

/// As an agent's log: once it was told that another process writes the output, it drops what it is given.
#[derive(Default)]
struct Log {
    dir: PathBuf,
    is_followed: Mutex<bool>,
    written: Mutex<Vec<u8>>,
}

#[async_trait]
impl OutputSink for Log {
    async fn write(&self, _stream: OutputStream, bytes: Bytes) {
        if !*self.is_followed.lock().expect("ours") {
            self.written.lock().expect("ours").extend_from_slice(&bytes);
        }
    }

    fn place(&self) -> Option<OutputPlace> {
        Some(OutputPlace::new(self.dir.clone(), u64::MAX))
    }

    fn advanced(&self, _progress: OutputProgress) {
        *self.is_followed.lock().expect("ours") = true;
    }
}

async fn run(config: &ProcessConfig, limit: u64) -> (Vec<u8>, OutputProgress) {
    let bench = Workbench::new(config);
    let placed = Arc::new(Placed {
        dir: bench.base.path().join("spool"),
        limit,
        progress: watch::Sender::default(),
    });
    let output = Output::new(Arc::clone(&placed) as Arc<dyn OutputSink>);
    let executor = life(&bench).await;
    let started = executor.start(bench.context.clone(), output).await;
    let execution = started.expect("it starts");
    assert_eq!(execution.wait().await, Ok(Exit::Exited(0)));
    execution.cleanup().await;
    let mut bytes = Vec::new();
    let mut segment = File::open(segment_path(&placed.dir, 0)).expect("written");
    while let Some(chunk) = frame::read(&mut segment).expect("frames") {
        bytes.extend_from_slice(&chunk.bytes);
    }
    let progress = *placed.progress.borrow();
    (bytes, progress)
}

#[tokio::test]
async fn output_is_in_the_place_and_announced_before_the_cleanup_returns() {
    let config = ProcessConfig::script("echo one; echo two");
    let (bytes, progress) = run(&config, u64::MAX).await;
    assert_eq!(bytes, b"one\ntwo\n");
    assert_eq!(progress, OutputProgress::new(0, 8, 0));
}

#[tokio::test]
async fn what_exceeds_the_limit_is_counted() {
    let config = ProcessConfig::script("printf 0123456789");
    let (bytes, progress) = run(&config, 4).await;
    assert_eq!(bytes, b"0123");
    assert_eq!(progress, OutputProgress::new(0, 4, 6));
}

#[tokio::test]
async fn why_it_was_not_started_arrives_where_the_launcher_would_have_written() {
    // Fails only when it is executed: what is seen before never comes to the launcher.
    let files = tempfile::tempdir().expect("a directory");
    let program = files.path().join("program");
    std::fs::write(&program, "#!/no/such/interpreter\n").expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("ours");
    let program = program.to_str().expect("text");
    let bench = Workbench::new(&ProcessConfig::command([program]));
    let log = Arc::new(Log {
        dir: bench.base.path().join("spool"),
        ..Log::default()
    });
    let sink = Arc::clone(&log) as Arc<dyn OutputSink>;
    let (events, mut reports) = mpsc::channel(1);
    let executor = Arc::new(bench.executor.clone());
    let clock = Arc::new(SystemClock::new());
    let handle = supervise(
        executor,
        bench.context.clone(),
        Output::new(sink),
        clock,
        events,
    );
    let report = timeout(GUARD, reports.recv()).await.expect("in time");
    let Some((_, SupervisorEvent::Finished(ending))) = report else {
        panic!("not started: {report:?}");
    };
    drop(handle);
    assert!(matches!(ending.outcome, Outcome::StartFailed { .. }));
    let written = String::from_utf8(log.written.lock().expect("ours").clone());
    let written = written.expect("text");
    assert!(written.starts_with("jobyard: "), "{written:?}");
}
