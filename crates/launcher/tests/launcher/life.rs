//! The life of a job, from its start to its being forgotten.

use std::fs;

use jobyard_core::Exit;
use jobyard_launcher::protocol::{KnownState, Reply, Request, Signal, Stage};

use crate::client::Launcher;

#[test]
fn a_job_is_started_exits_ends_and_is_forgotten() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let welcome = client.welcome();
    assert!(welcome.accepting && welcome.attempts.is_empty());
    assert_eq!(welcome.pid, launcher.pid());

    let launch = launcher.program("/bin/true", &["true"]);
    let attempt = launch.attempt;
    client.say(&Request::Start(Box::new(launch)));
    let Reply::Started { pid, .. } = client.next() else {
        panic!("not started")
    };
    // How it exited is said before its end only if that does not follow at once.
    let (end, exited) = match client.next() {
        Reply::Ended { end, .. } => (end, None),
        Reply::Exited { exit, at, .. } => (client.ended(attempt), Some((exit, at))),
        other => panic!("no end: {other:?}"),
    };
    assert_eq!(end.exit, Exit::Exited(0));
    assert!(exited.is_none_or(|exited| exited == (end.exit, end.at)));
    assert_eq!(end.residue.killed, 0);
    assert!(!end.residue.output_held_open && !end.residue.unconfirmed);
    assert!(end.residue.usage.is_some());

    let known = launcher.connect().welcome().attempts;
    let [known] = known.as_slice() else {
        panic!("{known:?}")
    };
    assert_eq!(known.attempt, attempt);
    let state = KnownState::Ended {
        pid,
        end: end.clone(),
    };
    assert_eq!(known.state, state);

    let mut client = launcher.connect();
    client.say(&Request::Forget { attempt });
    assert_eq!(launcher.connect().welcome().attempts, []);
}

#[test]
fn exit_codes_and_signals_are_told_as_they_were() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    assert_eq!(client.run(&launcher.sh("exit 3")).exit, Exit::Exited(3));
    assert_eq!(client.run(&launcher.sh("exit 255")).exit, Exit::Exited(255));
    assert_eq!(
        client.run(&launcher.sh("kill -SEGV $$")).exit,
        Exit::Signaled(11)
    );
}

#[test]
fn signals_reach_the_main_process_and_its_group() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    // A shell that is about to fork keeps an interrupt for later, and one in the background does not hear it.
    let tree = "sh -c 'echo on; exec sleep 1000' & wait";
    let single = "echo on; exec sleep 1000";
    for (script, signal, number) in [
        (tree, Signal::Terminate, 15),
        (single, Signal::Interrupt, 2),
    ] {
        let launch = launcher.sh(script);
        let attempt = launch.attempt;
        client.start(&launch);
        client.written(attempt, 3);
        client.say(&Request::Signal { attempt, signal });
        let end = client.ended(attempt);
        assert_eq!(end.exit, Exit::Signaled(number));
        assert_eq!(end.residue.killed, 0);
    }
}

#[test]
fn a_signal_wakes_a_job_that_has_stopped_itself() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let launch = launcher.sh("trap 'echo bye; exit 4' TERM; echo on; kill -STOP $$; sleep 1000");
    let attempt = launch.attempt;
    client.start(&launch);
    client.written(attempt, 3);
    let signal = Signal::Terminate;
    client.say(&Request::Signal { attempt, signal });
    assert_eq!(client.ended(attempt).exit, Exit::Exited(4));
    assert_eq!(launcher.output(attempt).all, b"on\nbye\n");
}

#[test]
fn an_attempt_that_is_known_is_not_started_again() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let launch = launcher.sh("sleep 1000");
    client.start(&launch);
    assert_eq!(client.start_in_vain(&launch).stage, Stage::Refused);
    let attempt = launch.attempt;
    client.say(&Request::Kill { attempt });
    client.ended(attempt);
    assert_eq!(client.start_in_vain(&launch).stage, Stage::Refused);
}

#[test]
fn launcher_waits_for_its_turn_and_its_jobs_as_everybody() {
    let own = scheduling(&fs::read_to_string("/proc/self/stat").expect("ours"));
    for mechanism in ["cgroup2", "pid-namespace", "freezer", "subreaper"] {
        let launcher = Launcher::start_with(&["--mechanism", mechanism]);
        let launch = launcher.sh("cat /proc/$$/stat");
        launcher.connect().run(&launch);
        let output = launcher.output(launch.attempt).stdout;
        let job = scheduling(&String::from_utf8_lossy(&output));
        assert_eq!(job, own, "{mechanism}");
        if own == OTHER {
            let stat = format!("/proc/{}/stat", launcher.pid());
            let stat = fs::read_to_string(stat).expect("it lives");
            assert_eq!(scheduling(&stat), BATCH, "{mechanism}");
        }
    }
}

/// How a process has its turns, from its `stat`, where names come first and may have spaces.
fn scheduling(stat: &str) -> u32 {
    let (_, rest) = stat.rsplit_once(") ").expect("a name");
    let field = rest.split(' ').nth(38).expect("the forty-first");
    field.parse().expect("a number")
}

/// `SCHED_OTHER`
const OTHER: u32 = 0;
/// `SCHED_BATCH`
const BATCH: u32 = 3;
