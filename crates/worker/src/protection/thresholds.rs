//! Where a worker stops to take jobs.

/// Below so many free bytes no job is run at all: its journal entries and the first of its output would find no room.
pub const FULL_DISK: u64 = 16 << 20;

/// The thresholds beyond which a worker takes no jobs. Zero, or `None`: that does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Protection {
    /// How many bytes have to be free where the data directory is. Default: 1 GiB; most jobs write there or beside it.
    pub min_free_disk: u64,
    /// How many hundredths of that file system have to be free. Default: 0; on large disks the bytes say more.
    pub min_free_disk_percent: u8,
    /// How much memory has to be available to new programs, in bytes, by the kernel's own estimate. Default: 128 MiB,
    /// which is what it takes to start something.
    pub min_free_memory: u64,
    /// For which share of the last ten seconds all tasks together may have waited for memory, in hundredths. Default: 20;
    /// a machine beyond that is busy with moving pages.
    pub max_memory_pressure: Option<u8>,
    /// The highest load average of the last minute for each processor, in thousandths. Default: none; a load is what
    /// jobs are for.
    pub max_load_millis: Option<u64>,
}

impl Protection {
    /// No threshold at all.
    pub const NONE: Self = Self {
        min_free_disk: 0,
        min_free_disk_percent: 0,
        min_free_memory: 0,
        max_memory_pressure: None,
        max_load_millis: None,
    };
}

impl Default for Protection {
    fn default() -> Self {
        Self {
            min_free_disk: 1 << 30,
            min_free_disk_percent: 0,
            min_free_memory: 128 << 20,
            max_memory_pressure: Some(20),
            max_load_millis: None,
        }
    }
}
