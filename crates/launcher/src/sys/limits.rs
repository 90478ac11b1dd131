//! Limits of a process.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Inherited;

/// The limits with which a process starts: those of a fresh login, and what was asked for. What the launcher itself
/// inherited does not matter, except that a hard limit stays where nobody may raise it.
#[derive(Debug)]
pub(super) struct ProcessLimits {
    limits: Vec<(Resource, Bound)>,
}

/// A limit.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// Soft and hard; `u64::MAX` for none.
    Exactly(u64, u64),
    /// The hard limit stays, the soft one is the same.
    Hard,
}

impl Bound {
    /// The same, where a hard limit stays as low as it is.
    fn beneath(self, has: Rlimit) -> Self {
        let most = has.maximum.unwrap_or(NONE);
        match self {
            Self::Exactly(soft, hard) => Self::Exactly(soft.min(most), hard.min(most)),
            Self::Hard => Self::Hard,
        }
    }

    fn is_met(self, has: Rlimit) -> bool {
        match self {
            Self::Exactly(soft, hard) => has.current == finite(soft) && has.maximum == finite(hard),
            Self::Hard => has.current == has.maximum,
        }
    }
}

/// All that have a limit here.
pub(super) const RESOURCES: [Resource; BASELINE.len()] = {
    let mut resources = [Resource::Cpu; BASELINE.len()];
    let mut next = 0;
    while next < BASELINE.len() {
        resources[next] = BASELINE[next].0;
        next += 1;
    }
    resources
};

/// What a fresh login has: the defaults of the kernel, with the number of open files as today's service managers set it.
const BASELINE: [(Resource, Bound); 16] = [
    (Resource::Cpu, Bound::Exactly(NONE, NONE)),
    (Resource::Fsize, Bound::Exactly(NONE, NONE)),
    (Resource::Data, Bound::Exactly(NONE, NONE)),
    (Resource::Stack, Bound::Exactly(8 * MIB, NONE)),
    (Resource::Core, Bound::Exactly(0, 0)),
    (Resource::Rss, Bound::Exactly(NONE, NONE)),
    // The kernel makes these two from the memory of the machine.
    (Resource::Nproc, Bound::Hard),
    (Resource::Sigpending, Bound::Hard),
    // More than 1024 by default breaks programs that use `select`.
    (Resource::Nofile, Bound::Exactly(1024, 524_288)),
    (Resource::Memlock, Bound::Exactly(8 * MIB, 8 * MIB)),
    (Resource::As, Bound::Exactly(NONE, NONE)),
    (Resource::Locks, Bound::Exactly(NONE, NONE)),
    (Resource::Msgqueue, Bound::Exactly(819_200, 819_200)),
    (Resource::Nice, Bound::Exactly(0, 0)),
    (Resource::Rtprio, Bound::Exactly(0, 0)),
    (Resource::Rttime, Bound::Exactly(NONE, NONE)),
];

const NONE: u64 = u64::MAX;
const MIB: u64 = 1 << 20;

impl ProcessLimits {
    /// These (resource, soft, hard) before those of a fresh login, without those that the process has anyway.
    pub(super) fn new(asked: &[(Resource, u64, u64)], inherited: &Inherited) -> Self {
        let mut limits = BASELINE;
        for (resource, soft, hard) in asked {
            for limit in &mut limits {
                if limit.0 == *resource {
                    limit.1 = Bound::Exactly(*soft, *hard);
                }
            }
        }
        Self {
            limits: limits
                .into_iter()
                .zip(inherited.limits)
                .map(|((resource, bound), has)| {
                    // To try more in each child would be in vain.
                    let is_bound = !inherited.may_raise;
                    let bound = if is_bound { bound.beneath(has) } else { bound };
                    (resource, bound, has)
                })
                .filter(|(_, bound, has)| !bound.is_met(*has))
                .map(|(resource, bound, _)| (resource, bound))
                .collect(),
        }
    }

    /// Sets them for this process. Only makes system calls.
    pub(super) fn apply(&self) -> Result<(), Errno> {
        for (resource, bound) in &self.limits {
            apply(*resource, *bound)?;
        }
        Ok(())
    }
}

fn apply(resource: Resource, bound: Bound) -> Result<(), Errno> {
    let limit = match bound {
        Bound::Exactly(soft, hard) => {
            let limit = Rlimit {
                current: finite(soft),
                maximum: finite(hard),
            };
            match setrlimit(resource, limit) {
                // The hard limit is lower already, and only the super-user may raise it.
                Err(Errno::PERM) => {
                    let hard = getrlimit(resource).maximum.unwrap_or(NONE);
                    Rlimit {
                        current: finite(soft.min(hard)),
                        maximum: finite(hard),
                    }
                }
                done => return done,
            }
        }
        Bound::Hard => {
            let maximum = getrlimit(resource).maximum;
            Rlimit {
                current: maximum,
                maximum,
            }
        }
    };
    setrlimit(resource, limit)
}

fn finite(limit: u64) -> Option<u64> {
    (limit != NONE).then_some(limit)
}
