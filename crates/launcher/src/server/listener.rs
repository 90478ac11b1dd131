//! Where agents connect.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::peer;
use crate::protocol::SOCKET;

/// The socket of a launcher.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixListener,
    /// Given up for a moment when there are no descriptors left, so that an agent can always come in.
    spare: Option<File>,
}

/// Somebody who wanted to connect.
#[derive(Debug)]
pub(super) enum Visitor {
    /// May command.
    Agent(UnixStream),
    /// May not, for this reason. Its connection is closed.
    Stranger(String),
}

impl Listener {
    /// Listens in the working directory of this process: paths of sockets are short, those of directories are not. To
    /// be called by the one who holds the directory's lock, since what is there already is taken away.
    pub(crate) fn bind() -> io::Result<Self> {
        match fs::remove_file(SOCKET) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixListener::bind(Path::new(SOCKET))?;
        fs::set_permissions(SOCKET, Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            spare: File::open("/dev/null").ok(),
        })
    }

    /// The next who wants to connect, if there is one.
    pub(super) fn accept(&mut self) -> io::Result<Option<Visitor>> {
        // It may have been given up for a stranger, who is gone.
        self.restock();
        let accepted = match self.socket.accept() {
            Err(error) if is_out_of_descriptors(&error) && self.spare.is_some() => {
                self.spare = None;
                self.socket.accept()
            }
            other => other,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            // It went away again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return Ok(None),
            Err(error) => return Err(error),
        };
        let visitor = match peer::check(&stream) {
            Ok(()) => {
                stream.set_nonblocking(true)?;
                Visitor::Agent(stream)
            }
            Err(problem) => Visitor::Stranger(problem),
        };
        Ok(Some(visitor))
    }

    /// Takes a descriptor aside again, if it was given up and there is one.
    pub(super) fn restock(&mut self) {
        if self.spare.is_none() {
            self.spare = File::open("/dev/null").ok();
        }
    }

    /// Listens no more.
    pub(super) fn close(self) {
        drop(self.socket);
        let _ = fs::remove_file(SOCKET);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .iter()
        .any(|errno| number == Some(errno.raw_os_error()))
}
