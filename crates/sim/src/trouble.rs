//! Which of the larger faults happens next.

/// Something large that goes wrong with a connection, a program or a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// A session's connection breaks.
    CutSession,
    /// Everything is lost that is sent in one direction.
    CutOneWay,
    /// What is sent on a session arrives late.
    HoldUpSession,
    /// A worker's agent does not run for a while.
    Freeze,
    /// A connection for output breaks.
    CutUpload,
    /// Nothing passes to or from a worker for a while.
    Stall,
    /// What the master answers takes long, and soon nothing reaches the master any more.
    AnswerLate,
    /// The master dies.
    CrashMaster,
    /// A worker's agent dies.
    CrashAgent,
    /// A worker's machine is started anew.
    Reboot,
    /// A worker is told to end.
    ShutDown,
}

impl Trouble {
    /// By a number below 100, each as often as it is worth.
    pub(crate) const fn of(chance: u64) -> Self {
        match chance {
            0..14 => Self::CutSession,
            14..16 => Self::CutOneWay,
            16..18 => Self::HoldUpSession,
            18..23 => Self::Freeze,
            23..32 => Self::CutUpload,
            32..52 => Self::Stall,
            52..67 => Self::CrashMaster,
            67..82 => Self::CrashAgent,
            82..92 => Self::Reboot,
            _ => Self::ShutDown,
        }
    }
}
