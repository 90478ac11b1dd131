//! Which limits are set by what: pure.

use std::collections::BTreeSet;
use std::fmt;

use jobyard_core::{LimitKind, Limits};
use rustix::process::Resource;

use super::mounts::Controller;

/// What the machine was seen to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Support {
    pub(super) memory: Option<MemoryMeans>,
    pub(super) cpu: Option<Version>,
    pub(super) processes: Option<Version>,
    pub(super) read_rate: Option<Version>,
    pub(super) write_rate: Option<Version>,
}

impl Support {
    /// The limits that hold all processes of an attempt together.
    pub(super) fn kinds(self) -> BTreeSet<LimitKind> {
        LimitKind::ALL
            .into_iter()
            .filter(|kind| self.version(*kind).is_some())
            .collect()
    }

    /// These means, and the others where there are none.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            memory: self.memory.or(others.memory),
            cpu: self.cpu.or(others.cpu),
            processes: self.processes.or(others.processes),
            read_rate: self.read_rate.or(others.read_rate),
            write_rate: self.write_rate.or(others.write_rate),
        }
    }

    fn version(self, kind: LimitKind) -> Option<Version> {
        match kind {
            LimitKind::Memory => self.memory.map(|means| means.version),
            LimitKind::Cpu => self.cpu,
            LimitKind::Processes => self.processes,
            LimitKind::ReadRate => self.read_rate,
            LimitKind::WriteRate => self.write_rate,
            _ => None,
        }
    }
}

/// A version of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "cgroup1",
            Self::Two => "cgroup2",
        })
    }
}

/// How memory is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryMeans {
    pub(super) version: Version,
    /// Whether swapped memory can be limited as well. Without swap accounting, a job may swap as it likes.
    pub(super) swap: bool,
}

/// A block device, as the kernel numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) major: u32,
    pub(super) minor: u32,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// A group that something is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// The leaf of version 2.
    Leaf,
    /// The group in the hierarchy of a controller of version 1.
    Of(Controller),
}

/// A value for a file of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) group: Group,
    pub(super) file: &'static str,
    pub(super) value: String,
}

/// How an attempt is held to its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// In this order.
    pub(super) writes: Vec<Write>,
    /// The limits that they set.
    pub(super) together: BTreeSet<LimitKind>,
}

impl Plan {
    /// The groups that have to be there.
    pub(super) fn groups(&self) -> BTreeSet<Group> {
        self.writes.iter().map(|write| write.group).collect()
    }

    fn write(&mut self, group: Group, file: &'static str, value: &impl ToString) {
        self.writes.push(Write {
            group,
            file,
            value: value.to_string(),
        });
    }
}

/// What is written to hold an attempt to its limits, where the machine takes it. `devices` are those that it reads and
/// writes; `wardens` processes of ours are in the groups as well.
pub(super) fn plan(limits: &Limits, support: Support, devices: &[Device], wardens: u64) -> Plan {
    let mut plan = Plan::default();
    for kind in limits.kinds() {
        let (Some(limit), Some(version)) = (limits.of(kind), support.version(kind)) else {
            continue;
        };
        let set = match kind {
            LimitKind::Memory => support
                .memory
                .is_some_and(|means| plan_memory(&mut plan, limit, means)),
            LimitKind::Cpu => plan_cpu(&mut plan, limit, version),
            LimitKind::Processes => {
                plan_processes(&mut plan, limit.saturating_add(wardens), version)
            }
            LimitKind::ReadRate => plan_rate(&mut plan, limit, version, devices, &READ),
            LimitKind::WriteRate => plan_rate(&mut plan, limit, version, devices, &WRITE),
            _ => false,
        };
        if set {
            plan.together.insert(kind);
        }
    }
    plan
}

fn plan_memory(plan: &mut Plan, limit: u64, means: MemoryMeans) -> bool {
    match means.version {
        Version::Two => {
            plan.write(Group::Leaf, "memory.max", &limit);
            if means.swap {
                plan.write(Group::Leaf, "memory.swap.max", &0);
            }
            plan.write(Group::Leaf, "memory.oom.group", &1);
        }
        Version::One => {
            let group = Group::Of(Controller::Memory);
            plan.write(group, "memory.limit_in_bytes", &limit);
            if means.swap {
                // Memory and swap together: after the other, which it may not be less than.
                plan.write(group, "memory.memsw.limit_in_bytes", &limit);
            }
        }
    }
    true
}

fn plan_cpu(plan: &mut Plan, thousandths: u64, version: Version) -> bool {
    let quota = thousandths
        .saturating_mul(CPU_PERIOD_MICROS / 1000)
        .clamp(LEAST_QUOTA_MICROS, MOST_QUOTA_MICROS);
    match version {
        Version::Two => plan.write(
            Group::Leaf,
            "cpu.max",
            &format!("{quota} {CPU_PERIOD_MICROS}"),
        ),
        Version::One => {
            let group = Group::Of(Controller::Cpu);
            plan.write(group, "cpu.cfs_period_us", &CPU_PERIOD_MICROS);
            plan.write(group, "cpu.cfs_quota_us", &quota);
        }
    }
    true
}

fn plan_processes(plan: &mut Plan, limit: u64, version: Version) -> bool {
    let group = match version {
        Version::Two => Group::Leaf,
        Version::One => Group::Of(Controller::Pids),
    };
    // Beyond what the kernel counts to, it is no limit.
    if limit > MOST_PROCESSES {
        plan.write(group, "pids.max", &"max");
    } else {
        plan.write(group, "pids.max", &limit);
    }
    true
}

fn plan_rate(
    plan: &mut Plan,
    limit: u64,
    version: Version,
    devices: &[Device],
    rate: &Rate,
) -> bool {
    for device in devices {
        match version {
            Version::Two => plan.write(
                Group::Leaf,
                "io.max",
                &format!("{device} {}={limit}", rate.key),
            ),
            Version::One => plan.write(
                Group::Of(Controller::Blkio),
                rate.file,
                &format!("{device} {limit}"),
            ),
        }
    }
    !devices.is_empty()
}

/// One direction of a rate.
struct Rate {
    /// Of version 2.
    key: &'static str,
    /// Of version 1.
    file: &'static str,
}

const READ: Rate = Rate {
    key: "rbps",
    file: "blkio.throttle.read_bps_device",
};

const WRITE: Rate = Rate {
    key: "wbps",
    file: "blkio.throttle.write_bps_device",
};

/// The limits that each process gets for itself: the two that only exist so, and the weaker form of those that nothing
/// holds together. A count of processes is per user, so it makes sense for another user alone.
pub(super) fn for_each_process(
    limits: &Limits,
    together: &BTreeSet<LimitKind>,
    other_user: bool,
) -> Vec<(LimitKind, Resource, u64)> {
    let mut each = Vec::new();
    for kind in limits.kinds().filter(|kind| !together.contains(kind)) {
        let resource = match kind {
            LimitKind::OpenFiles => Resource::Nofile,
            LimitKind::FileSize => Resource::Fsize,
            LimitKind::Memory => Resource::Data,
            LimitKind::Processes if other_user => Resource::Nproc,
            _ => continue,
        };
        if let Some(limit) = limits.of(kind) {
            each.push((kind, resource, limit));
        }
    }
    each
}

/// Over what time processor time is counted: the kernel's own default.
const CPU_PERIOD_MICROS: u64 = 100_000;

/// The kernel takes no smaller quota.
const LEAST_QUOTA_MICROS: u64 = 1_000;

/// A million cores: the kernel's own bound is larger, and depends on its version.
const MOST_QUOTA_MICROS: u64 = 1_000_000 * CPU_PERIOD_MICROS;

/// `PID_MAX_LIMIT`: more processes than this no kernel has.
const MOST_PROCESSES: u64 = 4_194_304;

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
