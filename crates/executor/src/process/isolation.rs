//! What an executor is configured with that its launcher has to be able to do.

/// What becomes of a job with a limit that nothing can enforce here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unenforceable {
    /// It runs, and the limit is listed in [`Residue::unenforced`](jobyard_core::Residue). What can hold each process for
    /// itself only, where the limit is meant for all of them together, is set and listed as well.
    #[default]
    Warn,
    /// It is not started: [`InfraReason::LimitNotEnforceable`](jobyard_core::InfraReason). So is one whose limit
    /// could hold each process for itself only.
    Refuse,
}

/// Why an executor cannot be configured so. The operator's matter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IsolationError {
    /// There is no launcher.
    #[error(
        "without a launcher jobs run as the user of this program, with nothing that keeps them apart"
    )]
    NoLauncher,
    /// The launcher may not start jobs of other users.
    #[error("the launcher has no right to start jobs as another user; it needs to run as root")]
    OtherUser,
    /// The launcher can give no namespaces.
    #[error("this machine gives no namespaces to the launcher")]
    Namespaces,
    /// The kernel knows no Landlock.
    #[error("the kernel of this machine has no Landlock, or has it switched off")]
    Landlock,
}
