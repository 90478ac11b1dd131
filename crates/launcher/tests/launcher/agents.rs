//! Agents that come, go, and say odd things.

use std::fs;
use std::path::{Path, PathBuf};

use jobyard_core::Exit;
use jobyard_launcher::journal::{self, RememberedState};
use jobyard_launcher::protocol::{JOURNAL, KnownState, Launch, Reply, Request, SOCKET, Stage};

use crate::client::{Client, Launcher};

/// A job that ends once somebody opens its gate.
fn held(launcher: &Launcher) -> (Launch, PathBuf) {
    let gate = launcher.fifo("fifo");
    let launch = launcher.sh(&format!("read go < {}; exit 3", gate.display()));
    (launch, gate)
}

/// Returns once the job has come to its gate.
fn open(gate: &Path) {
    fs::write(gate, "go\n").expect("somebody reads");
}

#[test]
fn everything_goes_on_without_an_agent_and_the_next_one_is_told() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let fifo = launcher.fifo("fifo");
    let running = launcher.sh("echo on; read never < never");
    launcher.fifo("work/never");
    let ending = launcher.sh(&format!("read go < {}; echo done; exit 3", fifo.display()));
    let ended = launcher.sh("exit 4");
    let pid = client.start(&running);
    client.written(running.attempt, 3);
    client.start(&ending);
    client.run(&ended);
    drop(client);
    open(&fifo);

    let mut client = launcher.connect();
    let known = client.welcome().attempts;
    assert_eq!(known.len(), 3);
    let state = |wanted| {
        let known = known.iter().find(|known| known.attempt == wanted);
        known.expect("it is known").clone()
    };
    let first = state(running.attempt);
    assert!(matches!(first.state, KnownState::Running { pid: it, .. } if it == pid));
    assert_eq!(first.output.end, 3);
    let KnownState::Ended { end, .. } = state(ended.attempt).state else {
        panic!("it had ended")
    };
    assert_eq!(end.exit, Exit::Exited(4));
    // It ends about now: before the welcome, or after it.
    let end = match state(ending.attempt).state {
        KnownState::Ended { end, .. } => end,
        _ => client.ended(ending.attempt),
    };
    assert_eq!(end.exit, Exit::Exited(3));
    assert_eq!(launcher.output(ending.attempt).all, b"done\n");
    client.say(&Request::Kill {
        attempt: running.attempt,
    });
    assert_eq!(client.ended(running.attempt).exit, Exit::Signaled(9));
}

#[test]
fn an_agent_that_does_not_read_holds_nobody_up() {
    let launcher = Launcher::start();
    let mut deaf = launcher.connect();
    let fifo = launcher.fifo("fifo");
    for _ in 0..50 {
        let launch = launcher.sh("for i in 1 2 3 4 5 6 7 8 9; do echo $i; done");
        deaf.say(&Request::Start(Box::new(launch)));
    }
    let last = launcher.sh(&format!("echo done > {}", fifo.display()));
    deaf.say(&Request::Start(Box::new(last)));
    assert_eq!(fs::read(fifo).expect("somebody writes"), b"done\n");
}

#[test]
fn a_new_agent_replaces_the_one_before() {
    let launcher = Launcher::start();
    let mut first = launcher.connect();
    first.welcome();
    let mut second = launcher.connect();
    second.welcome();
    assert_eq!(first.try_next(), None, "its connection is closed");
    assert_eq!(second.run(&launcher.sh("exit 3")).exit, Exit::Exited(3));
}

#[test]
fn who_says_what_is_no_message_is_not_heard_any_more() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let launch = launcher.sh("sleep 1000");
    client.start(&launch);
    let odd: [fn(&mut Client); 5] = [
        |client| client.write(&[0xff; 8]),
        |client| client.write(b"\0\0\0\x04nope"),
        |client| client.write(b"\0\0\0\x12{\"kind\":\"explode\"}"),
        |client| client.say(&Request::Hello { version: 1 }),
        |client| client.write(b"\0\0\0\x10{\"kind\":\"start\"}"),
    ];
    for say in odd {
        let mut client = launcher.connect();
        client.welcome();
        say(&mut client);
        assert_eq!(client.try_next(), None);
    }
    let mut client = launcher.try_connect().expect("it listens");
    client.say(&Request::Retire);
    assert_eq!(client.try_next(), None, "no hello");

    let mut client = launcher.connect();
    let welcome = client.welcome();
    assert!(welcome.accepting);
    assert_eq!(welcome.attempts.len(), 1, "the job lives");
    assert_eq!(client.run(&launcher.sh("exit 3")).exit, Exit::Exited(3));
}

#[test]
fn an_agent_of_another_version_may_have_it_retire_and_nothing_else() {
    let launcher = Launcher::start();
    let mut client = launcher.try_connect().expect("it listens");
    client.say(&Request::Hello { version: 99 });
    assert_eq!(client.welcome().version, 1);
    client.say(&Request::Start(Box::new(launcher.sh("true"))));
    assert_eq!(client.try_next(), None);

    let mut launcher = launcher;
    let mut client = launcher.try_connect().expect("it listens");
    client.say(&Request::Hello { version: 99 });
    client.welcome();
    client.say(&Request::Retire);
    assert_eq!(launcher.wait(), 0);
}

#[test]
fn one_that_retires_keeps_its_jobs_takes_no_more_and_ends() {
    let mut launcher = Launcher::start();
    let mut client = launcher.connect();
    let (launch, gate) = held(&launcher);
    let attempt = launch.attempt;
    client.start(&launch);
    client.say(&Request::Retire);
    let refused = client.start_in_vain(&launcher.sh("true"));
    assert_eq!(refused.stage, Stage::Refused);
    let mut client = launcher.connect();
    assert!(!client.welcome().accepting);
    open(&gate);
    assert_eq!(client.ended(attempt).exit, Exit::Exited(3));
    client.say(&Request::Forget { attempt });
    assert_eq!(launcher.wait(), 0);
    for name in [SOCKET, JOURNAL] {
        assert!(!launcher.home().join(name).exists(), "{name} is gone");
    }
}

#[test]
fn one_that_nobody_needs_ends_and_leaves_what_was_not_asked_for() {
    let mut launcher = Launcher::start_with(&["--idle-ms", "50"]);
    let mut client = launcher.connect();
    let (launch, gate) = held(&launcher);
    client.start(&launch);
    drop(client);
    open(&gate);
    assert_eq!(launcher.wait(), 0);
    let remembered = journal::read(&launcher.home()).expect("a journal");
    let [remembered] = remembered.as_slice() else {
        panic!("{remembered:?}")
    };
    assert_eq!(remembered.attempt, launch.attempt);
    let RememberedState::Ended { end, .. } = &remembered.state else {
        panic!("{remembered:?}")
    };
    assert_eq!(end.exit, Exit::Exited(3));
}

#[test]
fn one_that_is_asked_to_end_retires() {
    let mut launcher = Launcher::start();
    let mut client = launcher.connect();
    let (launch, gate) = held(&launcher);
    let attempt = launch.attempt;
    client.start(&launch);
    launcher.terminate();
    open(&gate);
    assert_eq!(client.ended(attempt).exit, Exit::Exited(3));
    client.say(&Request::Forget { attempt });
    assert_eq!(launcher.wait(), 0);
}

#[test]
fn many_jobs_one_after_another_leave_nothing_behind() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let mut round = || {
        for _ in 0..300 {
            let launch = launcher.program("/bin/true", &["true"]);
            client.say(&Request::Start(Box::new(launch)));
        }
        let mut ended = 0;
        while ended < 300 {
            if let Reply::Ended { attempt, end } = client.next() {
                assert_eq!(end.exit, Exit::Exited(0));
                client.say(&Request::Forget { attempt });
                ended += 1;
            }
        }
        (launcher.descriptors(), launcher.resident_kib())
    };
    round();
    let (descriptors, memory) = round();
    let (descriptors_later, memory_later) = round();
    assert_eq!(descriptors, descriptors_later);
    assert!(memory_later <= memory + 1024, "{memory} {memory_later} KiB");
    assert!(memory_later < 16 * 1024, "{memory_later} KiB");
    assert_eq!(launcher.connect().welcome().attempts, []);
}
