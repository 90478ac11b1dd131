//! The time by which an attempt has to be over.

use jobyard_core::Steady;

/// For how long an attempt may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Term {
    /// As long as it likes, or it does not matter any more.
    #[default]
    Endless,
    /// Until this time.
    Until(Steady),
    /// That time came before its main process had ended, or anything else had ended it.
    Expired,
}

impl Term {
    /// When something is to be done about it.
    pub(super) const fn deadline(self) -> Option<Steady> {
        match self {
            Self::Until(until) => Some(until),
            Self::Endless | Self::Expired => None,
        }
    }

    /// Whether its time has come and nothing was done about that.
    pub(super) fn is_due(self, now: Steady) -> bool {
        self.deadline().is_some_and(|until| until <= now)
    }
}
