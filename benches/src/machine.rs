//! What the figures were measured on, in general terms.

use std::fmt;
use std::fs;
use std::thread;

/// The machine, without its name: cores, memory, kernel, and how busy others keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    cores: usize,
    memory_gib: Option<u64>,
    kernel: Option<String>,
    load: Option<String>,
}

impl Machine {
    /// This one, now. What the system does not tell is left out.
    pub fn this() -> Self {
        let read = |path| fs::read_to_string(path).ok();
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: read("/proc/meminfo").and_then(|text| memory_gib(&text)),
            kernel: read("/proc/sys/kernel/osrelease").and_then(|text| series(&text)),
            load: read("/proc/loadavg").and_then(|text| first_word(&text)),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cores", self.cores)?;
        if let Some(memory) = self.memory_gib {
            write!(f, ", {memory} GiB")?;
        }
        write!(f, ", {}", std::env::consts::OS)?;
        if let Some(kernel) = &self.kernel {
            write!(f, " {kernel}")?;
        }
        if let Some(load) = &self.load {
            write!(f, ", load {load} before the run")?;
        }
        Ok(())
    }
}

/// From the first line of `/proc/meminfo`, rounded up: firmware keeps a little of what was built in.
fn memory_gib(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.div_ceil(1024 * 1024))
}

/// `6.18` of `6.18.44-cloud`: what follows says more about who runs the machine than about its speed.
fn series(release: &str) -> Option<String> {
    let mut numbers = release.split(['.', '-', '\n']);
    Some(format!("{}.{}", numbers.next()?, numbers.next()?))
}

fn first_word(text: &str) -> Option<String> {
    text.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_rounded_up() {
        let text = "MemTotal:       24618580 kB\nMemFree:        1 kB\n";
        assert_eq!(memory_gib(text), Some(24));
        assert_eq!(memory_gib("nothing"), None);
    }

    #[test]
    fn of_the_kernel_its_series_is_named() {
        assert_eq!(series("6.18.44-cloud\n").as_deref(), Some("6.18"));
        assert_eq!(series("nothing"), None);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let machine = Machine {
            cores: 2,
            ..Machine::default()
        };
        assert!(machine.to_string().starts_with("2 cores, "));
        assert!(!machine.to_string().contains("GiB"));
    }
}
