//! The pipe by which output comes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use jobyard_core::OutputStream;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::sys::set_aside;

/// How much is read at once. Then it is another attempt's turn.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// The end of a pipe at which output is read. Never waits.
#[derive(Debug)]
pub(super) struct Pipe {
    fd: OwnedFd,
    stream: OutputStream,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Bytes, at least one.
    Bytes(&'a [u8]),
    /// Nothing for now.
    Nothing,
    /// Nobody holds the other end any more.
    End,
}

impl Pipe {
    /// A pipe, and its other end, which is for the job: it waits when the pipe is full, and has a low number.
    pub(super) fn new(stream: OutputStream) -> io::Result<(Self, OwnedFd)> {
        let (fd, job) = pipe_with(PipeFlags::CLOEXEC)?;
        let fd = set_aside(fd);
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok((Self { fd, stream }, job))
    }

    /// Which output it carries.
    pub(super) const fn stream(&self) -> OutputStream {
        self.stream
    }

    /// Reads what is there, at most as much as the buffer holds.
    pub(super) fn read<'a>(&self, buffer: &'a mut [u8]) -> Piece<'a> {
        loop {
            return match rustix::io::read(&self.fd, &mut *buffer) {
                Ok(0) => Piece::End,
                Ok(length) => Piece::Bytes(&buffer[..length]),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Piece::Nothing,
                // A pipe has no other errors; whatever it were, nothing more would come.
                Err(_) => Piece::End,
            };
        }
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
