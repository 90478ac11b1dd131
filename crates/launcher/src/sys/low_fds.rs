//! Descriptors with low numbers that belong to one starter.

use std::ffi::c_uint;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{DupFlags, Errno, dup3, fcntl_dupfd_cloexec};

/// What a child needs: three standard descriptors, a directory, and Landlock rules.
const SLOTS: usize = 5;

/// The lowest number: none of the three that the child replaces.
const LOWEST: RawFd = 3;

/// All lie below. A table of 64 is part of what the kernel keeps for each process anyway, a longer one is made.
const END: RawFd = 64;

/// A few numbers in a row, each of which always names something: nothing of interest, or what the next child needs. Whoever
/// is cloned with the table of this process, and then copies what lies below [`end`](Lent::end) alone, has all that it
/// needs, and little else.
#[derive(Debug)]
pub(super) struct LowFds {
    nothing: OwnedFd,
    /// Either [`SLOTS`] or, once one could not be emptied, none.
    slots: Vec<OwnedFd>,
}

impl LowFds {
    /// Takes the lowest that are free. `None`: there are none, since this process has opened much already.
    pub(super) fn reserve() -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let nothing = open(c"/", flags, Mode::empty()).ok()?;
        // Out of the way of those that are copied.
        let nothing = fcntl_dupfd_cloexec(&nothing, END).ok()?;
        let mut slots: Vec<OwnedFd> = Vec::with_capacity(SLOTS);
        while slots.len() < SLOTS {
            let next = slots.last().map_or(LOWEST, |last| last.as_raw_fd() + 1);
            let slot = fcntl_dupfd_cloexec(&nothing, next).ok()?;
            if slot.as_raw_fd() >= END {
                return None;
            }
            if slot.as_raw_fd() != next {
                slots.clear();
            }
            slots.push(slot);
        }
        Some(Self { nothing, slots })
    }

    /// Has them name these instead, in this order.
    pub(super) fn lend(
        &mut self,
        fds: impl IntoIterator<Item = impl AsFd>,
    ) -> Result<Lent<'_>, Errno> {
        let mut lent = Lent { low: self, used: 0 };
        for fd in fds {
            let slot = lent.low.slots.get_mut(lent.used).ok_or(Errno::MFILE)?;
            dup3(fd, slot, DupFlags::CLOEXEC)?;
            lent.used += 1;
        }
        Ok(lent)
    }
}

/// Low descriptors in use. Once this is gone, they name nothing of interest again.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    low: &'a mut LowFds,
    used: usize,
}

impl Lent<'_> {
    /// What was given as the first, and so on.
    pub(super) fn get(&self, index: usize) -> Option<BorrowedFd<'_>> {
        let used = self.low.slots.get(..self.used)?;
        used.get(index).map(AsFd::as_fd)
    }

    /// The number that follows the last of them.
    pub(super) fn end(&self) -> c_uint {
        let last = self.low.slots.get(..self.used).and_then(<[_]>::last);
        last.map_or(0, |last| last.as_raw_fd().unsigned_abs()) + 1
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let LowFds { nothing, slots } = &mut *self.low;
        for slot in slots.iter_mut().take(self.used) {
            if dup3(&*nothing, slot, DupFlags::CLOEXEC).is_err() {
                // A pipe must not stay open by it. The next children do without.
                slots.clear();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::{read, write};
    use rustix::pipe::pipe;

    use super::*;

    #[test]
    fn what_was_lent_is_named_in_order_and_not_held_afterwards() {
        let nothing = open(c"/", OFlags::PATH, Mode::empty()).expect("there");
        let slots = [700, 701].map(|number| fcntl_dupfd_cloexec(&nothing, number).expect("free"));
        let mut low = LowFds {
            nothing,
            slots: slots.into(),
        };
        let end = low.slots[1].as_raw_fd().unsigned_abs() + 1;
        let (reader, writer) = pipe().expect("made");
        {
            let lent = low.lend([&reader, &writer]).expect("room");
            drop(writer);
            assert_eq!(lent.end(), end);
            write(lent.get(1).expect("lent"), b"x").expect("written");
            assert_eq!(lent.get(2).map(|fd| fd.as_raw_fd()), None);
        }
        let mut buffer = [0; 2];
        assert_eq!(read(&reader, &mut buffer), Ok(1));
        assert_eq!(read(&reader, &mut buffer), Ok(0), "nobody holds it");
        let three = [&reader, &reader, &reader];
        assert_eq!(low.lend(three).map(drop), Err(Errno::MFILE));
    }

    #[test]
    fn reserved_numbers_are_low_and_in_a_row() {
        // Another test may hold the low ones just now.
        let Some(low) = LowFds::reserve() else { return };
        let numbers: Vec<_> = low.slots.iter().map(AsRawFd::as_raw_fd).collect();
        assert_eq!(numbers.len(), SLOTS);
        assert!(numbers.iter().all(|number| (LOWEST..END).contains(number)));
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }
}
