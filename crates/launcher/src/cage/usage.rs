//! What control groups count: pure.

use std::collections::BTreeMap;

use jobyard_core::Usage;

/// The value of a key in lines of `KEY VALUE`, as in `cgroup.events`, `cpu.stat` and `memory.oom_control`.
pub(super) fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
}

/// Processor time, of the code of processes and of the system for them, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTime {
    pub(super) user_micros: u64,
    pub(super) system_micros: u64,
}

impl CpuTime {
    /// From `cpu.stat` of version 2.
    pub(super) fn parse(cpu_stat: &str) -> Option<Self> {
        Some(Self {
            user_micros: value_of(cpu_stat, "user_usec")?,
            system_micros: value_of(cpu_stat, "system_usec")?,
        })
    }

    /// From `cpuacct.usage_user` and `cpuacct.usage_sys` of version 1, both in nanoseconds.
    pub(super) fn parse_v1(user: &str, system: &str) -> Option<Self> {
        Some(Self {
            user_micros: user.trim().parse::<u64>().ok()? / 1000,
            system_micros: system.trim().parse::<u64>().ok()? / 1000,
        })
    }

    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            user_micros: self.user_micros.saturating_sub(earlier.user_micros),
            system_micros: self.system_micros.saturating_sub(earlier.system_micros),
        }
    }

    pub(super) fn usage(self) -> Usage {
        let mut usage = Usage::default();
        usage.user_micros = self.user_micros;
        usage.system_micros = self.system_micros;
        usage
    }
}

/// Bytes read from and written to all devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DiskBytes {
    pub(super) read: u64,
    pub(super) written: u64,
}

impl DiskBytes {
    /// From `io.stat` of version 2: `254:0 rbytes=1 wbytes=2 ...`.
    pub(super) fn parse(io_stat: &str) -> Self {
        let sums = sum(io_stat
            .split_whitespace()
            .filter_map(|word| word.split_once('=')));
        Self {
            read: sums.get("rbytes").copied().unwrap_or(0),
            written: sums.get("wbytes").copied().unwrap_or(0),
        }
    }

    /// From `blkio.throttle.io_service_bytes_recursive` of version 1: `254:0 Read 1`.
    pub(super) fn parse_v1(service_bytes: &str) -> Self {
        let sums = sum(service_bytes
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(_, rest)| rest.split_once(' ')));
        Self {
            read: sums.get("Read").copied().unwrap_or(0),
            written: sums.get("Write").copied().unwrap_or(0),
        }
    }
}

fn sum<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<&'a str, u64> {
    let mut sums = BTreeMap::new();
    for (key, value) in pairs {
        if let Ok(value) = value.trim().parse::<u64>() {
            let sum: &mut u64 = sums.entry(key).or_default();
            *sum = sum.saturating_add(value);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_name() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(value_of(text, "oom_kill"), Some(3));
        assert_eq!(value_of(text, "oom"), None);
        assert_eq!(value_of("populated 0\nfrozen 0\n", "populated"), Some(0));
        assert_eq!(value_of("", "populated"), None);
    }

    #[test]
    fn processor_time_of_version_2_is_in_microseconds() {
        let text = "usage_usec 30\nuser_usec 10\nsystem_usec 20\nnice_usec 0\n";
        let time = CpuTime::parse(text).expect("both");
        assert_eq!((time.user_micros, time.system_micros), (10, 20));
        assert_eq!(CpuTime::parse("usage_usec 30\n"), None);
    }

    #[test]
    fn processor_time_of_version_1_is_in_nanoseconds() {
        let time = CpuTime::parse_v1("5000\n", "7999\n").expect("both");
        assert_eq!((time.user_micros, time.system_micros), (5, 7));
    }

    #[test]
    fn a_group_that_is_used_again_counts_from_where_it_was() {
        let earlier = CpuTime {
            user_micros: 10,
            system_micros: 5,
        };
        let later = CpuTime {
            user_micros: 25,
            system_micros: 5,
        };
        let usage = later.since(earlier).usage();
        assert_eq!((usage.user_micros, usage.system_micros), (15, 0));
    }

    #[test]
    fn bytes_of_all_devices_are_added_up() {
        let v2 = "254:0 rbytes=100 wbytes=7 rios=1 wios=1 dbytes=0 dios=0\n7:0 rbytes=1 wbytes=2\n";
        assert_eq!(
            DiskBytes::parse(v2),
            DiskBytes {
                read: 101,
                written: 9
            }
        );
        let v1 = "254:0 Read 4096\n254:0 Write 10\n254:0 Total 4106\n7:0 Read 1\nTotal 4107\n";
        assert_eq!(
            DiskBytes::parse_v1(v1),
            DiskBytes {
                read: 4097,
                written: 10
            }
        );
        assert_eq!(DiskBytes::parse_v1("Total 0\n"), DiskBytes::default());
    }
}
