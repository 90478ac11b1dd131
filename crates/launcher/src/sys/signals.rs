//! Signals to the launcher as something that can be waited for.

#![expect(unsafe_code, reason = "signalfd has no safe interface")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::raw;

/// Has no signal delivered to this thread. Those to the process are for the others.
pub(crate) fn hold_back_signals() {
    raw::block_signals(true);
}

/// The signals that a launcher hears: SIGCHLD, and SIGTERM, which asks it to retire. They are blocked from now on; a
/// child unblocks them before it executes its program.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Begins to hear them. To be called once, before there are threads.
    ///
    /// # Errors
    ///
    /// There is no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: `sigemptyset` makes a set out of what the pointer points to, the other calls only read and change that
        // set, and the descriptor is new and nobody else's.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
            if libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self {
                fd: OwnedFd::from_raw_fd(fd),
            })
        }
    }

    /// Takes what has come. Says whether the launcher is asked to retire. Never waits.
    pub(crate) fn take(&mut self) -> bool {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut asked = false;
        let mut buffer = [0; SIZE * 4];
        loop {
            let length = match rustix::io::read(&self.fd, &mut buffer) {
                Ok(length) => length,
                Err(Errno::INTR) => continue,
                Err(_) => return asked,
            };
            // The number of the signal is the first field.
            let is_all = length < buffer.len();
            asked |= buffer[..length].chunks_exact(SIZE).any(|info| {
                info.first_chunk::<4>()
                    .is_some_and(|number| i32::from_ne_bytes(*number) == libc::SIGTERM)
            });
            if is_all {
                return asked;
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
