//! Who may do what, asked before anything is done.

use jobyard_core::{Action, Caller, ControlError, JobId, Role};

use super::shared::Shared;

impl Shared {
    /// Refuses what the policy does not allow.
    pub(super) fn allow(&self, caller: &Caller, action: Action<'_>) -> Result<(), ControlError> {
        if self.config.authorizer.allows(caller, action) {
            return Ok(());
        }
        let needed = [Role::Viewer, Role::Submitter, Role::Operator, Role::Admin]
            .into_iter()
            .find(|role| {
                let other = Caller::new(caller.name.clone(), *role);
                self.config.authorizer.allows(&other, action)
            })
            .map_or("of somebody else", Role::as_str);
        Err(ControlError::Forbidden {
            name: caller.name.clone(),
            role: caller.role,
            needed: needed.to_owned(),
        })
    }

    /// The same for one job. A job that the caller may not see is one that is not there; one that it may see and not
    /// change is refused openly.
    pub(super) fn allow_on_job(
        &self,
        caller: &Caller,
        id: JobId,
        owner: &str,
        action: Action<'_>,
    ) -> Result<(), ControlError> {
        if !self
            .config
            .authorizer
            .allows(caller, Action::ReadJob { owner })
        {
            return Err(ControlError::no_job(id));
        }
        self.allow(caller, action)
    }
}
