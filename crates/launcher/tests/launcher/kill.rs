//! Killing trees, with everything that a launcher can hold them by.

use jobyard_core::{Exit, LimitKind};
use jobyard_launcher::protocol::{Mechanism, Request, Signal};

use crate::client::{Launcher, assert_nobody, unique};

const MECHANISMS: [Mechanism; 4] = [
    Mechanism::Cgroup2,
    Mechanism::PidNamespace,
    Mechanism::Freezer,
    Mechanism::Subreaper,
];

/// A launcher with each mechanism that this machine has.
fn with_each(test: impl Fn(&Launcher)) {
    let mut had = Vec::new();
    for mechanism in MECHANISMS {
        let launcher = Launcher::start_with(&["--mechanism", mechanism.as_str()]);
        let facts = launcher.connect().welcome().cages;
        // The next weaker one is tried in its turn.
        if facts.mechanism == mechanism {
            println!("with {}", mechanism.as_str());
            test(&launcher);
            had.push(mechanism);
        }
    }
    assert_eq!(had.last(), Some(&Mechanism::Subreaper), "works everywhere");
}

#[test]
fn xj4_daemons_die_with_their_job_when_it_is_killed() {
    with_each(|launcher| {
        let mut client = launcher.connect();
        let name = unique();
        let one = format!("sh -c 'echo on; exec sleep {name}'");
        let script = format!(
            "setsid {one} & (setsid {one} &); ({one} & {one} & wait) & \
             trap '' TERM INT HUP; echo on; sleep {name}"
        );
        let launch = launcher.sh(&script);
        let attempt = launch.attempt;
        client.start(&launch);
        client.written(attempt, 15);
        client.say(&Request::Kill { attempt });
        let end = client.ended(attempt);
        assert_nobody(&name);
        assert_eq!(end.exit, Exit::Signaled(9));
        let residue = end.residue;
        assert!(!residue.unconfirmed && !residue.output_held_open);
        // Four that sleep, the shell between two of them; the last is perhaps not there yet.
        assert!((5..=6).contains(&residue.killed), "{residue:?}");
        assert_eq!(residue.processes.len(), residue.killed as usize);
    });
}

#[test]
fn xj4_daemons_die_when_their_job_ends() {
    with_each(|launcher| {
        let mut client = launcher.connect();
        let name = unique();
        let script = format!("(setsid sleep {name} >/dev/null 2>&1 &); exit 5");
        let mut launch = launcher.sh(&script);
        launch.drain_ms = 3_600_000;
        let end = client.run(&launch);
        assert_nobody(&name);
        assert_eq!(end.exit, Exit::Exited(5));
        assert_eq!(end.residue.killed, 1);
        assert!(!end.residue.output_held_open && !end.residue.unconfirmed);
    });
}

#[test]
fn xj6_what_is_stopped_or_deaf_dies_as_well() {
    with_each(|launcher| {
        let mut client = launcher.connect();
        let name = unique();
        let script = format!("trap '' TERM; sleep {name} & kill -STOP $!; echo on; kill -STOP $$");
        let launch = launcher.sh(&script);
        let attempt = launch.attempt;
        client.start(&launch);
        client.written(attempt, 3);
        let signal = Signal::Terminate;
        client.say(&Request::Signal { attempt, signal });
        client.say(&Request::Kill { attempt });
        let end = client.ended(attempt);
        assert_nobody(&name);
        assert_eq!(end.residue.killed, 1);
    });
}

#[test]
fn xj5_a_tree_that_grows_dies_whole() {
    with_each(|launcher| {
        let mut client = launcher.connect();
        let name = unique();
        let script = format!(
            "grow() {{ while :; do setsid sleep {name} & echo on; sleep 0.01; done; }}; \
             grow & grow & grow"
        );
        let mut launch = launcher.sh(&script);
        launch.limits.processes = Some(200);
        let attempt = launch.attempt;
        client.start(&launch);
        client.written(attempt, 60);
        client.say(&Request::Kill { attempt });
        let end = client.ended(attempt);
        assert_nobody(&name);
        assert!(end.residue.killed >= 20, "{:?}", end.residue);
        assert!(!end.residue.unconfirmed);
    });
}

#[test]
fn a_kill_right_after_the_start_leaves_nothing() {
    with_each(|launcher| {
        let mut client = launcher.connect();
        let name = unique();
        for _ in 0..20 {
            let launch = launcher.sh(&format!("sleep {name} & sleep {name}"));
            let attempt = launch.attempt;
            client.say(&Request::Start(Box::new(launch)));
            client.say(&Request::Kill { attempt });
            if client.start_result(attempt).is_ok() {
                assert_eq!(client.ended(attempt).exit, Exit::Signaled(9));
            }
        }
        assert_nobody(&name);
    });
}

#[test]
fn xj9_without_memory_the_whole_job_dies_and_nobody_else() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let facts = client.welcome().cages;
    if !facts.tree_limits.contains(&LimitKind::Memory) {
        println!("no memory controller here: {:?}", facts.notes);
        return;
    }
    let name = unique();
    let other = launcher.sh("read never < fifo; echo never");
    launcher.fifo("work/fifo");
    client.start(&other);
    // `tail` keeps what has no end of line.
    let script = format!("sleep {name} & head -c 1000000000 /dev/zero | tail");
    let mut launch = launcher.sh(&script);
    launch.limits.memory = Some(32 << 20);
    let end = client.run(&launch);
    assert_eq!(
        end.residue.limit_hit,
        Some(LimitKind::Memory),
        "{end:?} {facts:?}"
    );
    // Where the kernel kills one process only, the main one may see that before the rest is killed.
    assert!(!end.exit.is_success());
    assert_nobody(&name);
    let attempt = other.attempt;
    client.say(&Request::Kill { attempt });
    assert_eq!(client.ended(attempt).residue.limit_hit, None);
}

#[test]
fn orphans_that_end_by_themselves_do_not_pile_up() {
    let launcher = Launcher::start_with(&["--mechanism", "cgroup2"]);
    let mut client = launcher.connect();
    launcher.fifo("work/fifo");
    let script = "i=0; while [ $i -lt 300 ]; do (true &); i=$((i+1)); done; echo on; read x < fifo";
    let launch = launcher.sh(script);
    let attempt = launch.attempt;
    client.start(&launch);
    client.written(attempt, 3);
    // Each further job is a round of the loop.
    client.run(&launcher.sh("true"));
    let zombies = launcher.zombies();
    assert!(zombies < 10, "{zombies}");
    client.say(&Request::Kill { attempt });
    assert_eq!(client.ended(attempt).residue.killed, 0);
}
