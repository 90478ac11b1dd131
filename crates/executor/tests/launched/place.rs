//! Output that the launcher writes where it is kept.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_core::{Executor, Exit, Output, OutputPlace, OutputProgress, OutputSink, OutputStream};
use jobyard_executor::ProcessConfig;
use jobyard_launcher::spool::{frame, segment_path};
use tokio::sync::watch;

use crate::adopt::life;
use crate::workbench::Workbench;

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
