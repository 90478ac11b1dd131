//! Starts that hang: in control groups that are frozen, so that no child gets to its program.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use jobyard_core::{AttemptId, Exit};
use jobyard_launcher::protocol::{Mechanism, Reply, Request, Signal, Stage};

use crate::client::{Client, Launcher, assert_nobody, unique};

/// A launcher whose children can be frozen at their birth; `None`: not on this machine.
fn launcher() -> Option<(Launcher, Freezer)> {
    let launcher = Launcher::start();
    let facts = launcher.connect().welcome().cages;
    if facts.mechanism != Mechanism::Cgroup2 {
        println!("control groups of version 2 are of no use here");
        return None;
    }
    let base = facts
        .notes
        .iter()
        .find_map(|note| note.strip_prefix("cgroup2: cgroup.kill works in "))
        .expect("it says where");
    let group = format!("jobyard-{}", launcher.name());
    let file = PathBuf::from(base).join(group).join("plain/cgroup.freeze");
    Some((launcher, Freezer { file }))
}

/// All groups of attempts.
struct Freezer {
    file: PathBuf,
}

impl Freezer {
    fn freeze(&self) {
        fs::write(&self.file, "1").expect("a group");
    }

    fn thaw(&self) {
        fs::write(&self.file, "0").expect("a group");
    }
}

fn start(launcher: &Launcher, client: &mut Client, script: &str) -> AttemptId {
    let launch = launcher.sh(script);
    let attempt = launch.attempt;
    client.say(&Request::Start(Box::new(launch)));
    attempt
}

#[test]
fn a_start_that_hangs_can_be_killed() {
    let Some((launcher, freezer)) = launcher() else {
        return;
    };
    let mut client = launcher.connect();
    let name = unique();
    freezer.freeze();
    let attempt = start(&launcher, &mut client, &format!("exec sleep {name}"));
    client.say(&Request::Kill { attempt });
    if client.start_result(attempt).is_ok() {
        let end = client.ended(attempt);
        assert_eq!(end.exit, Exit::Signaled(9));
        assert!(!end.residue.unconfirmed);
        assert_eq!(end.residue.killed, 0, "the main process is no leftover");
    }
    freezer.thaw();
    assert_eq!(client.run(&launcher.sh("exit 3")).exit, Exit::Exited(3));
    assert_nobody(&name);
}

#[test]
fn a_signal_during_a_start_is_delivered_when_the_program_runs() {
    let Some((launcher, freezer)) = launcher() else {
        return;
    };
    let mut client = launcher.connect();
    freezer.freeze();
    let attempt = start(&launcher, &mut client, "exec sleep 1000");
    let signal = Signal::Terminate;
    client.say(&Request::Signal { attempt, signal });
    // The launcher has heard both when it answers a third, which is refused at once.
    client.start_in_vain(&launcher.program("none", &["none"]));
    freezer.thaw();
    assert_eq!(client.ended(attempt).exit, Exit::Signaled(15));
}

#[test]
fn starts_are_refused_while_all_hang_and_go_on_afterwards() {
    let Some((launcher, freezer)) = launcher() else {
        return;
    };
    let mut client = launcher.connect();
    freezer.freeze();
    // As many as there may be threads, and one more.
    let held_up: Vec<_> = (0..32)
        .map(|_| start(&launcher, &mut client, "exit 4"))
        .collect();
    let refused = start(&launcher, &mut client, "exit 4");
    let failure = client.start_result(refused).expect_err("nobody is free");
    assert_eq!(failure.stage, Stage::Resources);
    assert!(failure.problem.contains("held up"), "{failure}");
    freezer.thaw();
    let mut left: BTreeSet<_> = held_up.into_iter().collect();
    while !left.is_empty() {
        let (attempt, exit) = client.find(|reply| match reply {
            Reply::Ended { attempt, end } => Some((*attempt, end.exit)),
            _ => None,
        });
        assert_eq!(exit, Exit::Exited(4));
        left.remove(&attempt);
    }
    assert_eq!(client.run(&launcher.sh("exit 3")).exit, Exit::Exited(3));
    assert_eq!(launcher.zombies(), 0);
}
