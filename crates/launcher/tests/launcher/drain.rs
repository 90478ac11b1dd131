//! What may go on after the main process has ended.

use std::fs;

use jobyard_core::Exit;
use jobyard_launcher::protocol::{Reply, Request};

use crate::client::{Launcher, assert_nobody, unique};

/// Long enough that a test which needs it fails by its own guard.
const LONG_MS: u64 = 3_600_000;

#[test]
fn output_that_comes_after_the_exit_is_not_lost() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let fifo = launcher.fifo("fifo");
    let script = format!(
        "(read go < {}; echo late) & echo early; exit 3",
        fifo.display()
    );
    let mut launch = launcher.sh(&script);
    launch.drain_ms = LONG_MS;
    let attempt = launch.attempt;
    client.start(&launch);
    assert_eq!(client.exited(attempt), Exit::Exited(3), "told at once");
    fs::write(fifo, "go\n").expect("somebody reads");
    let end = client.ended(attempt);
    assert_eq!(launcher.output(attempt).all, b"early\nlate\n");
    assert!(!end.residue.output_held_open);
    assert_eq!(end.residue.killed, 0, "it ended by itself");
}

#[test]
fn xj16_who_holds_the_output_open_is_cut_off_and_that_is_marked() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let name = unique();
    let mut launch = launcher.sh(&format!("echo on; setsid sleep {name} & exit 0"));
    launch.drain_ms = 50;
    let end = client.run(&launch);
    assert_nobody(&name);
    assert!(end.residue.output_held_open && !end.residue.unconfirmed);
    assert_eq!(end.residue.killed, 1);
    assert_eq!(end.residue.processes[0].name, "sleep");
    assert_eq!(launcher.output(launch.attempt).all, b"on\n");
}

#[test]
fn who_goes_on_without_output_is_killed() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let name = unique();
    let mut launch = launcher.sh(&format!("sleep {name} >/dev/null 2>&1 & exit 0"));
    launch.drain_ms = LONG_MS;
    let end = client.run(&launch);
    assert_nobody(&name);
    assert!(!end.residue.output_held_open);
    assert_eq!(end.residue.killed, 1);
}

#[test]
fn a_kill_ends_the_patience() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let name = unique();
    let mut launch = launcher.sh(&format!("sleep {name} & exit 0"));
    launch.drain_ms = LONG_MS;
    let attempt = launch.attempt;
    client.start(&launch);
    client.exited(attempt);
    client.say(&Request::Kill { attempt });
    let end = client.ended(attempt);
    assert_eq!(end.exit, Exit::Exited(0), "it had ended before");
    assert_eq!(end.residue.killed, 1);
    assert!(end.residue.output_held_open);
    assert_nobody(&name);
}

#[test]
fn one_that_never_stops_writing_holds_nobody_up() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let mut flood = launcher.sh("yes & exit 0");
    flood.drain_ms = 200;
    flood.output_limit = 1000;
    client.say(&Request::Start(Box::new(flood.clone())));
    let quiet = launcher.sh("echo quiet");
    client.say(&Request::Start(Box::new(quiet.clone())));
    let mut ended = Vec::new();
    while ended.len() < 2 {
        if let Reply::Ended { attempt, end } = client.next() {
            ended.push((attempt, end));
        }
    }
    let (_, end) = ended
        .iter()
        .find(|(attempt, _)| *attempt == flood.attempt)
        .expect("both");
    assert!(end.residue.output_held_open);
    assert_eq!(end.output.end, 1000);
    assert!(end.output.dropped > 0);
    assert_eq!(launcher.output(quiet.attempt).all, b"quiet\n");
}
