use std::time::Duration;

use jobyard_core::Limits;
use rustix::event::PollFlags;

use super::machine::{TREE, Yard, launch, limits};
use crate::cage::CageName;
use crate::cage::processes::{Deadline, Process};
use crate::protocol::Mechanism;

const PATIENCE: Duration = Duration::from_secs(20);

/// The name of a cage as a journal keeps it.
fn written_down(name: &CageName) -> CageName {
    let text = serde_json::to_string(name).expect("JSON");
    serde_json::from_str(&text).expect("the same name")
}

/// What a dead launcher left is killed by the name of its cage alone, and its groups are removed.
fn ends_what_a_dead_launcher_left(mechanism: Mechanism, limits: Limits) {
    let mut yard = Yard::new(mechanism);
    let launch = launch(TREE, limits);
    let mut run = yard.run(&launch);
    assert!(run.wait_output());
    let members = run.cage.members();
    let name = written_down(&run.cage.name());
    yard.die();
    let left = name.end_left_over(launch.attempt, None, PATIENCE);
    assert!(left.empty);
    assert!(left.killed.len() >= 4, "{:?}", left.killed);
    for process in members {
        let now = Process::of(process.pid);
        assert!(now.is_none_or(|it| it.dead), "{process:?} lives");
    }
    run.wait_exit();
    for path in name.leaf.iter().chain(&name.groups) {
        assert!(!path.exists(), "{}", path.display());
    }
    let again = name.end_left_over(launch.attempt, None, PATIENCE);
    assert!(again.empty && again.killed.is_empty());
}

#[test]
fn left_over_of_cgroup2_is_ended() {
    ends_what_a_dead_launcher_left(Mechanism::Cgroup2, limits(|it| it.memory = Some(1 << 30)));
}

#[test]
fn left_over_of_a_pid_namespace_is_ended() {
    ends_what_a_dead_launcher_left(Mechanism::PidNamespace, Limits::NONE);
}

#[test]
fn left_over_of_the_freezer_is_ended() {
    ends_what_a_dead_launcher_left(Mechanism::Freezer, limits(|it| it.processes = Some(100)));
}

#[test]
fn left_over_of_a_subreaper_is_ended() {
    ends_what_a_dead_launcher_left(Mechanism::Subreaper, Limits::NONE);
}

#[test]
fn what_carries_the_marks_is_found_when_the_warden_is_gone() {
    let mut yard = Yard::new(Mechanism::Subreaper);
    let launch = launch(TREE, Limits::NONE);
    let run = yard.run(&launch);
    assert!(run.wait_output());
    let members = run.cage.members();
    let mut name = written_down(&run.cage.name());
    let warden = name
        .warden
        .take()
        .and_then(Process::started_at)
        .expect("a warden");
    warden.kill();
    assert!(warden.wait_gone(Deadline::after(PATIENCE)));
    yard.die();
    let left = name.end_left_over(launch.attempt, None, PATIENCE);
    assert!(left.empty);
    for process in members {
        let now = Process::of(process.pid);
        assert!(now.is_none_or(|it| it.dead), "{process:?} lives");
    }
}

#[test]
fn attempts_of_others_are_left_alone() {
    let mut yard = Yard::new(Mechanism::Subreaper);
    let other = launch("echo ready; exec sleep 600", Limits::NONE);
    let run = yard.run(&other);
    assert!(run.wait_output());
    let name = yard
        .cages()
        .take(launch("", Limits::NONE).attempt, &other)
        .expect("a cage")
        .name();
    let gone = launch("", Limits::NONE).attempt;
    let left = name.end_left_over(gone, None, PATIENCE);
    assert!(left.empty && left.killed.is_empty());
    assert_eq!(run.cage.members().len(), 1);
    assert!(run.end(yard.cages()).empty);
}

#[test]
fn nothing_is_left_of_another_boot() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let launch = launch("echo ready; exec sleep 600", Limits::NONE);
    let run = yard.run(&launch);
    assert!(run.wait_output());
    let mut name = run.cage.name();
    name.boot = Some("another".to_owned());
    let left = name.end_left_over(launch.attempt, None, PATIENCE);
    assert!(left.empty && left.killed.is_empty());
    assert_eq!(run.cage.members().len(), 1);
    assert!(run.end(yard.cages()).empty);
}

#[test]
fn what_does_not_end_in_time_is_told_of() {
    let pipe = rustix::pipe::pipe().expect("a pipe");
    let deadline = Deadline::after(Duration::ZERO);
    assert!(!deadline.wait(&pipe.0, PollFlags::IN));
    assert!(deadline.is_over());
}
