//! Children of which only the kernel and the thread that makes them know.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::Pid;

/// Which child a thread has made that nobody else was told of yet. The kernel writes its number here before the child can
/// run, so whoever finds a dead child, and does not know it, can tell whether it is this one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Newborn(Arc<AtomicI32>);

/// There is none.
const NONE: i32 = 0;

/// One is being made, and its number is not known yet; kernels and sandboxes without `clone3` do not write it.
const UNKNOWN: i32 = -1;

impl Newborn {
    /// Whether this child, which is dead, may be the one.
    pub(crate) fn may_be(&self, pid: Pid) -> bool {
        let number = self.0.load(Ordering::SeqCst);
        number == UNKNOWN || number == pid.as_raw_nonzero().get()
    }

    /// There is none any more of which nobody else knows.
    pub(crate) fn is_told(&self) {
        self.0.store(NONE, Ordering::SeqCst);
    }

    /// One is about to be made. Where its number belongs: valid for as long as this value lives.
    pub(super) fn expect(&self) -> *mut i32 {
        self.0.store(UNKNOWN, Ordering::SeqCst);
        self.0.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_known_from_before_its_birth_until_it_is_told_of() {
        let newborn = Newborn::default();
        let pid = Pid::from_raw(7).expect("not 0");
        assert!(!newborn.may_be(pid));
        newborn.expect();
        assert!(newborn.may_be(pid), "it may be any");
        newborn.0.store(8, Ordering::SeqCst);
        assert!(!newborn.may_be(pid));
        newborn.0.store(7, Ordering::SeqCst);
        assert!(newborn.may_be(pid));
        newborn.is_told();
        assert!(!newborn.may_be(pid));
    }
}
