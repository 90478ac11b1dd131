//! Descriptors with low numbers that belong to one starter.

use std::ffi::c_uint;
use std::iter::repeat_with;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{DupFlags, Errno, dup3, fcntl_dupfd_cloexec};

/// What every child needs: its output and its errors.
const ALWAYS: usize = 2;

/// What some need: their input, a directory, and Landlock rules.
const SELDOM: usize = 3;

/// The lowest number: none of the three that the child replaces.
const LOWEST: RawFd = 3;

/// All lie below. A table of 64 is part of what the kernel keeps for each process anyway, a longer one is made.
const END: RawFd = 64;

/// A few numbers, each of which always names something: nothing of interest, or what the next child needs. Whoever
/// is cloned with the table of this process, and then copies what lies below [`end`](Lent::end) alone, has all that it
/// needs, and little else.
#[derive(Debug)]
pub(crate) struct LowFds {
    nothing: Arc<OwnedFd>,
    /// All, from the lowest on; or, once one could not be emptied, none.
    slots: Vec<OwnedFd>,
}

impl LowFds {
    /// Takes the lowest that are free, for so many starters. What every child needs comes first for all of them: a child
    /// copies what lies below. Fewer than were asked for: there are no more, since this process has opened much already.
    pub(crate) fn reserve(starters: usize) -> Vec<Self> {
        Self::try_reserve(starters).unwrap_or_default()
    }

    fn try_reserve(starters: usize) -> Result<Vec<Self>, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let low = open(c"/", flags, Mode::empty())?;
        // Out of the way of those that are copied.
        let nothing = Arc::new(fcntl_dupfd_cloexec(&low, END)?);
        drop(low);
        let empty = || Self {
            nothing: Arc::clone(&nothing),
            slots: Vec::with_capacity(ALWAYS + SELDOM),
        };
        let mut reserved: Vec<Self> = repeat_with(empty).take(starters).collect();
        for wanted in [ALWAYS, ALWAYS + SELDOM] {
            for low in &mut reserved {
                low.fill(wanted);
            }
            reserved.retain(|low| low.slots.len() == wanted);
        }
        Ok(reserved)
    }

    /// Takes numbers until it has so many, or until there are none.
    fn fill(&mut self, wanted: usize) {
        while self.slots.len() < wanted
            && let Ok(slot) = fcntl_dupfd_cloexec(&*self.nothing, LOWEST)
            && slot.as_raw_fd() < END
        {
            self.slots.push(slot);
        }
        // Something else may have been closed meanwhile.
        self.slots.sort_by_key(AsRawFd::as_raw_fd);
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
            if dup3(&**nothing, slot, DupFlags::CLOEXEC).is_err() {
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
            nothing: Arc::new(nothing),
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
    fn reserved_numbers_are_low_and_lowest_what_every_child_needs() {
        // Another test may hold the low ones just now.
        let reserved = LowFds::reserve(2);
        let numbers: Vec<Vec<_>> = reserved
            .iter()
            .map(|low| low.slots.iter().map(AsRawFd::as_raw_fd).collect())
            .collect();
        for numbers in &numbers {
            assert_eq!(numbers.len(), ALWAYS + SELDOM);
            assert!(numbers.iter().all(|number| (LOWEST..END).contains(number)));
            assert!(numbers.is_sorted());
        }
        if let [one, other] = numbers.as_slice() {
            assert!(one[ALWAYS - 1] < other[0] && other[ALWAYS - 1] < one[ALWAYS]);
        }
    }
}
