//! The pipes through which a job prints.
//!
//! Such a pipe can only be read by somebody who waits for it, so each has a thread. If a process outside the job object
//! got hold of a pipe, its thread stays until that process prints or lets go of it; it is no thread of the runtime, whose
//! end waits for its own.

use std::io::{self, PipeReader, Read as _};
use std::thread;

use bytes::Bytes;
use jobyard_core::{Output, OutputStream};
use jobyard_launcher::spool::Masks;
use tokio::sync::{mpsc, watch};

use super::super::masked::MaskedStream;
use super::super::pump::Pump;

/// Begins to read the pipes of an attempt, without what is to be masked. Needs a runtime.
pub(super) fn pump(
    pipes: Vec<(OutputStream, PipeReader)>,
    output: &Output,
    masks: &Masks,
) -> io::Result<Pump> {
    let (cut, _) = watch::channel(false);
    let mut streams = Vec::with_capacity(pipes.len());
    for (name, pipe) in pipes {
        let (chunks, arrived) = mpsc::channel(CHUNKS);
        thread::Builder::new()
            .name("job-output".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || read(pipe, &chunks))?;
        let stream = Stream {
            arrived,
            output: MaskedStream::new(name, output, masks),
            cut: cut.subscribe(),
        };
        streams.push(stream.run());
    }
    Ok(Pump::start(cut, streams))
}

/// Reads to the end, or until nobody wants more.
fn read(mut pipe: PipeReader, chunks: &mpsc::Sender<Bytes>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let chunk = Bytes::copy_from_slice(&buffer[..count]);
                if chunks.blocking_send(chunk).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::warn!(%error, "the output of an attempt could not be read further");
                return;
            }
        }
    }
}

/// One pipe.
struct Stream {
    arrived: mpsc::Receiver<Bytes>,
    output: MaskedStream,
    cut: watch::Receiver<bool>,
}

impl Stream {
    /// Hands over what is read to the end or the cut; answers whether it was cut off.
    async fn run(mut self) -> bool {
        let was_cut_off = self.read().await;
        self.output.finish().await;
        was_cut_off
    }

    async fn read(&mut self) -> bool {
        loop {
            // The cut comes first: an escaped process that prints without end must not keep us from seeing it.
            let chunk = tokio::select! {
                biased;
                _ = self.cut.wait_for(|cut| *cut) => break,
                chunk = self.arrived.recv() => chunk,
            };
            match chunk {
                Some(chunk) => self.output.write(chunk).await,
                None => return false,
            }
        }
        // What was read before the cut.
        self.arrived.close();
        while let Some(chunk) = self.arrived.recv().await {
            self.output.write(chunk).await;
        }
        true
    }
}

/// How much is read at once: some times what such a pipe holds by default.
const READ_BYTES: usize = 16 * 1024;
/// How much is read ahead of an output that does not keep up.
const CHUNKS: usize = 2;
/// What a thread needs that only reads, with room for what the log needs.
const STACK_BYTES: usize = 128 * 1024;
