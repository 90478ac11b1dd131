//! What this process may do.

use std::fs;

/// The capabilities in effect, see capabilities(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities(u64);

impl Capabilities {
    /// Those of this process.
    pub(super) fn own() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    /// Whether it may start jobs of other users, and end them.
    pub(super) fn other_users(self) -> bool {
        [CAP_SETGID, CAP_SETUID, CAP_KILL]
            .into_iter()
            .all(|bit| self.has(bit))
    }

    /// Whether it may give a job more than it may have itself.
    pub(super) fn raise_limits(self) -> bool {
        self.has(CAP_SYS_RESOURCE)
    }

    fn has(self, bit: u32) -> bool {
        self.0 & (1 << bit) != 0
    }

    fn parse(status: &str) -> Self {
        let bits = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
        Self(bits.unwrap_or(0))
    }
}

const CAP_KILL: u32 = 5;
const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;
const CAP_SYS_RESOURCE: u32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_from_the_status() {
        let all = Capabilities::parse("Name:\tx\nCapEff:\t000001ffffffffff\n");
        assert!(all.other_users() && all.raise_limits());
        let none = Capabilities::parse("CapEff:\t0000000000000000\n");
        assert!(!none.other_users() && !none.raise_limits());
        let without_setuid = Capabilities::parse("CapEff:\t0000000000000060\n");
        assert!(!without_setuid.other_users());
        assert_eq!(Capabilities::parse(""), Capabilities::default());
    }
}
