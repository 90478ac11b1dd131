//! Control groups of version 2: what the machine allows, found out by trying.
//!
//! ```text
//! BASE/                  the group of this process, or the one above if that is what was delegated
//! ├── launcher           this process, if it had to make room (see `Room::MoveSelf`)
//! └── jobyard-NAME/      ours
//!     ├── plain/N        leaves without controllers, used again and again
//!     └── limited/N      leaves with controllers, each for one attempt with limits
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::group;
use super::leaf::{Leaf, Way, pin_procs};
use super::mounts::Hierarchy;
use super::plan::{Device, Plan, Support, Version};
use super::trial::try_limits;
use super::trial_run::try_entry;
use crate::sys::Entry;

/// The launcher's groups of version 2.
#[derive(Debug)]
pub(super) struct Cgroup2 {
    /// `jobyard-NAME`.
    pub(super) ours: PathBuf,
    /// What its leaves take of limits.
    pub(super) support: Support,
    /// How processes come into its leaves.
    pub(super) way: Way,
    made: u64,
    /// Above its leaves, see [`pin_procs`].
    pins: Vec<OwnedFd>,
}

impl Cgroup2 {
    /// Tries everything, with real groups. `None`: version 2 is of no use here; the notes say why.
    pub(super) fn probe(
        hierarchy: &Hierarchy,
        name: &str,
        device: Option<Device>,
        notes: &mut Vec<String>,
    ) -> Option<Self> {
        let base = base(hierarchy);
        let mut found = Self {
            ours: base.join(format!("jobyard-{name}")),
            support: Support::default(),
            way: Way::Birth,
            made: 0,
            pins: Vec::new(),
        };
        let tried = found.prepare().and_then(|()| found.try_leaf(notes));
        if let Err(problem) = tried {
            notes.push(format!(
                "cgroup2: not usable in {}: {problem}",
                base.display()
            ));
            found.close();
            return None;
        }
        notes.push(format!("cgroup2: cgroup.kill works in {}", base.display()));
        let enabled = enable_controllers(&base, &found.ours, notes);
        if !enabled.is_empty() {
            found.try_limits(device, notes);
        }
        // This process is in one of these, or beneath it.
        let above = base
            .ancestors()
            .take_while(|it| it.starts_with(&hierarchy.top));
        found.pins = above.filter_map(pin_procs).collect();
        Some(found)
    }

    /// The group of leaves without controllers.
    pub(super) fn plain(&self) -> PathBuf {
        self.ours.join("plain")
    }

    /// A new leaf with these limits.
    pub(super) fn make_limited(&mut self, plan: &Plan) -> io::Result<Leaf> {
        let leaf = loop {
            self.made += 1;
            match Leaf::make(&self.limited().join(self.made.to_string()), self.way) {
                // Left there by an earlier launcher, with something in it.
                Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => {}
                made => break made?,
            }
        };
        if let Err(problem) = leaf.apply(plan) {
            // It is empty, so this works, and the other problem is the one to tell.
            let _ = group::remove(leaf.path());
            return Err(problem);
        }
        Ok(leaf)
    }

    /// Makes the groups again that somebody has removed.
    pub(super) fn restore(&self) -> io::Result<()> {
        group::make(&self.ours)?;
        group::make(&self.plain())?;
        if self.support != Support::default() {
            // What cannot be handed down any more shows itself when the limit is set.
            let mut notes = Vec::new();
            enable(&self.ours, &mut notes);
            group::make(&self.limited())?;
            enable(&self.limited(), &mut notes);
        }
        Ok(())
    }

    /// Removes all that is empty.
    pub(super) fn close(&self) {
        // What is in use stays: its processes are in the notes of whoever abandoned it.
        let _ = group::remove(&self.ours);
    }

    fn limited(&self) -> PathBuf {
        self.ours.join("limited")
    }

    /// Makes our groups. What an earlier launcher of this name left in them and is empty is removed.
    fn prepare(&self) -> io::Result<()> {
        let _ = group::remove(&self.ours);
        group::make(&self.ours)?;
        group::make(&self.plain())
    }

    /// Makes leaves and does to them what is done to those of jobs.
    fn try_leaf(&mut self, notes: &mut Vec<String>) -> io::Result<()> {
        let path = self.plain().join("probe");
        let born = try_way(&path, Way::Birth);
        if let Err(problem) = &born {
            notes.push(format!("cgroup2: nobody can be born in a group: {problem}"));
            try_way(&path, Way::Door)?;
            self.way = Way::Door;
        }
        Ok(())
    }

    /// Finds out which limits the leaves take.
    fn try_limits(&mut self, device: Option<Device>, notes: &mut Vec<String>) {
        if let Err(problem) = group::make(&self.limited()) {
            notes.push(format!("cgroup2: no limits: {problem}"));
            return;
        }
        enable(&self.limited(), notes);
        let support = try_limits(Version::Two, device, notes, |plan| {
            group::remove(self.make_limited(plan)?.path())
        });
        self.support = support;
    }
}

/// The group in which ours is made. A service manager that puts the processes of a unit into a group of their own
/// delegates the one above (`DelegateSubgroup=` of systemd), and marks it so.
fn base(hierarchy: &Hierarchy) -> PathBuf {
    let is_delegated = |group: &Path| {
        ["user.delegate", "trusted.delegate"].iter().any(|name| {
            let mut value = [0_u8; 8];
            rustix::fs::getxattr(group, *name, &mut value[..])
                .is_ok_and(|length| value.get(..length) == Some(&b"1"[..]))
        })
    };
    let above = hierarchy
        .own
        .parent()
        .filter(|_| hierarchy.own != hierarchy.top && !is_delegated(&hierarchy.own));
    match above {
        Some(above) if is_delegated(above) => above.to_path_buf(),
        _ => hierarchy.own.clone(),
    }
}

/// Sees whether a process can enter a new leaf, and whether that could be killed.
fn try_way(path: &Path, way: Way) -> io::Result<()> {
    let leaf = Leaf::make(path, way)?;
    let (cgroup2, door) = leaf.way_in();
    let tried = try_entry(Entry {
        cgroup2: cgroup2.map(AsFd::as_fd),
        join: door.into_iter().map(AsFd::as_fd).collect(),
        warden: None,
    });
    let tried = tried.and_then(|()| try_kill(&leaf));
    tried.and(group::remove(leaf.path()))
}

fn try_kill(leaf: &Leaf) -> io::Result<()> {
    let kind = group::read(leaf.path(), "cgroup.type")?;
    if kind.trim() != "domain" {
        let problem = format!("groups here are of the type `{}`", kind.trim());
        return Err(io::Error::other(problem));
    }
    if !leaf.is_empty()? {
        return Err(io::Error::other("a group that was left is not empty"));
    }
    group::write(leaf.path(), "cgroup.kill", "1")
        .map_err(|problem| io::Error::other(format!("cgroup.kill: {problem}")))?;
    group::read(leaf.path(), "cpu.stat").map(drop)
}

/// Has the kernel hand its controllers down to our groups. Returns those that are there.
fn enable_controllers(base: &Path, ours: &Path, notes: &mut Vec<String>) -> BTreeSet<String> {
    let missing = missing(base);
    if !missing.is_empty() && !base.join("cgroup.events").exists() {
        // The uppermost group of the machine may hold processes as well.
        enable(base, notes);
    } else if !missing.is_empty() {
        make_room_and_enable(base, notes);
    }
    enable(ours, notes);
    let enabled = words(ours, "cgroup.subtree_control");
    if enabled.is_empty() {
        notes.push("cgroup2: no controllers, so no limits by version 2".to_owned());
    }
    enabled
}

/// A group that hands controllers down holds no processes itself. If this one process is all that is in it, it moves.
/// Others are never moved: they are not ours.
fn make_room_and_enable(base: &Path, notes: &mut Vec<String>) {
    let own = std::process::id();
    let procs = group::read(base, "cgroup.procs").unwrap_or_default();
    let room = Room::of(&procs, own);
    let leaf = base.join("launcher");
    match room {
        Room::Free => enable(base, notes),
        Room::Taken(others) => notes.push(format!(
            "cgroup2: {others} other processes are in {}, so its controllers cannot be used; have the service manager \
             put them into a group of their own (systemd: Delegate=yes and DelegateSubgroup=agent)",
            base.display()
        )),
        Room::MoveSelf => {
            let moved = group::make(&leaf)
                .and_then(|()| group::write(&leaf, "cgroup.procs", &own.to_string()));
            if let Err(problem) = moved {
                notes.push(format!("cgroup2: no move: {problem}"));
                return;
            }
            enable(base, notes);
            if words(base, "cgroup.subtree_control").is_empty() {
                // It was for nothing: everything as it was before.
                let _ = group::write(base, "cgroup.procs", &own.to_string());
                let _ = fs::remove_dir(&leaf);
            } else {
                notes.push(format!("cgroup2: moved itself to {}", leaf.display()));
            }
        }
    }
}

/// Whether controllers can be handed down from a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// No process is in it.
    Free,
    /// This process alone is in it.
    MoveSelf,
    /// So many others are.
    Taken(usize),
}

impl Room {
    fn of(procs: &str, own: u32) -> Self {
        let own = own.to_string();
        let others = procs.lines().filter(|line| *line != own).count();
        match (others, procs.lines().count()) {
            (0, 0) => Self::Free,
            (0, _) => Self::MoveSelf,
            (others, _) => Self::Taken(others),
        }
    }
}

/// Enables what is missing, one by one: a kernel takes all of several or none.
fn enable(group: &Path, notes: &mut Vec<String>) {
    for controller in missing(group) {
        let order = format!("+{controller}");
        if let Err(problem) = group::write(group, "cgroup.subtree_control", &order) {
            notes.push(format!("cgroup2: {controller}: {problem}"));
        }
    }
}

/// The controllers that are of use, could be handed down from this group, and are not yet.
fn missing(group: &Path) -> Vec<&'static str> {
    let available = words(group, "cgroup.controllers");
    let enabled = words(group, "cgroup.subtree_control");
    CONTROLLERS
        .into_iter()
        .filter(|it| available.contains(*it) && !enabled.contains(*it))
        .collect()
}

fn words(group: &Path, file: &str) -> BTreeSet<String> {
    let text = group::read(group, file).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// The controllers that limits are made of.
const CONTROLLERS: [&str; 4] = ["memory", "pids", "cpu", "io"];

#[cfg(test)]
#[path = "cgroup2_tests.rs"]
mod tests;
