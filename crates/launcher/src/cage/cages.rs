//! All cages of a launcher.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use jobyard_core::{AttemptId, LimitKind};
use rustix::process::{Resource, getrlimit};

use super::capabilities::Capabilities;
use super::cgroup1::{Cgroup1, Groups};
use super::cgroup2::Cgroup2;
use super::leaf::Leaf;
use super::leaf_pool::LeafPool;
use super::mounts::Controller;
use super::name::boot_id;
use super::plan::{Group, Plan, Support, for_each_process, plan};
use super::probe::{self, plain_name};
use super::removals::Removals;
use super::{Cage, CageName, device, group};
use crate::protocol::{CageFacts, Launch, LaunchFailure, Mechanism, Stage};
use crate::sys::WardenKind;

/// What a launcher wants of its cages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CageOptions {
    /// Where the control groups are mounted, in directories of the names of their controllers and in `unified`; `None`:
    /// where this process finds them, beneath the group that it is in.
    pub root: Option<PathBuf>,
    /// The name of the launcher: `jobyard-NAME` is its own control group. Must not be used by two at once.
    pub name: String,
    /// Nothing stronger than this, for tests; `None`: the strongest that there is.
    pub mechanism: Option<Mechanism>,
}

impl CageOptions {
    /// The strongest that the machine has.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            root: None,
            name: name.into(),
            mechanism: None,
        }
    }
}

/// All cages of a launcher.
///
/// * To begin with: [`Cages::probe`], [`Cages::facts`].
/// * For each attempt: `take`, then `give_back` or `abandon`.
/// * At the end: [`Cages::close`]. For a launcher that died: [`CageName::end_left_over`] for each of its attempts, then
///   [`Cages::clear`].
#[derive(Debug)]
pub struct Cages {
    facts: CageFacts,
    support: Support,
    capabilities: Capabilities,
    cgroup2: Option<(Cgroup2, LeafPool)>,
    cgroup1: Cgroup1,
    removals: Removals,
    boot: Option<String>,
}

impl Cages {
    /// Finds out what the machine offers, by trying. Never fails: the weakest mechanism needs nothing. Takes some
    /// milliseconds.
    ///
    /// Where the group of this process is to hand controllers down and nothing else is in it, this process moves itself
    /// to a group `launcher` beneath it; the notes of the facts then say so.
    pub fn probe(options: &CageOptions) -> Self {
        let probed = probe::probe(options);
        Self {
            facts: probed.facts,
            support: probed.support,
            capabilities: probed.capabilities,
            cgroup2: probed.cgroup2.map(|cgroup2| {
                let pool = LeafPool::new(cgroup2.plain(), cgroup2.way);
                (cgroup2, pool)
            }),
            cgroup1: probed.cgroup1,
            removals: Removals::default(),
            boot: boot_id(),
        }
    }

    /// Removes the empty control groups of a launcher that is dead; those in use stay.
    pub fn clear(options: &CageOptions) {
        let name = format!("jobyard-{}", plain_name(&options.name));
        let hierarchies = probe::hierarchies(options, &mut Vec::new());
        let version2 = hierarchies.v2.into_iter().flat_map(|it| {
            let above = it.own.parent().map(PathBuf::from);
            above.into_iter().chain([it.own])
        });
        for own in version2.chain(hierarchies.v1.into_values().map(|it| it.own)) {
            // What is in use stays; its owner ends it first.
            let _ = group::remove(&own.join(&name));
        }
    }

    /// What was found.
    pub fn facts(&self) -> &CageFacts {
        &self.facts
    }

    /// A cage for one attempt, with its limits set. Limits that nothing enforces are not an error: see
    /// [`Cage::unenforced`].
    pub(crate) fn take(
        &mut self,
        attempt: AttemptId,
        launch: &Launch,
    ) -> Result<Cage, LaunchFailure> {
        self.removals.retry();
        let warden = warden(self.facts.mechanism, launch);
        let plan = self.plan(launch, warden);
        let leaf = self
            .take_leaf(&plan)
            .map_err(|it| failure("cgroup2", &it))?;
        let groups = match self.take_groups(&plan) {
            Ok(groups) => groups,
            Err(problem) => {
                self.return_leaf(leaf);
                return Err(failure("cgroup1", &problem));
            }
        };
        let mut name = CageName::new(self.facts.mechanism, attempt, self.boot.clone());
        name.leaf = leaf.as_ref().map(|leaf| leaf.path().to_path_buf());
        name.groups = groups.paths().into_iter().collect();
        name.freezer = (self.facts.mechanism == Mechanism::Freezer)
            .then(|| groups.path(Controller::Freezer).map(PathBuf::from))
            .flatten();
        let each = self.process_limits(launch, &plan);
        let unenforced = unenforced(launch, &plan, &each);
        Ok(Cage {
            name,
            leaf,
            groups,
            warden,
            forked: None,
            rlimits: each
                .into_iter()
                .map(|(_, resource, limit)| (resource, limit, limit))
                .collect(),
            unenforced,
        })
    }

    /// Takes back a cage that is proven empty. Its descriptors must not be watched any more: they live on in the pool.
    pub(crate) fn give_back(&mut self, cage: Cage) {
        let Cage { leaf, groups, .. } = cage;
        self.removals.retry();
        self.return_leaf(leaf);
        for path in groups.paths() {
            self.removals.add(path);
        }
    }

    /// Takes back a cage that cannot be emptied. It is left where it is and never used again.
    pub(crate) fn abandon(&mut self, cage: Cage) {
        drop(cage);
        self.removals.retry();
    }

    /// Removes all control groups that were made here, but those in use.
    pub fn close(self) {
        if let Some((cgroup2, pool)) = self.cgroup2 {
            drop(pool);
            cgroup2.close();
        }
        self.cgroup1.close();
    }

    fn plan(&self, launch: &Launch, warden: Option<WardenKind>) -> Plan {
        let limits = &launch.limits;
        let rates = limits.read_rate.is_some() || limits.write_rate.is_some();
        let disks = if rates {
            device::of_all([launch.dir.root.as_path(), launch.output.as_path()])
        } else {
            Vec::new()
        };
        plan(limits, self.support, &disks, u64::from(warden.is_some()))
    }

    fn take_leaf(&mut self, plan: &Plan) -> io::Result<Option<Leaf>> {
        let Some((cgroup2, pool)) = &mut self.cgroup2 else {
            return Ok(None);
        };
        let is_limited = plan.groups().contains(&Group::Leaf);
        let mut take = |cgroup2: &mut Cgroup2| {
            if is_limited {
                cgroup2.make_limited(plan)
            } else {
                pool.take()
            }
        };
        let taken = take(cgroup2).or_else(|problem| {
            if !group::is_gone(&problem) {
                return Err(problem);
            }
            // Somebody has removed the empty groups of the launcher.
            cgroup2.restore()?;
            take(cgroup2)
        });
        taken.map(Some)
    }

    fn return_leaf(&mut self, leaf: Option<Leaf>) {
        let (Some(leaf), Some((cgroup2, pool))) = (leaf, &mut self.cgroup2) else {
            return;
        };
        let useless = if leaf.path().starts_with(cgroup2.plain()) {
            pool.give_back(leaf)
        } else {
            Some(leaf.into_path())
        };
        if let Some(path) = useless {
            self.removals.add(path);
        }
    }

    fn take_groups(&mut self, plan: &Plan) -> io::Result<Groups> {
        let mut others = BTreeSet::new();
        if self.facts.mechanism == Mechanism::Freezer {
            others.insert(Controller::Freezer);
        }
        let limited = plan
            .groups()
            .iter()
            .any(|group| matches!(group, Group::Of(_)));
        if limited && self.cgroup2.is_none() {
            // Where version 2 does not count, version 1 does.
            others.insert(Controller::CpuAcct);
        }
        let mut groups = self.cgroup1.make(plan, &others)?;
        let set = groups.apply(plan).and_then(|()| groups.watch_memory());
        if let Err(problem) = set {
            for path in groups.paths() {
                self.removals.add(path);
            }
            return Err(problem);
        }
        Ok(groups)
    }

    fn process_limits(&self, launch: &Launch, plan: &Plan) -> Vec<(LimitKind, Resource, u64)> {
        let own = rustix::process::geteuid().as_raw();
        let other_user = launch.user.as_ref().is_some_and(|user| user.uid != own);
        let mut each = for_each_process(&launch.limits, &plan.together, other_user);
        if !self.capabilities.raise_limits() {
            for (_, resource, limit) in &mut each {
                // What was taken from us cannot be given to a job.
                let most = getrlimit(*resource).maximum.unwrap_or(u64::MAX);
                *limit = most.min(*limit);
            }
        }
        each
    }
}

/// The process of ours above a job. The freezer has one for its end: version 1 does not tell when a group is empty.
fn warden(mechanism: Mechanism, launch: &Launch) -> Option<WardenKind> {
    let wants_namespace = launch.isolation.namespaces.pid;
    match mechanism {
        Mechanism::PidNamespace => Some(WardenKind::PidNamespace),
        _ if wants_namespace => Some(WardenKind::PidNamespace),
        Mechanism::Cgroup2 => None,
        Mechanism::Freezer | Mechanism::Subreaper => Some(WardenKind::Subreaper),
    }
}

fn unenforced(launch: &Launch, plan: &Plan, each: &[(LimitKind, Resource, u64)]) -> Vec<LimitKind> {
    let is_set = |kind: LimitKind| {
        plan.together.contains(&kind) || each.iter().any(|(limited, _, _)| *limited == kind)
    };
    launch
        .limits
        .kinds()
        .filter(|kind| !is_set(*kind))
        .collect()
}

fn failure(what: &str, problem: &io::Error) -> LaunchFailure {
    let errno = group::errno(problem).unwrap_or(0);
    LaunchFailure::new(
        Stage::Cage,
        errno,
        format!("no control group for the attempt ({what}): {problem}"),
    )
}
