//! What `/proc` says of a process.

use std::fs;

/// A line of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Its parent.
    pub(super) parent: u32,
    /// When it started, in ticks since boot.
    pub(super) start_time: u64,
}

impl Stat {
    /// Of this process; `None`: there is none.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name stands in parentheses and may contain anything, so the fields are counted from its end.
    fn parse(line: &[u8]) -> Option<Self> {
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let rest = str::from_utf8(line.get(end + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        Some(Self {
            parent: fields.nth(1)?.parse().ok()?,
            start_time: fields.nth(17)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_from_the_end_of_the_name() {
        let line = b"7 (a) R 99 (b) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 1 1\n";
        let stat = Stat {
            parent: 3,
            start_time: 4711,
        };
        assert_eq!(Stat::parse(line), Some(stat));
    }

    #[test]
    fn our_own_parent_is_known() {
        let stat = Stat::of(std::process::id()).expect("we live");
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
    }
}
