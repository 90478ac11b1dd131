//! Deliberate bugs in the brains: each has to be found.

use crate::scenario::Scenario;

/// A deliberate bug of a brain. The brains ask for it by name, with `jobyard_core::mutated`, in a build with
/// `--cfg jobyard_mutants`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mutant {
    /// What goes wrong.
    pub name: &'static str,
    /// Whether it is known that no invariant sees it yet: what it breaks is made good by something else, or too rare. It
    /// is run on demand alone.
    pub is_elusive: bool,
}

impl Mutant {
    /// Every one.
    pub const ALL: &[Self] = &[
        Self::of("a worker of a newer term is taken"),
        Self::of("a removed worker is welcomed"),
        Self::of("an impossible capacity is taken"),
        Self::of("a foreign protocol is taken"),
        Self::of("a replaced session is still heard"),
        Self::of("reconciliation keeps a revoked attempt"),
        Self::of("another boot counts as the same"),
        Self::of("a lease goes on without contact"),
        Self::of("a lease is over before its end"),
        Self::of("a stale attempt counts"),
        Self::elusive("a stale start is not revoked"),
        Self::of("a suspended worker stays available"),
        Self::of("complaints are not heeded"),
        Self::of("capacity is never released"),
        Self::elusive("capacity is released twice"),
        Self::of("an end wins over an accepted stop"),
        Self::of("a tombstone is ignored"),
        Self::of("a stopped job stays in the queue"),
        Self::of("a retry is not paid for"),
        Self::of("a job is run again for its own failures without a budget"),
        Self::of("a job that is not repeatable is retried"),
        Self::of("a drain is acknowledged early"),
        Self::of("a reply goes before its commit"),
        Self::of("a held attempt is taken again"),
        Self::of("an attempt of the past is taken"),
        Self::of("a forgotten attempt is started"),
        Self::of("a stopped attempt is started"),
        Self::of("an attempt starts before the journal has it"),
        Self::elusive("a revoked attempt runs on"),
        Self::elusive("an attempt that was not journaled is not declined"),
        Self::of("a master of an older term is served"),
        Self::of("a silent master is believed"),
        Self::elusive("a lease counts without an answer"),
    ];

    const fn of(name: &'static str) -> Self {
        Self {
            name,
            is_elusive: false,
        }
    }

    const fn elusive(name: &'static str) -> Self {
        Self {
            name,
            is_elusive: true,
        }
    }

    /// Whether this build has them.
    pub const fn are_built_in() -> bool {
        cfg!(jobyard_mutants)
    }

    /// Lets it act in this thread from now on.
    pub fn switch_on(&self) {
        #[cfg(jobyard_mutants)]
        jobyard_core::switch_mutant(Some(self.name));
    }

    /// The worlds in which it has to be found.
    #[must_use]
    pub const fn scenario(&self) -> Scenario {
        Scenario::rough()
    }
}
