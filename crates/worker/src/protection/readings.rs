//! The machine as it is.

#[cfg(target_os = "linux")]
use std::fs;
use std::path::Path;

/// What was read of the machine; `None`: it could not be, and nothing is concluded from that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readings {
    /// The file system of the data directory.
    pub disk: Option<DiskReading>,
    /// Memory.
    pub memory: Option<MemoryReading>,
    /// The load average of the last minute for each processor, in thousandths.
    pub load_millis: Option<u64>,
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskReading {
    /// Bytes that an ordinary user may still write.
    pub free: u64,
    /// Its size in bytes.
    pub total: u64,
    /// Files that may still be made; `None`: it does not count them.
    pub free_files: Option<u64>,
}

impl DiskReading {
    /// A file system of this size with this many bytes free.
    pub const fn new(free: u64, total: u64) -> Self {
        Self {
            free,
            total,
            free_files: None,
        }
    }

    /// How many hundredths of it are free, rounded down.
    pub fn free_percent(&self) -> u64 {
        self.percents(self.free)
    }

    fn percents(&self, bytes: u64) -> u64 {
        let percent = u128::from(bytes) * 100 / u128::from(self.total.max(1));
        u64::try_from(percent).unwrap_or(100)
    }
}

/// How short memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryReading {
    /// Bytes that new programs can have without swapping.
    pub available: u64,
    /// For which share of the last ten seconds all tasks together waited for memory, in hundredths of a hundredth; `None`:
    /// the kernel does not measure that.
    pub pressure: Option<u32>,
}

impl MemoryReading {
    /// So much is available, and nobody knows who waits.
    pub const fn new(available: u64) -> Self {
        Self {
            available,
            pressure: None,
        }
    }
}

impl Readings {
    /// Reads the machine, and the file system in which `data` lies: a few files of the system. A directory on a network
    /// that does not answer would block.
    pub fn of_this_machine(data: &Path) -> Self {
        Self {
            disk: disk(data),
            memory: memory(),
            load_millis: load(),
        }
    }
}

#[cfg(unix)]
#[expect(
    clippy::useless_conversion,
    reason = "the widths differ between systems"
)]
fn disk(data: &Path) -> Option<DiskReading> {
    let of = rustix::fs::statvfs(data).ok()?;
    let (free, total) = (u64::from(of.f_bavail), u64::from(of.f_blocks));
    Some(DiskReading {
        free: free.saturating_mul(of.f_frsize),
        total: total.saturating_mul(of.f_frsize),
        free_files: (of.f_files > 0).then(|| u64::from(of.f_favail)),
    })
}

#[cfg(not(unix))]
const fn disk(_: &Path) -> Option<DiskReading> {
    None
}

#[cfg(target_os = "linux")]
fn memory() -> Option<MemoryReading> {
    let available = available(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let pressure = fs::read_to_string("/proc/pressure/memory").ok();
    Some(MemoryReading {
        available,
        pressure: pressure.and_then(|text| full_pressure(&text)),
    })
}

#[cfg(target_os = "linux")]
fn load() -> Option<u64> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let load = load_average(&fs::read_to_string("/proc/loadavg").ok()?)?;
    Some(load / cores)
}

#[cfg(not(target_os = "linux"))]
const fn memory() -> Option<MemoryReading> {
    None
}

#[cfg(not(target_os = "linux"))]
const fn load() -> Option<u64> {
    None
}

/// The line `MemAvailable` of `/proc/meminfo`, in bytes.
#[cfg(target_os = "linux")]
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// The ten seconds' average of the line `full` of `/proc/pressure/memory`, in ten thousandths.
#[cfg(target_os = "linux")]
fn full_pressure(pressure: &str) -> Option<u32> {
    let line = pressure
        .lines()
        .find_map(|line| line.strip_prefix("full "))?;
    let average = line
        .split(' ')
        .find_map(|field| field.strip_prefix("avg10="))?;
    decimal(average, 2).and_then(|hundredths| u32::try_from(hundredths).ok())
}

/// The first number of `/proc/loadavg`, in thousandths.
#[cfg(target_os = "linux")]
fn load_average(loadavg: &str) -> Option<u64> {
    decimal(loadavg.split(' ').next()?, 3)
}

/// A decimal number in units of its last `places`-th place.
#[cfg(target_os = "linux")]
fn decimal(text: &str, places: u32) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok()?;
    let mut value = whole.checked_mul(10_u64.checked_pow(places)?)?;
    for (place, digit) in (0..places).rev().zip(part.chars()) {
        value += u64::from(digit.to_digit(10)?) * 10_u64.pow(place);
    }
    Some(value)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_understood() {
        let meminfo = "MemTotal:       16316412 kB\nMemFree:          102400 kB\nMemAvailable:     204800 kB\n";
        assert_eq!(available(meminfo), Some(200 << 20));
        let pressure = "some avg10=45.12 avg60=1.00 avg300=0.00 total=12\n\
                        full avg10=20.05 avg60=0.50 avg300=0.00 total=5\n";
        assert_eq!(full_pressure(pressure), Some(2005));
        assert_eq!(load_average("3.56 2.87 1.95 2/116 31347\n"), Some(3560));
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        assert_eq!(available("MemTotal: 5 kB\nMemAvailable: many kB\n"), None);
        assert_eq!(full_pressure("some avg10=1.00\n"), None);
        assert_eq!(full_pressure("full avg60=1.00\n"), None);
        assert_eq!(load_average(""), None);
    }

    #[test]
    fn this_machine_can_be_read() {
        let readings = Readings::of_this_machine(Path::new("/"));
        let disk = readings.disk.expect("a file system");
        assert!(disk.total > 0 && disk.free <= disk.total, "{disk:?}");
        assert!(disk.free_percent() <= 100);
        assert!(readings.memory.expect("memory").available > 0);
        assert!(readings.load_millis.is_some());
        assert_eq!(
            Readings::of_this_machine(Path::new("/no such place")).disk,
            None
        );
    }
}
