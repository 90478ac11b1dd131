//! Who asks, as what, and what that allows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::RequestId;

/// Decides what a caller may do. A host can bring its own.
///
/// # Contract
///
/// Pure and cheap: called for each request. It sees the caller and the action, and for actions on one job its owner.
/// A refused action on a job is answered as if there were no such job.
pub trait Authorizer: Send + Sync + fmt::Debug {
    /// Whether the caller may do this.
    fn allows(&self, caller: &Caller, action: Action<'_>) -> bool;
}

/// The built-in policy: each role may do what the roles below it may.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoleAuthorizer;

impl Authorizer for RoleAuthorizer {
    fn allows(&self, caller: &Caller, action: Action<'_>) -> bool {
        let needed = match action {
            Action::ReadJob { .. }
            | Action::ReadFleet
            | Action::ReadStatus
            | Action::ReadEvents => Role::Viewer,
            Action::Submit => Role::Submitter,
            Action::StopJob { owner } if owner == caller.name => Role::Submitter,
            Action::StopJob { .. } | Action::ChangeWorker | Action::ChangeQueue => Role::Operator,
            Action::ManageTokens | Action::ReadAudit => Role::Admin,
        };
        caller.role >= needed
    }
}

/// Something that a caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'a> {
    /// Submit jobs.
    Submit,
    /// See a job and its output.
    ReadJob {
        /// Who submitted it.
        owner: &'a str,
    },
    /// Stop a job.
    StopJob {
        /// Who submitted it.
        owner: &'a str,
    },
    /// See workers.
    ReadFleet,
    /// Suspend, resume, drain or remove workers.
    ChangeWorker,
    /// Make, see and revoke join tokens.
    ManageTokens,
    /// Change how queues share workers.
    ChangeQueue,
    /// See how the master is.
    ReadStatus,
    /// See who did what.
    ReadAudit,
    /// See everything that happens to jobs and workers.
    ReadEvents,
}

/// Who asks, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The name in the certificate, or one that the host chose.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Of this request, for logs. Repeats of a request keep it.
    pub request: Option<RequestId>,
}

impl Caller {
    /// A caller with a name and a role.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
            request: None,
        }
    }

    /// The program that runs the master, which may do everything.
    pub fn host() -> Self {
        Self::new("host", Role::Admin)
    }
}

/// What people and programs may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// See everything but tokens and the audit trail.
    Viewer,
    /// Submit jobs, and stop their own.
    Submitter,
    /// Stop all jobs, suspend, resume and remove workers, change queues.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// As certificates and JSON name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Submitter => "submitter",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Viewer, Self::Submitter, Self::Operator, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of viewer, submitter, operator, admin")]
pub struct UnknownRole;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_roles_below_it_may() {
        let may = |role, action| RoleAuthorizer.allows(&Caller::new("a", role), action);
        assert!(may(Role::Viewer, Action::ReadJob { owner: "b" }));
        assert!(!may(Role::Viewer, Action::Submit));
        assert!(may(Role::Submitter, Action::StopJob { owner: "a" }));
        assert!(!may(Role::Submitter, Action::StopJob { owner: "b" }));
        assert!(may(Role::Operator, Action::ChangeWorker));
        assert!(!may(Role::Operator, Action::ManageTokens));
        assert!(may(Role::Admin, Action::ManageTokens));
    }
}
