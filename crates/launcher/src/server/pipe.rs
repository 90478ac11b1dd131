//! The pipe by which output comes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use jobyard_core::OutputStream;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

use crate::sys::set_aside;

/// How much is read at once. What a pipe holds from the beginning: whoever fills that between two reads prints much. Not
/// more, since it is still in the fastest caches then when it is written.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// How often a [large](Pipe::is_large) pipe is read before it is another attempt's turn.
pub(super) const READS_AT_ONCE: usize = 4;

/// What a large pipe holds.
const LARGE_BYTES: usize = READS_AT_ONCE * READ_BYTES;

/// How many pipes are made larger at once. The kernel counts what the pipes of a user hold together, 64 MiB unless the
/// machine says otherwise, and gives new ones two pages each when that is used up: this leaves three quarters of it.
const MOST_LARGE: usize = 64;

/// The end of a pipe at which output is read. Never waits.
#[derive(Debug)]
pub(super) struct Pipe {
    fd: OwnedFd,
    stream: OutputStream,
    size: Size,
}

/// How much a pipe holds.
#[derive(Debug)]
enum Size {
    /// What it held from the beginning, as far as is known.
    Usual,
    /// [`LARGE_BYTES`]. Counts among those.
    Large { _counted: Arc<()> },
    /// It is as it is: the kernel does not make it larger, or the job has done that itself.
    Settled,
}

/// What output is read into.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// There is one more of it for each pipe that was made larger.
    large: Arc<()>,
}

impl Buffer {
    /// An empty one. Takes memory only for what is read.
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; READ_BYTES],
            large: Arc::new(()),
        }
    }
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
        let size = Size::Usual;
        Ok((Self { fd, stream, size }, job))
    }

    /// Which output it carries.
    pub(super) const fn stream(&self) -> OutputStream {
        self.stream
    }

    /// Whether it may hold more than is read at once.
    pub(super) const fn is_large(&self) -> bool {
        matches!(self.size, Size::Large { .. })
    }

    /// Reads what is there, at most as much as the buffer holds. A pipe that was full has more room from then on, so that
    /// job and launcher take turns less often.
    pub(super) fn read<'a>(&mut self, buffer: &'a mut Buffer) -> Piece<'a> {
        loop {
            return match rustix::io::read(&self.fd, &mut *buffer.bytes) {
                Ok(0) => Piece::End,
                Ok(length) => {
                    if length == READ_BYTES && matches!(self.size, Size::Usual) {
                        self.enlarge(&buffer.large);
                    }
                    Piece::Bytes(&buffer.bytes[..length])
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Piece::Nothing,
                // A pipe has no other errors; whatever it were, nothing more would come.
                Err(_) => Piece::End,
            };
        }
    }

    /// Gives it more room, unless enough others have that.
    fn enlarge(&mut self, large: &Arc<()>) {
        // One is the buffer's own.
        if Arc::strong_count(large) > MOST_LARGE {
            return;
        }
        let is_usual = fcntl_getpipe_size(&self.fd).is_ok_and(|bytes| bytes <= READ_BYTES);
        // The kernel refuses it where a user has too much in pipes already, and where the machine allows less.
        self.size = match is_usual.then(|| fcntl_setpipe_size(&self.fd, LARGE_BYTES)) {
            Some(Ok(_)) => Size::Large {
                _counted: Arc::clone(large),
            },
            Some(Err(_)) | None => Size::Settled,
        };
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that somebody fills as fast as it is read. Its end is closed when it is dropped.
    fn busy() -> (Pipe, std::process::Child) {
        let (pipe, job) = Pipe::new(OutputStream::Stdout).expect("a pipe");
        let child = std::process::Command::new("cat")
            .arg("/dev/zero")
            .stdout(job)
            .spawn()
            .expect("a program");
        (pipe, child)
    }

    fn wait_for_bytes(pipe: &Pipe) {
        use rustix::event::{PollFd, PollFlags, poll};
        poll(&mut [PollFd::new(pipe, PollFlags::IN)], None).expect("waited");
    }

    /// Reads until it was full once.
    fn fill(pipe: &mut Pipe, buffer: &mut Buffer) {
        loop {
            wait_for_bytes(pipe);
            match pipe.read(buffer) {
                Piece::Bytes(bytes) if bytes.len() == READ_BYTES => return,
                Piece::End => panic!("nobody has closed it"),
                _ => {}
            }
        }
    }

    #[test]
    fn pipe_that_was_full_has_more_room_and_no_more_of_them_than_are_good_for_others() {
        let mut buffer = Buffer::new();
        let (mut pipe, mut child) = busy();
        fill(&mut pipe, &mut buffer);
        // Not where somebody has forbidden it.
        let is_large = pipe.is_large();
        assert_eq!(Arc::strong_count(&buffer.large), 1 + usize::from(is_large));
        let others: Vec<_> = (0..MOST_LARGE).map(|_| Arc::clone(&buffer.large)).collect();
        let (mut second, mut other) = busy();
        fill(&mut second, &mut buffer);
        assert!(matches!(second.size, Size::Usual));
        drop((pipe, others));
        fill(&mut second, &mut buffer);
        assert_eq!(second.is_large(), is_large);
        for child in [&mut child, &mut other] {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    #[test]
    fn pipe_that_is_hardly_used_stays_as_it_is() {
        let mut buffer = Buffer::new();
        let (mut pipe, job) = Pipe::new(OutputStream::Stdout).expect("a pipe");
        assert_eq!(pipe.read(&mut buffer), Piece::Nothing);
        rustix::io::write(&job, b"a line\n").expect("written");
        assert_eq!(pipe.read(&mut buffer), Piece::Bytes(b"a line\n"));
        assert!(matches!(pipe.size, Size::Usual));
        drop(job);
        assert_eq!(pipe.read(&mut buffer), Piece::End);
    }
}
