//! A connection to a launcher, and its beginning.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as Stream;
use std::path::Path;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use jobyard_launcher::protocol::{
    CodecError, Decoder, PROTOCOL_VERSION, Reply, Request, SOCKET, Welcome, encode,
};
use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// A stream of messages in both directions.
#[derive(Debug)]
pub(super) struct Wire {
    /// Woken by what comes, and not by room for more: there is more of that whenever the launcher has taken something, which
    /// would wake us once for each message.
    stream: AsyncFd<Stream>,
    /// The same, woken by room for more, while something waits for that.
    full: Option<AsyncFd<OwnedFd>>,
    decoder: Decoder,
    out: BytesMut,
    /// How many bytes were ever added to `out`.
    pushed: u64,
}

/// What can be done with a wire now.
pub(super) enum Turn<T> {
    /// Something came, or went.
    Moved,
    /// The other future is done.
    Other(T),
}

impl Wire {
    /// Connects to the launcher of a directory and greets it.
    pub(super) async fn open(dir: &Path) -> Result<(Self, Welcome), WireError> {
        timeout(HANDSHAKE, Self::greet(dir))
            .await
            .unwrap_or(Err(WireError::Silent))
    }

    async fn greet(dir: &Path) -> Result<(Self, Welcome), WireError> {
        let stream = connect(dir).await?;
        let peer = stream.peer_cred()?.uid();
        if peer != rustix::process::geteuid().as_raw() {
            return Err(WireError::Stranger { uid: peer });
        }
        Self::over(stream).await
    }

    /// Says hello over a stream and waits for the welcome.
    pub(super) async fn over(stream: UnixStream) -> Result<(Self, Welcome), WireError> {
        let mut wire = Self::silent(stream)?;
        let version = PROTOCOL_VERSION;
        wire.push(&Request::Hello { version })?;
        wire.send()?;
        loop {
            if let Some(reply) = wire.next()? {
                return match reply {
                    Reply::Welcome(welcome) => Ok((wire, *welcome)),
                    _ => Err(WireError::NoWelcome),
                };
            }
            wire.turn(std::future::pending::<()>()).await?;
        }
    }

    /// A stream over which nothing was said yet.
    pub(super) fn silent(stream: UnixStream) -> io::Result<Self> {
        Ok(Self {
            stream: woken(stream.into_std()?, Interest::READABLE)?,
            full: None,
            decoder: Decoder::default(),
            out: BytesMut::new(),
            pushed: 0,
        })
    }

    /// How many bytes were ever to be sent: what is pushed next begins here.
    pub(super) const fn pushed(&self) -> u64 {
        self.pushed
    }

    /// How many of them were sent.
    pub(super) fn sent(&self) -> u64 {
        self.pushed - self.out.len() as u64
    }

    /// How much waits to be sent, in bytes.
    pub(super) fn unsent(&self) -> usize {
        self.out.len()
    }

    /// Adds a message to what is to be sent. After an error it was not added.
    pub(super) fn push(&mut self, request: &Request) -> Result<(), CodecError> {
        let before = self.out.len();
        encode(request, &mut self.out)?;
        self.pushed += (self.out.len() - before) as u64;
        Ok(())
    }

    /// The next message that has come as a whole.
    pub(super) fn next(&mut self) -> Result<Option<Reply>, WireError> {
        Ok(self.decoder.decode_reply()?)
    }

    /// Moves bytes in both directions, until some have moved or the other future is done. Cancel-safe.
    pub(super) async fn turn<T>(
        &mut self,
        other: impl Future<Output = T>,
    ) -> Result<Turn<T>, WireError> {
        if !self.out.is_empty() && self.full.is_none() {
            let same = self.stream.get_ref().as_fd().try_clone_to_owned()?;
            self.full = Some(woken(same, Interest::WRITABLE)?);
        }
        let full = &self.full;
        let has_room = async {
            match full {
                // Before it is tried: what changes from then on is told anew.
                Some(full) => full.writable().await.map(|mut ready| ready.clear_ready()),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ready = self.stream.readable() => {
                let mut ready = ready?;
                let mut buffer = [0; READ_BYTES];
                match ready.try_io(|stream| stream.get_ref().read(&mut buffer)) {
                    Ok(Ok(0)) => return Err(WireError::Closed),
                    Ok(Ok(count)) => {
                        if count < READ_BYTES {
                            // That was all; what comes from now on is told anew.
                            ready.clear_ready();
                        }
                        self.decoder.push(&buffer[..count]);
                    }
                    Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(Err(error)) => return Err(error.into()),
                    Err(_nothing_yet) => {}
                }
                Ok(Turn::Moved)
            }
            ready = has_room => {
                ready?;
                self.send()?;
                Ok(Turn::Moved)
            }
            done = other => Ok(Turn::Other(done)),
        }
    }

    /// Sends as much as goes at once.
    pub(super) fn send(&mut self) -> Result<(), WireError> {
        while !self.out.is_empty() {
            match self.stream.get_ref().write(&self.out) {
                Ok(count) => self.out.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.full = None;
        Ok(())
    }
}

/// A descriptor that does not block, and what wakes those who wait for it. Needs a runtime.
fn woken<T: AsRawFd>(fd: T, by: Interest) -> io::Result<AsyncFd<T>> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe, since a type could change its descriptor; these never do"
    )]
    AsyncFd::with_interest(fd, by)
}

/// Why a launcher cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it does not answer")]
    Silent,
    #[error("it is a process of the user {uid}")]
    Stranger { uid: u32 },
    #[error("it does not answer with a welcome")]
    NoWelcome,
    #[error("it closed the connection")]
    Closed,
    #[error("{0}")]
    Codec(#[from] CodecError),
}

/// Connects by way of a descriptor: the path of a socket may have 107 bytes, that of a directory may be longer.
async fn connect(dir: &Path) -> io::Result<UnixStream> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let held = openat(CWD, dir, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", held.as_raw_fd());
    UnixStream::connect(path).await
}

/// How long a launcher may take to answer: the thread that does so waits for nothing but a disk.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How much is read at once: many messages.
const READ_BYTES: usize = 16 * 1024;
