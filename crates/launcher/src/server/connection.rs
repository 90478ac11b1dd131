//! The agent's connection.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use jobyard_core::Steady;

use super::poller::Interest;
use crate::protocol::{CodecError, Decoder, Reply, Request, encode};

/// How much may wait to be sent before nothing more is heard. A welcome may be longer.
const HIGH_WATER_BYTES: usize = 256 * 1024;

/// How long an agent may read nothing. It hangs then, and the next one is told everything anew.
const STUCK_PATIENCE: Duration = Duration::from_mins(1);

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// How far the conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// Nothing was said yet.
    Awaited,
    /// It speaks our version.
    Understood,
    /// It speaks another, and may only have us retire.
    Foreign,
}

/// A connection. Never waits: what cannot be sent now is kept.
#[derive(Debug)]
pub(super) struct Connection {
    socket: UnixStream,
    decoder: Decoder,
    out: BytesMut,
    greeting: Greeting,
    interest: Interest,
    /// Since when nothing could be sent, if something waits to be.
    stuck_since: Option<Steady>,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    /// The agent went away.
    #[error("the agent went away")]
    Gone,
    /// It said what it may not.
    #[error("the agent said what it may not: {0}")]
    Malformed(&'static str),
    /// It said what is no message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The system said so.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// It read nothing for too long.
    #[error("the agent read nothing for {} s", STUCK_PATIENCE.as_secs())]
    Stuck,
}

impl Connection {
    /// A connection that waits for the hello.
    pub(super) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            decoder: Decoder::default(),
            out: BytesMut::new(),
            greeting: Greeting::Awaited,
            interest: Interest::Read,
            stuck_since: None,
        }
    }

    /// How far the conversation is.
    pub(super) const fn greeting(&self) -> Greeting {
        self.greeting
    }

    /// The hello was said.
    pub(super) const fn greet(&mut self, greeting: Greeting) {
        self.greeting = greeting;
    }

    /// Takes what the agent sent. An agent that has gone is an error only once all that it said was heard.
    pub(super) fn receive(&mut self) -> Result<(), Closed> {
        if self.is_full() {
            return Ok(());
        }
        let mut buffer = [0; READ_BYTES];
        loop {
            return match self.socket.read(&mut buffer) {
                Ok(0) => Err(Closed::Gone),
                Ok(length) => {
                    self.decoder.push(&buffer[..length]);
                    Ok(())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
    }

    /// The next request, if it is whole, and if there is room for an answer.
    pub(super) fn next_request(&mut self) -> Result<Option<Request>, Closed> {
        if self.is_full() {
            return Ok(None);
        }
        Ok(self.decoder.decode_request()?)
    }

    /// Says something.
    pub(super) fn send(&mut self, reply: &Reply) -> Result<(), CodecError> {
        encode(reply, &mut self.out)
    }

    /// Whether so much waits to be sent that nothing should be added that can wait.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() > HIGH_WATER_BYTES
    }

    /// Sends what can be sent now.
    pub(super) fn flush(&mut self, now: Steady) -> Result<(), Closed> {
        while !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(0) => return Err(Closed::Gone),
                Ok(length) => {
                    self.out.advance(length);
                    self.stuck_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let since = *self.stuck_since.get_or_insert(now);
                    if now >= since + STUCK_PATIENCE {
                        return Err(Closed::Stuck);
                    }
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        // A long welcome is not kept for ever.
        if self.out.capacity() > 2 * HIGH_WATER_BYTES {
            self.out = BytesMut::new();
        }
        Ok(())
    }

    /// When to flush again, whatever happens.
    pub(super) fn deadline(&self) -> Option<Steady> {
        Some(self.stuck_since? + STUCK_PATIENCE)
    }

    /// What to wait for now, if that has changed.
    pub(super) fn changed_interest(&mut self) -> Option<Interest> {
        let interest = match (self.is_full(), self.out.is_empty()) {
            (true, _) => Interest::Write,
            (false, false) => Interest::Both,
            (false, true) => Interest::Read,
        };
        let has_changed = interest != self.interest;
        self.interest = interest;
        has_changed.then_some(interest)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
