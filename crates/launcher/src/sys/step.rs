//! The steps of a child on its way to its program.

use rustix::io::Errno;

use crate::protocol::Stage;

/// What a child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    /// Entering a control group of version 1.
    Join,
    /// Becoming a warden: its pipe, its signals, its fork.
    Warden,
    /// A session of its own.
    Session,
    /// Making namespaces.
    Namespaces,
    /// Saying who is who in a user namespace.
    Maps,
    /// Keeping mounts to itself.
    Mounts,
    /// A `/proc` of the PID namespace.
    Proc,
    /// Switching on the loopback interface.
    Loopback,
    /// Limits of the process.
    Limits,
    /// A table of descriptors of its own.
    Table,
    /// The three standard descriptors.
    Stdio,
    /// The groups of the user.
    Groups,
    /// The user.
    User,
    /// Giving up new privileges.
    NoNewPrivileges,
    /// Landlock.
    Landlock,
    /// The working directory.
    Directory,
    /// The launcher died meanwhile.
    Orphaned,
    /// The program.
    Execute,
}

impl Step {
    const ALL: [Self; 18] = [
        Self::Join,
        Self::Warden,
        Self::Session,
        Self::Namespaces,
        Self::Maps,
        Self::Mounts,
        Self::Proc,
        Self::Loopback,
        Self::Limits,
        Self::Table,
        Self::Stdio,
        Self::Groups,
        Self::User,
        Self::NoNewPrivileges,
        Self::Landlock,
        Self::Directory,
        Self::Orphaned,
        Self::Execute,
    ];

    /// The step with this number.
    pub(super) fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// As the protocol calls it.
    pub(super) const fn stage(self) -> Stage {
        match self {
            Self::Join | Self::Limits => Stage::Cage,
            Self::Warden | Self::Session | Self::Table | Self::Stdio | Self::Orphaned => {
                Stage::Resources
            }
            Self::Namespaces
            | Self::Maps
            | Self::Mounts
            | Self::Proc
            | Self::Loopback
            | Self::NoNewPrivileges
            | Self::Landlock => Stage::Isolation,
            Self::Groups | Self::User => Stage::User,
            Self::Directory => Stage::Directory,
            Self::Execute => Stage::Program,
        }
    }

    /// What could not be done, in words that an error follows.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Join => "cannot enter a control group",
            Self::Warden => "cannot put a process above it",
            Self::Session => "cannot make a session",
            Self::Namespaces => "cannot make namespaces",
            Self::Maps => "cannot set up its user namespace",
            Self::Mounts => "cannot keep mounts apart",
            Self::Proc => "cannot mount a /proc of its own",
            Self::Loopback => "cannot switch on its loopback interface",
            Self::Limits => "cannot set a limit of the process",
            Self::Table => "cannot have descriptors of its own",
            Self::Stdio => "cannot set up its standard descriptors",
            Self::Groups => "cannot change its groups",
            Self::User => "cannot change its user",
            Self::NoNewPrivileges => "cannot give up new privileges",
            Self::Landlock => "cannot restrict it with Landlock",
            Self::Directory => "cannot enter its working directory",
            Self::Orphaned => "its launcher died",
            Self::Execute => "cannot execute the program",
        }
    }

    /// This step failed with this error.
    pub(super) const fn failed(self, errno: Errno) -> Failed {
        Failed { step: self, errno }
    }
}

/// A step that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    /// Which.
    pub(super) step: Step,
    /// Why.
    pub(super) errno: Errno,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_by_its_number() {
        for step in Step::ALL {
            assert_eq!(Step::from_number(step as u64), Some(step));
        }
        assert_eq!(Step::from_number(Step::ALL.len() as u64), None);
    }
}
