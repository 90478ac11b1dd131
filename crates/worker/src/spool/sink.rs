//! Where executors put output.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_core::{Clock, OutputPlace, OutputProgress, OutputSink, OutputStream};
use tokio::task::spawn_blocking;

use super::log::SpoolLog;

/// Puts the output of one attempt into the spool, with the time at which it came, or lets a launcher do that. A slow
/// disk holds up the attempt's own output and nothing else.
#[derive(Debug)]
pub struct SpoolSink {
    log: Arc<SpoolLog>,
    clock: Arc<dyn Clock>,
}

impl SpoolSink {
    /// A sink into this log.
    pub fn new(log: Arc<SpoolLog>, clock: Arc<dyn Clock>) -> Self {
        Self { log, clock }
    }
}

#[async_trait]
impl OutputSink for SpoolSink {
    async fn write(&self, stream: OutputStream, bytes: Bytes) {
        let at = self.clock.now().wall;
        let log = Arc::clone(&self.log);
        // Fails only when the runtime ends, and then nobody reads the output any more.
        let _ = spawn_blocking(move || log.write(stream, at, &bytes)).await;
    }

    fn place(&self) -> Option<OutputPlace> {
        Some(self.log.place())
    }

    fn advanced(&self, progress: OutputProgress) {
        self.log.follow(progress);
    }
}
