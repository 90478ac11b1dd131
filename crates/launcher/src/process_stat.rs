//! What the kernel tells of a process.

use std::fs;
use std::io;

/// A process at one moment, from `/proc/PID/stat`; see proc_pid_stat(5). Its number and its start name it until the
/// machine is booted again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessStat {
    /// Its number.
    pub pid: u32,
    /// Its name, at most 15 bytes; whatever the process has made of it.
    pub name: String,
    /// Nothing of it runs any more; it only waits to be reaped.
    pub is_dead: bool,
    /// The process that waits for it; 0: none.
    pub parent: u32,
    /// Its process group. A process that is being torn down shows -1, a thread of the kernel 0.
    pub group: i32,
    /// When it started, in the kernel's ticks since boot.
    pub start_time: u64,
}

impl ProcessStat {
    /// The process of this number; `None`: there is none. Blocks no longer than the kernel takes to write a line.
    ///
    /// # Errors
    ///
    /// It cannot be looked at, for lack of descriptors perhaps: nothing is known of it.
    pub fn of(pid: u32) -> io::Result<Option<Self>> {
        match fs::read(format!("/proc/{pid}/stat")) {
            Ok(line) => Ok(Self::parse(&line)),
            Err(problem) if is_gone(&problem) => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Reads a line. The name is between the first and the last parenthesis, and may contain both.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let open = line.iter().position(|byte| *byte == b'(')?;
        let close = line.iter().rposition(|byte| *byte == b')')?;
        let pid = std::str::from_utf8(line.get(..open)?).ok()?;
        let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Numbered from 1 in the manual; the first of these is its third.
        let field = |number: usize| fields.get(number - 3).copied();
        // The first thread may have ended before the others: the process looks dead then, and is not.
        let threads: u64 = field(20)?.parse().ok()?;
        Some(Self {
            pid: pid.trim().parse().ok()?,
            name: String::from_utf8_lossy(line.get(open + 1..close)?).into_owned(),
            is_dead: matches!(field(3)?, "Z" | "X" | "x") && threads <= 1,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            start_time: field(22)?.parse().ok()?,
        })
    }
}

/// Whether a file of a process is not there, or was not any more when it was read.
pub(crate) fn is_gone(problem: &io::Error) -> bool {
    /// The kernel's answer to whoever reads a file of a process that has just ended.
    const ESRCH: i32 = 3;
    problem.kind() == io::ErrorKind::NotFound || problem.raw_os_error() == Some(ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misleading_name_misleads_nobody() {
        let line = b"77 (a) Z (b) S 1 70 60 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9";
        let stat = ProcessStat::parse(line).expect("a line of the kernel");
        assert_eq!((stat.pid, stat.name.as_str()), (77, "a) Z (b"));
        assert_eq!((stat.parent, stat.group, stat.start_time), (1, 70, 123_456));
        assert!(!stat.is_dead);
    }

    #[test]
    fn a_process_lives_as_long_as_one_of_its_threads() {
        let of = |threads| {
            let line = format!("7 (a) Z 1 7 7 0 -1 0 1 2 3 4 5 6 7 8 20 0 {threads} 0 9 9 9");
            ProcessStat::parse(line.as_bytes()).expect("a line of the kernel")
        };
        assert!(of(1).is_dead);
        assert!(!of(2).is_dead);
    }

    #[test]
    fn nonsense_is_no_process() {
        assert_eq!(ProcessStat::parse(b"nonsense"), None);
        assert_eq!(ProcessStat::parse(b"7 (a) S 1"), None);
    }
}
