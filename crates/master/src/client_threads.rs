//! Threads for clients alone.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// How many operations of clients that block are under way at once: reads of output, mostly.
const BLOCKING: usize = 64;

/// A runtime of its own for the connections of clients, so that those who read output, however many, take turns with the
/// rest of the master by the system's scheduler instead of standing before it in one queue. Dropping it ends what runs on
/// it, without waiting for that.
#[derive(Debug)]
pub(crate) struct ClientThreads {
    handle: Handle,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl ClientThreads {
    /// One thread for each processor.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("clients")
            .max_blocking_threads(BLOCKING)
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Where clients are served.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for ClientThreads {
    fn drop(&mut self) {
        // Dropped as it is, a runtime waits for its threads, which is not allowed where others are running.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
