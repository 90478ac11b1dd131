//! What the machine offers, found out by trying.

use std::fs;
use std::path::Path;

use super::CageOptions;
use super::capabilities::Capabilities;
use super::cgroup1::Cgroup1;
use super::cgroup2::Cgroup2;
use super::device;
use super::facts::Found;
use super::mounts::Hierarchies;
use super::plan::Support;
use crate::protocol::{CageFacts, Mechanism, Namespaces};
use crate::sys::{self, WardenKind};

/// What is used of the machine.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) facts: CageFacts,
    /// What facts do not say of limits: by what they are set.
    pub(super) support: Support,
    /// Only with the mechanism that is made of it.
    pub(super) cgroup2: Option<Cgroup2>,
    pub(super) cgroup1: Cgroup1,
    pub(super) capabilities: Capabilities,
}

/// Tries all that is not stronger than what the options allow.
pub(super) fn probe(options: &CageOptions) -> Probed {
    let mut notes = Vec::new();
    let name = plain_name(&options.name);
    let hierarchies = hierarchies(options, &mut notes);
    let disk = fs::canonicalize(".")
        .ok()
        .and_then(|here| device::of(&here));
    let disk = disk.or_else(|| device::of(Path::new("/")));
    let capabilities = Capabilities::own();

    let wanted = options
        .mechanism
        .is_none_or(|most| most == Mechanism::Cgroup2);
    let cgroup2 = hierarchies
        .v2
        .as_ref()
        .filter(|_| wanted)
        .and_then(|hierarchy| Cgroup2::probe(hierarchy, &name, disk, &mut notes));
    let cgroup1 = Cgroup1::probe(&hierarchies, &name, disk, &mut notes);
    let version2 = cgroup2.as_ref().map(|it| it.support).unwrap_or_default();
    let found = Found {
        cgroup2: cgroup2.is_some(),
        freezer: cgroup1.freezer,
        other_user: capabilities.other_users(),
        pid_namespace: try_pid_namespace(&mut notes),
        namespaces: try_namespaces(&mut notes),
        landlock: try_landlock(&mut notes),
        support: version2.or(cgroup1.support),
    };
    let mechanism = found.mechanism(options.mechanism);
    Probed {
        facts: found.facts(mechanism, notes),
        support: found.support,
        cgroup2,
        cgroup1,
        capabilities,
    }
}

/// Where the groups of a launcher with these options are.
pub(super) fn hierarchies(options: &CageOptions, notes: &mut Vec<String>) -> Hierarchies {
    if let Some(root) = &options.root {
        return Hierarchies::beneath(root);
    }
    let mut read = |path: &str| {
        fs::read_to_string(path).unwrap_or_else(|problem| {
            notes.push(format!("{path}: {problem}"));
            String::new()
        })
    };
    let found = Hierarchies::parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    if found.v2.is_none() {
        notes.push("cgroup2: not mounted".to_owned());
    }
    found
}

/// A name that is one plain part of a path.
pub(super) fn plain_name(name: &str) -> String {
    name.chars()
        .map(|it| match it {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => it,
            _ => '_',
        })
        .take(MOST_NAME_BYTES)
        .collect()
}

/// As with names of files, with room for what stands before it.
const MOST_NAME_BYTES: usize = 200;

fn try_pid_namespace(notes: &mut Vec<String>) -> bool {
    let tried = sys::try_namespaces(Namespaces::default(), Some(WardenKind::PidNamespace));
    note(notes, "PID namespace", &tried);
    tried.is_ok()
}

fn try_namespaces(notes: &mut Vec<String>) -> bool {
    let all = Namespaces {
        mount: true,
        pid: true,
        net: true,
    };
    let tried = sys::try_namespaces(all, Some(WardenKind::PidNamespace));
    note(
        notes,
        "namespaces for mounts, processes and network",
        &tried,
    );
    tried.is_ok()
}

fn try_landlock(notes: &mut Vec<String>) -> bool {
    let version = sys::landlock_version();
    notes.push(version.map_or_else(
        || "landlock: the kernel has none, or it is switched off".to_owned(),
        |version| format!("landlock: version {version}"),
    ));
    version.is_some()
}

fn note(notes: &mut Vec<String>, what: &str, tried: &std::io::Result<()>) {
    notes.push(match tried {
        Ok(()) => format!("{what}: works"),
        Err(problem) => format!("{what}: {problem}"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_plain() {
        assert_eq!(plain_name("a-b_1"), "a-b_1");
        assert_eq!(plain_name("../x y"), "___x_y");
    }
}
