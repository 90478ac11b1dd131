//! The pipes through which a job prints.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;

use bytes::{Bytes, BytesMut};
use jobyard_core::{Output, OutputStream};
use jobyard_launcher::spool::Masks;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

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
        let stream = Stream {
            pipe: Receiver::from_owned_fd(OwnedFd::from(pipe))?,
            output: MaskedStream::new(name, output, masks),
            cut: cut.subscribe(),
        };
        streams.push(stream.run());
    }
    Ok(Pump::start(cut, streams))
}

/// One pipe.
struct Stream {
    pipe: Receiver,
    output: MaskedStream,
    cut: watch::Receiver<bool>,
}

impl Stream {
    /// Reads to the end or the cut; answers whether it was cut off.
    async fn run(mut self) -> bool {
        let was_cut_off = self.read().await;
        self.output.finish().await;
        was_cut_off
    }

    async fn read(&mut self) -> bool {
        loop {
            // The cut comes first: an escaped process that prints without end must not keep us from seeing it.
            let ready = tokio::select! {
                biased;
                _ = self.cut.wait_for(|cut| *cut) => None,
                ready = self.pipe.readable() => Some(ready),
            };
            match ready {
                None => return self.take_rest().await,
                Some(Err(_)) => return false,
                Some(Ok(())) => {}
            }
            // The buffer is made only once there is something to read: a silent job holds none.
            let mut buffer = BytesMut::with_capacity(READ_BYTES);
            match self.pipe.try_read_buf(&mut buffer) {
                Ok(0) => return false,
                Ok(_) => self.deliver(buffer).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!(%error, "the output of an attempt could not be read further");
                    return false;
                }
            }
        }
    }

    /// Takes what is in the pipe now, without waiting for more, and not more than a pipe can hold.
    async fn take_rest(&mut self) -> bool {
        let mut left = LARGEST_PIPE_BYTES;
        while left > 0 {
            let mut buffer = BytesMut::zeroed(READ_BYTES);
            // Past the runtime, which could believe the pipe to be empty still.
            match rustix::io::read(&self.pipe, &mut buffer[..]) {
                Ok(0) => return false,
                Ok(count) => {
                    left = left.saturating_sub(count);
                    buffer.truncate(count);
                    self.deliver(buffer).await;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return true,
            }
        }
        true
    }

    async fn deliver(&mut self, buffer: BytesMut) {
        // Little bytes shall not keep a large buffer alive for as long as somebody keeps them.
        let bytes = if buffer.len() < READ_BYTES / 2 {
            Bytes::copy_from_slice(&buffer)
        } else {
            buffer.freeze()
        };
        self.output.write(bytes).await;
    }
}

/// How much is read at once: what a pipe of Linux holds by default.
const READ_BYTES: usize = 64 * 1024;
/// The largest pipe that an unprivileged process can make on Linux by default.
const LARGEST_PIPE_BYTES: usize = 1024 * 1024;
