//! Deliberate bugs in the brains: each has to be found.

use crate::scenario::Scenario;

/// A deliberate bug of a brain. The brains ask for it by name, with `jobyard_core::mutated`, in a build with
/// `--cfg jobyard_mutants`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mutant {
    /// What goes wrong.
    pub name: &'static str,
}

impl Mutant {
    /// Every one.
    pub const ALL: &[Self] = &[Self::of("a suspended worker stays available")];

    const fn of(name: &'static str) -> Self {
        Self { name }
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
