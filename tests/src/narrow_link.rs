//! A link that is slow, as many homes and ships have one.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

/// How much is carried at once: what goes into one packet.
const PACKET: usize = 1460;

/// One link with one buffer before it, for all connections and both directions. Clones share it.
///
/// Whoever brings more than it carries fills its buffer, and then whatever anybody else brings stands behind that: so do the
/// buffers of modems, which is what makes a heartbeat late.
#[derive(Clone, Debug)]
pub(crate) struct NarrowLink {
    bytes_per_second: u32,
    /// What of the buffer is free, in bytes; given away in the order of asking.
    buffer: Arc<Semaphore>,
    /// When everything is carried that is in the buffer now.
    free_at: Arc<Mutex<Instant>>,
}

/// A piece in the buffer.
struct Packet {
    bytes: Vec<u8>,
    arrives: Instant,
    _room: OwnedSemaphorePermit,
}

impl NarrowLink {
    pub(crate) fn new(bytes_per_second: u32, buffer: usize) -> Self {
        Self {
            bytes_per_second,
            buffer: Arc::new(Semaphore::new(buffer)),
            free_at: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Carries one direction of a connection until its end, and says how much has arrived each time.
    pub(crate) async fn carry(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        delivered: impl Fn(u64),
    ) {
        // What bounds it is the buffer of the link.
        let (queue, mut queued) = mpsc::channel(self.buffer.available_permits().max(1));
        let bring = async move {
            let mut piece = vec![0; PACKET];
            while let Ok(length @ 1..) = from.read(&mut piece).await {
                let packet = self.queue(piece[..length].to_vec()).await;
                if queue.send(packet).await.is_err() {
                    break;
                }
            }
        };
        let deliver = async {
            while let Some(packet) = queued.recv().await {
                sleep_until(packet.arrives).await;
                if to.write_all(&packet.bytes).await.is_err() {
                    return;
                }
                delivered(packet.bytes.len() as u64);
            }
            let _ = to.shutdown().await;
        };
        tokio::join!(bring, deliver);
    }

    /// Waits for room in the buffer, and takes it.
    async fn queue(&self, bytes: Vec<u8>) -> Packet {
        let length = u32::try_from(bytes.len()).expect("a packet is small");
        let room = Arc::clone(&self.buffer).acquire_many_owned(length).await;
        let takes = Duration::from_secs_f64(f64::from(length) / f64::from(self.bytes_per_second));
        let mut free_at = self.free_at.lock().await;
        *free_at = (*free_at).max(Instant::now()) + takes;
        Packet {
            bytes,
            arrives: *free_at,
            _room: room.expect("nobody closes the buffer"),
        }
    }
}
