//! Hands output on that the launcher left in a directory of ours.

use std::io;
use std::path::PathBuf;

use jobyard_core::{LogChunk, Output, OutputProgress};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::launcher::SpoolReader;

/// Copies the output of one attempt into its sink, as it comes, and deletes what was copied. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Copier {
    task: JoinHandle<()>,
    /// Where the output ends, once that is known.
    end: watch::Sender<Option<u64>>,
    is_finished: bool,
}

impl Copier {
    /// Begins to copy. Needs a runtime.
    pub(super) fn start(
        dir: PathBuf,
        progress: watch::Receiver<OutputProgress>,
        output: Output,
    ) -> Self {
        let (end, ends) = watch::channel(None);
        let task = tokio::spawn(async move {
            if let Err(error) = copy(dir, progress, ends, output).await {
                tracing::warn!(%error, "output that a launcher wrote could not be read further");
            }
        });
        Self {
            task,
            end,
            is_finished: false,
        }
    }

    /// Returns when everything up to here was handed on. Cancel-safe, and does nothing once it has returned.
    pub(super) async fn finish(&mut self, end: u64) {
        self.end.send_replace(Some(end));
        if !self.is_finished {
            let _ = (&mut self.task).await;
            self.is_finished = true;
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn copy(
    dir: PathBuf,
    mut progress: watch::Receiver<OutputProgress>,
    mut ends: watch::Receiver<Option<u64>>,
    output: Output,
) -> io::Result<()> {
    // Opened with the first output, which makes the directory.
    let mut reader = None;
    loop {
        let announced = progress.borrow_and_update().end;
        let end = *ends.borrow_and_update();
        let mut left = announced.max(end.unwrap_or(0));
        while left > 0 {
            let taken = reader.take();
            let dir = dir.clone();
            let batch = spawn_blocking(move || read_batch(taken, dir, left)).await;
            let (next, chunks) = batch.map_err(io::Error::other)??;
            if chunks.is_empty() {
                left = 0;
            }
            reader = Some(next);
            for chunk in chunks {
                output.write(chunk.stream, chunk.bytes).await;
            }
        }
        if end.is_some() {
            return Ok(());
        }
        tokio::select! {
            changed = progress.changed() => if changed.is_err() { return Ok(()) },
            changed = ends.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

/// Reads some chunks.
fn read_batch(
    reader: Option<SpoolReader>,
    dir: PathBuf,
    end: u64,
) -> io::Result<(SpoolReader, Vec<LogChunk>)> {
    let mut reader = reader.unwrap_or_else(|| SpoolReader::open(dir));
    let mut chunks = Vec::new();
    while chunks.len() < BATCH
        && let Some(chunk) = reader.read(end)?
    {
        chunks.push(chunk);
    }
    Ok((reader, chunks))
}

/// How many chunks are held in memory at once; each has 64 KiB at most.
const BATCH: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use bytes::Bytes;
    use jobyard_core::{OutputSink, OutputStream, Timestamp};
    use jobyard_launcher::spool::SpoolWriter;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<u8>>);

    #[async_trait]
    impl OutputSink for Kept {
        async fn write(&self, _stream: OutputStream, bytes: Bytes) {
            self.0.lock().expect("ours").extend_from_slice(&bytes);
        }
    }

    #[tokio::test]
    async fn everything_arrives_in_order_before_the_end_returns() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = base.path().join("out");
        let mut writer = SpoolWriter::new(dir.clone(), u64::MAX).with_segment_bytes(100);
        let announced = watch::Sender::new(OutputProgress::default());
        let kept = Arc::new(Kept::default());
        let output = Output::new(Arc::clone(&kept) as Arc<dyn OutputSink>);
        let mut copier = Copier::start(dir, announced.subscribe(), output);
        let mut expected = Vec::new();
        for number in 0..500 {
            let text = format!("line {number}\n");
            expected.extend_from_slice(text.as_bytes());
            writer.write(
                OutputStream::Stdout,
                Timestamp::from_micros(1),
                Bytes::from(text),
            );
            announced.send_replace(writer.progress());
            if number % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
        copier.finish(writer.progress().end).await;
        assert_eq!(*kept.0.lock().expect("ours"), expected);
    }

    #[tokio::test]
    async fn silence_needs_no_directory() {
        let progress = watch::Sender::new(OutputProgress::default());
        let output = Output::new(Arc::new(Kept::default()));
        let mut copier = Copier::start(PathBuf::from("/no/such"), progress.subscribe(), output);
        copier.finish(0).await;
    }
}
