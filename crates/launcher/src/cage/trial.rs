//! Which limits a machine takes, found out by setting them.

use std::io;

use jobyard_core::{LimitKind, Limits};

use super::plan::{Device, MemoryMeans, Plan, Support, Version, plan};

/// Tries every limit with `set`, which does what a plan says to a group that it makes and removes for it. The notes say
/// what was refused.
pub(super) fn try_limits(
    version: Version,
    device: Option<Device>,
    notes: &mut Vec<String>,
    mut set: impl FnMut(&Plan) -> io::Result<()>,
) -> Support {
    let mut support = Support::default();
    for kind in LimitKind::ALL {
        for candidate in candidates(kind, version) {
            let plan = plan(&sample(), candidate, device.as_slice(), 0);
            let tried = if plan.together.contains(&kind) {
                set(&plan)
            } else {
                Err(io::Error::other("no disk is known to try it on"))
            };
            match tried {
                Ok(()) => {
                    support = support.or(candidate);
                    break;
                }
                Err(problem) => notes.push(format!("{version}: {kind}: {problem}")),
            }
        }
    }
    support
}

/// In which ways a limit may be there, best first. None for limits that groups do not have.
fn candidates(kind: LimitKind, version: Version) -> Vec<Support> {
    let mut one = Support::default();
    match kind {
        LimitKind::Memory => {
            let memory = |swap| Support {
                memory: Some(MemoryMeans { version, swap }),
                ..one
            };
            return vec![memory(true), memory(false)];
        }
        LimitKind::Cpu => one.cpu = Some(version),
        LimitKind::Processes => one.processes = Some(version),
        LimitKind::ReadRate => one.read_rate = Some(version),
        LimitKind::WriteRate => one.write_rate = Some(version),
        _ => return Vec::new(),
    }
    vec![one]
}

/// Limits that do nothing to an empty group, and that every kernel takes.
fn sample() -> Limits {
    let mut limits = Limits::NONE;
    limits.memory = Some(64 << 20);
    limits.cpu = Some(1000);
    limits.processes = Some(64);
    limits.read_rate = Some(1 << 30);
    limits.write_rate = Some(1 << 30);
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Device = Device {
        major: 254,
        minor: 0,
    };

    #[test]
    fn what_is_taken_is_supported() {
        let mut notes = Vec::new();
        let support = try_limits(Version::Two, Some(DISK), &mut notes, |_| Ok(()));
        assert_eq!(support.kinds().len(), 5);
        assert!(support.memory.is_some_and(|means| means.swap));
        assert!(notes.is_empty());
    }

    #[test]
    fn without_swap_accounting_memory_is_limited_alone() {
        let mut notes = Vec::new();
        let support = try_limits(Version::One, Some(DISK), &mut notes, |plan| {
            let swap = |file: &str| file.contains("memsw");
            if plan.writes.iter().any(|write| swap(write.file)) {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(())
        });
        assert!(support.memory.is_some_and(|means| !means.swap));
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn what_is_refused_is_noted() {
        let mut notes = Vec::new();
        let support = try_limits(Version::One, None, &mut notes, |_| {
            Err(io::ErrorKind::PermissionDenied.into())
        });
        assert_eq!(support, Support::default());
        assert!(
            notes.contains(&"cgroup1: cpu: permission denied".to_owned()),
            "{notes:?}"
        );
        assert!(notes.iter().any(|note| note.contains("read_rate: no disk")));
    }
}
