//! Limits that hold a job back, and what a job used.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a limit can be set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitKind {
    /// Memory of all processes together, in bytes.
    Memory,
    /// Processor time of all processes together, in thousandths of a core.
    Cpu,
    /// How many processes and threads there may be at once.
    Processes,
    /// Bytes that all processes together read from disk in a second.
    ReadRate,
    /// Bytes that all processes together write to disk in a second.
    WriteRate,
    /// How many files one process may have open.
    OpenFiles,
    /// The size of a file that one process may write, in bytes.
    FileSize,
}

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Memory,
        Self::Cpu,
        Self::Processes,
        Self::ReadRate,
        Self::WriteRate,
        Self::OpenFiles,
        Self::FileSize,
    ];

    /// As JSON, job files and listings name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Processes => "processes",
            Self::ReadRate => "read_rate",
            Self::WriteRate => "write_rate",
            Self::OpenFiles => "open_files",
            Self::FileSize => "file_size",
        }
    }
}

impl LimitKind {
    /// The field of a spec that sets it, for messages.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Memory => "limits.memory (bytes)",
            Self::Cpu => "limits.cpu (thousandths of a core)",
            Self::Processes => "limits.processes",
            Self::ReadRate => "limits.read_rate (bytes per second)",
            Self::WriteRate => "limits.write_rate (bytes per second)",
            Self::OpenFiles => "limits.open_files",
            Self::FileSize => "limits.file_size (bytes)",
        }
    }

    /// The smallest limit with which a program can be started at all.
    pub(crate) const fn least(self) -> u64 {
        match self {
            Self::Memory => 1 << 20,
            // The smallest share of a period that kernels take.
            Self::Cpu => 10,
            Self::Processes => 1,
            Self::ReadRate | Self::WriteRate => 4096,
            // The three that every program gets, and some for its libraries.
            Self::OpenFiles => 8,
            Self::FileSize => 0,
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The most that a job may use. Nothing set: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// Memory of all processes together, in bytes. What exceeds it is killed, all of the job at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Processor time of all processes together, in thousandths of a core. What exceeds it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u64>,
    /// How many processes and threads there may be at once. A further one is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Bytes that all processes together read from disk in a second. What exceeds it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_rate: Option<u64>,
    /// Bytes that all processes together write to disk in a second. What exceeds it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_rate: Option<u64>,
    /// How many files each process may have open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// The size of each file that is written, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
}

impl Limits {
    /// No limit.
    pub const NONE: Self = Self {
        memory: None,
        cpu: None,
        processes: None,
        read_rate: None,
        write_rate: None,
        open_files: None,
        file_size: None,
    };

    /// Whether nothing is limited.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The limit of one kind.
    pub const fn of(&self, kind: LimitKind) -> Option<u64> {
        match kind {
            LimitKind::Memory => self.memory,
            LimitKind::Cpu => self.cpu,
            LimitKind::Processes => self.processes,
            LimitKind::ReadRate => self.read_rate,
            LimitKind::WriteRate => self.write_rate,
            LimitKind::OpenFiles => self.open_files,
            LimitKind::FileSize => self.file_size,
        }
    }

    /// Those that are set.
    pub fn kinds(&self) -> impl Iterator<Item = LimitKind> {
        LimitKind::ALL
            .into_iter()
            .filter(|kind| self.of(*kind).is_some())
    }

    /// These limits, and the others where these set none.
    #[must_use]
    pub const fn or(self, others: Self) -> Self {
        const fn first(one: Option<u64>, other: Option<u64>) -> Option<u64> {
            if one.is_some() { one } else { other }
        }
        Self {
            memory: first(self.memory, others.memory),
            cpu: first(self.cpu, others.cpu),
            processes: first(self.processes, others.processes),
            read_rate: first(self.read_rate, others.read_rate),
            write_rate: first(self.write_rate, others.write_rate),
            open_files: first(self.open_files, others.open_files),
            file_size: first(self.file_size, others.file_size),
        }
    }
}

/// What all processes of an attempt used together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Processor time in their own code, in microseconds.
    pub user_micros: u64,
    /// Processor time in the system, in microseconds.
    pub system_micros: u64,
    /// The most memory that they held at once, in bytes. Without a memory controller: that of the largest process
    /// that was waited for.
    pub peak_memory_bytes: Option<u64>,
    /// Bytes read from disks.
    pub read_bytes: Option<u64>,
    /// Bytes written to disks.
    pub written_bytes: Option<u64>,
}

impl Usage {
    /// Processor time, in microseconds.
    pub const fn cpu_micros(&self) -> u64 {
        self.user_micros.saturating_add(self.system_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_limits_come_before_those_of_others() {
        let own = Limits {
            memory: Some(1),
            ..Limits::NONE
        };
        let others = Limits {
            memory: Some(2),
            processes: Some(3),
            ..Limits::NONE
        };
        let all = own.or(others);
        assert_eq!(
            (all.memory, all.processes, all.cpu),
            (Some(1), Some(3), None)
        );
        assert_eq!(
            all.kinds().collect::<Vec<_>>(),
            [LimitKind::Memory, LimitKind::Processes]
        );
    }

    #[test]
    fn the_name_of_a_kind_is_its_name_in_files() {
        for kind in LimitKind::ALL {
            let json = serde_json::to_value(kind).expect("a text");
            assert_eq!(json, kind.as_str());
        }
    }
}
