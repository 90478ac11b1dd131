//! What a launcher says of its machine: pure.

use std::collections::BTreeSet;

use jobyard_core::{Containment, LimitKind};

use super::plan::Support;
use crate::protocol::{CageFacts, Mechanism};

/// What was found out by trying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent findings, not a state"
)]
pub(super) struct Found {
    /// A group of version 2 kills what is in it.
    pub(super) cgroup2: bool,
    /// A PID namespace can be made.
    pub(super) pid_namespace: bool,
    /// A group of version 1 can be stopped.
    pub(super) freezer: bool,
    /// This process may become another user.
    pub(super) other_user: bool,
    /// Namespaces can be given to jobs.
    pub(super) namespaces: bool,
    /// The kernel knows Landlock.
    pub(super) landlock: bool,
    /// Limits that groups take.
    pub(super) support: Support,
}

impl Found {
    /// The strongest mechanism that is there, or the strongest that is not stronger than `most`.
    pub(super) fn mechanism(&self, most: Option<Mechanism>) -> Mechanism {
        STRONGEST_FIRST
            .into_iter()
            .skip_while(|mechanism| most.is_some_and(|most| most != *mechanism))
            .find(|mechanism| match mechanism {
                Mechanism::Cgroup2 => self.cgroup2,
                Mechanism::PidNamespace => self.pid_namespace,
                Mechanism::Freezer => self.freezer,
                Mechanism::Subreaper => true,
            })
            .unwrap_or(Mechanism::Subreaper)
    }

    /// What that is worth.
    pub(super) fn facts(&self, mechanism: Mechanism, notes: Vec<String>) -> CageFacts {
        let other_user = self.other_user.then_some(match mechanism {
            Mechanism::Cgroup2 | Mechanism::Freezer => Containment::Hard,
            Mechanism::PidNamespace => Containment::Namespace,
            Mechanism::Subreaper => Containment::BestEffort,
        });
        // A job of our own user has our own rights: it can write itself into another group.
        let own_user = match mechanism {
            Mechanism::PidNamespace => Containment::Namespace,
            _ => Containment::BestEffort,
        };
        let tree_limits = self.support.kinds();
        CageFacts {
            process_limits: self.process_limits(&tree_limits),
            tree_limits,
            namespaces: self.namespaces,
            landlock: self.landlock,
            notes,
            ..CageFacts::new(mechanism, own_user, other_user)
        }
    }

    fn process_limits(&self, tree: &BTreeSet<LimitKind>) -> BTreeSet<LimitKind> {
        let mut kinds =
            BTreeSet::from([LimitKind::OpenFiles, LimitKind::FileSize, LimitKind::Memory]);
        // The kernel counts processes per user: for our own user, ours would count as well.
        if self.other_user {
            kinds.insert(LimitKind::Processes);
        }
        kinds.retain(|kind| !tree.contains(kind));
        kinds
    }
}

const STRONGEST_FIRST: [Mechanism; 4] = [
    Mechanism::Cgroup2,
    Mechanism::PidNamespace,
    Mechanism::Freezer,
    Mechanism::Subreaper,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cage::plan::Version;

    fn everything() -> Found {
        Found {
            cgroup2: true,
            pid_namespace: true,
            freezer: true,
            other_user: true,
            namespaces: true,
            landlock: true,
            support: Support {
                cpu: Some(Version::One),
                ..Support::default()
            },
        }
    }

    #[test]
    fn the_strongest_that_is_there_is_used() {
        let mut found = everything();
        assert_eq!(found.mechanism(None), Mechanism::Cgroup2);
        found.cgroup2 = false;
        assert_eq!(found.mechanism(None), Mechanism::PidNamespace);
        found.pid_namespace = false;
        assert_eq!(found.mechanism(None), Mechanism::Freezer);
        found.freezer = false;
        assert_eq!(found.mechanism(None), Mechanism::Subreaper);
    }

    #[test]
    fn nothing_stronger_than_what_was_asked_for_is_used() {
        let mut found = everything();
        for mechanism in STRONGEST_FIRST {
            assert_eq!(found.mechanism(Some(mechanism)), mechanism);
        }
        found.freezer = false;
        let most = Some(Mechanism::Freezer);
        assert_eq!(found.mechanism(most), Mechanism::Subreaper);
    }

    #[test]
    fn a_job_of_another_user_is_held_harder() {
        let found = everything();
        let worth = |mechanism| {
            let facts = found.facts(mechanism, Vec::new());
            (facts.own_user, facts.other_user)
        };
        let (best_effort, namespace, hard) = (
            Containment::BestEffort,
            Containment::Namespace,
            Containment::Hard,
        );
        assert_eq!(worth(Mechanism::Cgroup2), (best_effort, Some(hard)));
        assert_eq!(worth(Mechanism::PidNamespace), (namespace, Some(namespace)));
        assert_eq!(worth(Mechanism::Freezer), (best_effort, Some(hard)));
        assert_eq!(
            worth(Mechanism::Subreaper),
            (best_effort, Some(best_effort))
        );
    }

    #[test]
    fn without_the_right_there_are_no_other_users() {
        let found = Found {
            other_user: false,
            ..everything()
        };
        let facts = found.facts(Mechanism::Cgroup2, Vec::new());
        assert_eq!(facts.other_user, None);
        assert!(!facts.process_limits.contains(&LimitKind::Processes));
    }

    #[test]
    fn what_holds_all_together_is_not_also_a_limit_of_each() {
        let mut found = everything();
        found.support.processes = Some(Version::One);
        let facts = found.facts(Mechanism::Cgroup2, Vec::new());
        assert_eq!(
            facts.tree_limits,
            BTreeSet::from([LimitKind::Cpu, LimitKind::Processes])
        );
        assert_eq!(
            facts.process_limits,
            BTreeSet::from([LimitKind::Memory, LimitKind::OpenFiles, LimitKind::FileSize])
        );
    }
}
