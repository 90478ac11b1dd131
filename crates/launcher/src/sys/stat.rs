//! What `/proc` says of a process.

use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::{Errno, read};
use rustix::process::Pid;

/// The number and the start of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Its number in the PID namespace of the `/proc` that was read.
    pub(super) pid: u32,
    /// When it started, in the kernel's ticks since boot. Stays the same when a program is executed.
    pub(super) start_time: u64,
}

impl Stat {
    /// Of this process. `None`: it is gone.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::read(&CString::new(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads a file named `stat`. Only makes system calls, so a child may do so before it executes its program.
    pub(super) fn read(path: &CStr) -> Option<Self> {
        let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        // The 22 fields that matter are at most 20 digits each, and the name has at most 64 bytes.
        let mut buffer = [0_u8; 1024];
        let length = read(&file, &mut buffer).ok()?;
        Self::parse(buffer.get(..length)?)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        // The name stands in brackets and may have brackets and spaces itself.
        let after_name = line.iter().rposition(|byte| *byte == b')')?;
        let pid = number(line.split(|byte| *byte == b' ').next()?)?;
        let start_time = line
            .get(after_name + 2..)?
            .split(|byte| *byte == b' ')
            .nth(START_TIME - STATE)?;
        Some(Self {
            pid: u32::try_from(pid).ok()?,
            start_time: number(start_time)?,
        })
    }
}

/// The parent of the process whose directory in `/proc` this is; `None`: the kernel has none for it. Only makes system
/// calls, as [`Stat::read`] does.
pub(super) fn parent_of(dir: BorrowedFd<'_>) -> Result<Option<Pid>, Errno> {
    let file = openat(
        dir,
        c"stat",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut buffer = [0_u8; 1024];
    let length = read(&file, &mut buffer)?;
    Ok(parse_parent(buffer.get(..length).unwrap_or_default()))
}

fn parse_parent(line: &[u8]) -> Option<Pid> {
    let after_name = line.iter().rposition(|byte| *byte == b')')?;
    let parent = line
        .get(after_name + 2..)?
        .split(|byte| *byte == b' ')
        .nth(PARENT - STATE)?;
    Pid::from_raw(i32::try_from(number(parent)?).ok()?)
}

/// The number of the field after the name, as proc(5) counts.
const STATE: usize = 3;

/// The number of the field with the parent.
const PARENT: usize = 4;

/// The number of the field with the start.
const START_TIME: usize = 22;

/// Decimal digits as a number.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_anything() {
        let line = b"42 (a) R (b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n";
        let stat = Stat::parse(line).expect("a line of the kernel");
        assert_eq!((stat.pid, stat.start_time), (42, 987_654));
        assert_eq!(parse_parent(line), Pid::from_raw(1));
    }

    #[test]
    fn the_own_process_is_found() {
        let stat = Stat::read(c"/proc/self/stat").expect("readable");
        assert_eq!(stat.pid, std::process::id());
    }
}
