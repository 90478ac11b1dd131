use jobyard_core::{Containment, Exit, LimitKind, Limits};

use super::machine::{TREE, Yard, launch};
use crate::cage::self_check;
use crate::protocol::Mechanism;

/// A tree with orphans and daemons is seen, killed, and proven gone.
fn kills_a_whole_tree(mechanism: Mechanism) {
    let mut yard = Yard::new(mechanism);
    let run = yard.run(&launch(TREE, Limits::NONE));
    assert!(run.wait_output(), "the daemon did not come to life");
    let members = run.cage.members();
    let sleeping = members.iter().filter(|it| it.name == "sleep").count();
    // The daemon has said that it is there, and may not be called `sleep` yet.
    assert!(members.len() >= 4 && sleeping >= 2, "{members:?}");
    let end = run.end(yard.cages());
    assert!(end.empty);
    assert_eq!(end.exit, Some(Exit::Signaled(9)));
    for process in members {
        let now = crate::cage::processes::Process::of(process.pid);
        assert!(now.is_none_or(|it| it.dead), "{process:?} lives");
    }
}

#[test]
fn cgroup2_kills_a_tree_that_has_left_its_session() {
    kills_a_whole_tree(Mechanism::Cgroup2);
}

#[test]
fn pid_namespace_kills_a_tree_that_has_left_its_session() {
    kills_a_whole_tree(Mechanism::PidNamespace);
}

#[test]
fn freezer_kills_a_tree_that_has_left_its_session() {
    kills_a_whole_tree(Mechanism::Freezer);
}

#[test]
fn subreaper_kills_a_tree_that_has_left_its_session() {
    kills_a_whole_tree(Mechanism::Subreaper);
}

#[test]
fn a_cage_is_not_empty_while_an_orphan_lives() {
    for mechanism in [Mechanism::Cgroup2, Mechanism::Freezer] {
        let mut yard = Yard::new(mechanism);
        let mut run = yard.run(&launch("(sleep 600 &); echo ready", Limits::NONE));
        assert!(run.wait_output());
        run.wait_exit();
        assert_eq!(run.cage.is_empty().expect("known"), Some(false));
        assert!(run.end(yard.cages()).empty);
    }
}

#[test]
fn a_leaf_is_used_again_and_counts_anew() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let mut first = yard.run(&launch(busy, Limits::NONE));
    let leaf = first.cage.name().leaf.expect("a leaf");
    first.wait_exit();
    let first = first.end(yard.cages());
    assert!(first.empty);
    let mut second = yard.run(&launch("exit 3", Limits::NONE));
    assert_eq!(second.cage.name().leaf, Some(leaf));
    second.wait_exit();
    let second = second.end(yard.cages());
    assert_eq!(second.exit, Some(Exit::Exited(3)));
    let cpu = |usage: Option<jobyard_core::Usage>| usage.expect("measured").cpu_micros();
    let (first, second) = (cpu(first.usage), cpu(second.usage));
    assert!(first > 2 * second, "{first} us, then {second} us");
}

#[test]
fn groups_that_a_job_made_are_gone_before_a_leaf_is_used_again() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let mut run = yard.run(&launch("exit 0", Limits::NONE));
    let leaf = run.cage.name().leaf.expect("a leaf");
    run.wait_exit();
    std::fs::create_dir_all(leaf.join("a/b")).expect("made");
    std::fs::write(leaf.join("cgroup.freeze"), "1").expect("frozen");
    assert!(run.end(yard.cages()).empty);
    let mut run = yard.run(&launch("exit 4", Limits::NONE));
    assert_eq!(run.cage.name().leaf.as_ref(), Some(&leaf));
    assert!(!leaf.join("a").exists());
    run.wait_exit();
    assert_eq!(run.end(yard.cages()).exit, Some(Exit::Exited(4)));
}

#[test]
fn a_leaf_that_has_killed_is_not_used_again() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let run = yard.run(&launch("exec sleep 600", Limits::NONE));
    let leaf = run.cage.name().leaf.expect("a leaf");
    assert!(run.end(yard.cages()).empty);
    assert!(!leaf.exists());
    let mut run = yard.run(&launch("exit 4", Limits::NONE));
    run.wait_exit();
    assert_eq!(run.end(yard.cages()).exit, Some(Exit::Exited(4)));
}

#[test]
fn a_leaf_that_became_a_group_of_threads_is_not_used_again() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let mut run = yard.run(&launch("exit 0", Limits::NONE));
    let leaf = run.cage.name().leaf.expect("a leaf");
    run.wait_exit();
    std::fs::write(leaf.join("cgroup.type"), "threaded").expect("a group of threads");
    assert!(run.end(yard.cages()).empty);
    let run = yard.run(&launch("exit 0", Limits::NONE));
    assert_ne!(run.cage.name().leaf, Some(leaf));
    run.end(yard.cages());
}

#[test]
fn a_group_of_threads_beneath_is_killed_and_removed_as_well() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let run = yard.run(&launch(TREE, Limits::NONE));
    assert!(run.wait_output());
    let leaf = run.cage.name().leaf.expect("a leaf");
    let beneath = leaf.join("threads");
    std::fs::create_dir(&beneath).expect("made");
    std::fs::write(beneath.join("cgroup.type"), "threaded").expect("a group of threads");
    let forked = run.forked().as_raw_nonzero().to_string();
    std::fs::write(beneath.join("cgroup.threads"), forked).expect("moved");
    assert!(run.cage.members().len() >= 4);
    assert!(run.end(yard.cages()).empty);
    assert!(!leaf.exists());
}

#[test]
fn this_machine_gives_what_its_facts_say() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let facts = yard.cages().facts().clone();
    assert_eq!(facts.own_user, Containment::BestEffort);
    assert_eq!(facts.other_user, Some(Containment::Hard));
    for kind in [LimitKind::Memory, LimitKind::Cpu, LimitKind::Processes] {
        assert!(facts.tree_limits.contains(&kind), "{:#?}", facts.notes);
    }
    assert!(facts.namespaces);
    let checks = self_check(yard.cages());
    assert!(checks.iter().all(|check| check.ok), "{checks:#?}");
    assert_eq!(checks.len(), 1 + facts.tree_limits.len());
}

#[test]
fn weaker_mechanisms_check_themselves_as_well() {
    for mechanism in [
        Mechanism::PidNamespace,
        Mechanism::Freezer,
        Mechanism::Subreaper,
    ] {
        let mut yard = Yard::new(mechanism);
        let checks = self_check(yard.cages());
        assert!(checks.iter().all(|check| check.ok), "{checks:#?}");
    }
}
