//! What a person asks of a machine.

use super::Cages;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it works.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

/// Tries all cages with small processes.
pub fn self_check(_cages: &mut Cages) -> Vec<Check> {
    Vec::new()
}
