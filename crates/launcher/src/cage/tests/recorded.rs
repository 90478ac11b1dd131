use std::fs;

use jobyard_core::{Containment, LimitKind};

use crate::cage::{CageOptions, Cages};
use crate::protocol::Mechanism;

fn probe(root: &std::path::Path) -> Cages {
    let mut options = CageOptions::new("recorded");
    options.root = Some(root.to_path_buf());
    Cages::probe(&options)
}

#[test]
fn without_control_groups_there_still_are_cages() {
    let root = tempfile::tempdir().expect("a directory");
    let cages = probe(root.path());
    let facts = cages.facts();
    assert_eq!(facts.mechanism, Mechanism::PidNamespace);
    assert_eq!(facts.own_user, Containment::Namespace);
    assert!(facts.tree_limits.is_empty());
    assert!(facts.process_limits.contains(&LimitKind::Memory));
    assert!(
        facts
            .notes
            .iter()
            .any(|note| note.starts_with("cgroup1: no"))
    );
    cages.close();
    assert_eq!(fs::read_dir(root.path()).expect("read").count(), 0);
}

#[test]
fn a_kernel_without_cgroup_kill_is_told_of() {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir(root.path().join("unified")).expect("made");
    // Its groups have none of their files: no kernel makes them.
    fs::write(root.path().join("unified/cgroup.controllers"), "memory\n").expect("written");
    let cages = probe(root.path());
    assert_ne!(cages.facts().mechanism, Mechanism::Cgroup2);
    let notes = &cages.facts().notes;
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("cgroup2: not usable")),
        "{notes:?}"
    );
    cages.close();
    assert!(!root.path().join("unified/jobyard-recorded").exists());
}

#[test]
fn what_may_only_be_read_is_told_of() {
    let root = tempfile::tempdir().expect("a directory");
    let memory = root.path().join("memory");
    fs::create_dir(&memory).expect("made");
    fs::write(memory.join("cgroup.procs"), "").expect("written");
    // Where a group cannot be made, there is no use in the hierarchy.
    fs::write(memory.join("jobyard-recorded"), "in the way").expect("written");
    let cages = probe(root.path());
    assert!(cages.facts().tree_limits.is_empty());
}
