//! Descriptors with low numbers, which each child copies.
//!
//! A child that takes a table of its own copies all that is open below the next multiple of 64 of what it needs (Linux), and
//! closes most of that again, which costs more than a microsecond for every ten. So what lives longer than a start is
//! out of the way, and low is what starts need: the kernel gives out the lowest numbers that are free.

use std::iter::from_fn;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::fcntl_dupfd_cloexec;

/// None of the three that every process has.
const LOWEST: RawFd = 3;

/// From here on numbers are high. A table of 64 is part of what the kernel keeps for each process anyway.
const HIGH: RawFd = 64;

/// Who may not have so many has none to spare.
const PLENTY: RawFd = 256;

/// The same with a high number. If there is none to be had, it stays where it is: children are slower then, and nothing else.
pub(crate) fn set_aside(fd: OwnedFd) -> OwnedFd {
    if fd.as_raw_fd() >= HIGH {
        return fd;
    }
    fcntl_dupfd_cloexec(&fd, HIGH).unwrap_or(fd)
}

/// All low numbers that were free: for as long as it lives, whatever is opened is out of the way.
#[derive(Debug)]
pub(crate) struct LowNumbers {
    _all: Vec<OwnedFd>,
}

impl LowNumbers {
    /// Takes them, or none where this process may not have many.
    pub(crate) fn occupy() -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let nothing = open(c"/", flags, Mode::empty());
        let nothing = nothing.and_then(|low| fcntl_dupfd_cloexec(&low, PLENTY));
        let next = || fcntl_dupfd_cloexec(nothing.as_ref().ok()?, LOWEST).ok();
        let is_low = |fd: &OwnedFd| fd.as_raw_fd() < HIGH;
        Self {
            _all: from_fn(next).take_while(is_low).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::{read, write};
    use rustix::pipe::pipe;

    use super::*;

    #[test]
    fn what_is_set_aside_is_the_same_with_a_high_number() {
        let (reader, writer) = pipe().expect("made");
        let writer = set_aside(writer);
        assert!(writer.as_raw_fd() >= HIGH);
        write(&writer, b"x").expect("written");
        drop(writer);
        let mut buffer = [0; 2];
        assert_eq!(read(&reader, &mut buffer), Ok(1));
        assert_eq!(read(&reader, &mut buffer), Ok(0), "nobody else holds it");
    }

    #[test]
    fn what_is_opened_while_low_numbers_are_taken_is_out_of_the_way() {
        // Another test may close a low one just now, so one is tried until it is not so.
        let low = LowNumbers::occupy();
        let opened = from_fn(|| open(c"/", OFlags::PATH, Mode::empty()).ok());
        let is_high = |fd: OwnedFd| fd.as_raw_fd() >= HIGH;
        assert!(opened.take(8).any(is_high));
        drop(low);
    }
}
