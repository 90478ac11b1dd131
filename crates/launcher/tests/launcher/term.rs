//! Attempts that have a time by which they are over.

use std::fs::File;
use std::io::Read;
use std::thread;
use std::time::Duration;

use jobyard_core::{AttemptId, Exit, Steady};
use jobyard_launcher::protocol::{End, KnownState, Launch, Reply, Request, Stage};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

use crate::client::{Client, Launcher, assert_nobody, unique};

/// Soon, and not before a start is answered.
const SOON: Duration = Duration::from_millis(700);
/// Longer than any test.
const LATER: Duration = Duration::from_hours(1);

fn now() -> Steady {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).expect("after the boot");
    let micros = u64::try_from(time.tv_nsec).expect("after the boot") / 1000;
    Steady::from_micros(seconds * 1_000_000 + micros)
}

/// A job that has to be over by a time, with a process that has left its group.
struct Bound {
    launcher: Launcher,
    client: Client,
    /// What its processes are called.
    name: String,
    launch: Launch,
    until: Steady,
}

impl Bound {
    /// One that nobody has started.
    fn to(until: Steady) -> Self {
        let launcher = Launcher::start();
        let client = launcher.connect();
        let name = unique();
        let script = format!("trap '' TERM; setsid sleep {name} & echo on; sleep {name}");
        let mut launch = launcher.sh(&script);
        launch.until = Some(until);
        Self {
            launcher,
            client,
            name,
            launch,
            until,
        }
    }

    /// One that runs, and has to be over soon.
    fn started() -> Self {
        let mut bound = Self::to(now() + SOON);
        bound.client.start(&bound.launch);
        bound
    }

    /// Gives it time that no test takes.
    fn extend(&mut self) {
        self.client.say(&Request::Extend {
            attempt: self.launch.attempt,
            until: now() + LATER,
        });
    }

    fn end(&mut self) -> End {
        self.client.ended(self.launch.attempt)
    }
}

/// The end of an attempt that a new connection hears of.
fn end_after_all(client: &mut Client, attempt: AttemptId) -> End {
    let known = client.welcome().attempts;
    let ended = known.into_iter().find_map(|known| match known.state {
        KnownState::Ended { end, .. } if known.attempt == attempt => Some(end),
        _ => None,
    });
    ended.unwrap_or_else(|| client.ended(attempt))
}

/// Returns once it is later than this: another launcher has ended something for that reason.
fn wait_until(until: Steady) {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let mut launch = launcher.sh("sleep 600");
    launch.until = Some(until.max(now() + SOON));
    client.say(&Request::Start(Box::new(launch.clone())));
    assert!(client.ended(launch.attempt).expired);
    assert!(now() >= until);
}

#[test]
fn whole_tree_is_dead_when_its_time_is_over_though_no_agent_is_there_i5() {
    for mechanism in ["cgroup2", "pid-namespace", "freezer", "subreaper"] {
        let launcher = Launcher::start_with(&["--mechanism", mechanism]);
        let mut client = launcher.connect();
        let alive = launcher.fifo("work/alive");
        let name = unique();
        let script = format!("exec 9>alive; (setsid sleep {name} &); echo on; sleep {name}");
        let mut launch = launcher.sh(&script);
        let until = now() + SOON;
        launch.until = Some(until);
        let attempt = launch.attempt;
        // At its end when nobody is left who could write.
        let dead = thread::spawn(move || File::open(alive)?.read_to_end(&mut Vec::new()));
        client.start(&launch);
        client.written(attempt, 3);
        drop(client);
        dead.join().expect("no panic").expect("readable");
        assert!(now() >= until, "not before");
        let end = end_after_all(&mut launcher.connect(), attempt);
        assert!(end.expired, "{end:?}");
        assert!(!end.residue.unconfirmed, "{end:?}");
        assert!(end.residue.killed >= 1, "{end:?}");
        assert_nobody(&name);
    }
}

#[test]
fn agent_that_says_nothing_hears_of_the_end_and_of_no_exit_i5() {
    let mut bound = Bound::started();
    let end = bound.client.find(|reply| match reply {
        Reply::Exited { .. } => panic!("an exit of its own"),
        Reply::Ended { end, .. } => Some(end.clone()),
        _ => None,
    });
    assert!(end.expired);
    assert_nobody(&bound.name);
}

#[test]
fn time_that_is_moved_on_in_time_ends_nothing() {
    let mut bound = Bound::started();
    let attempt = bound.launch.attempt;
    bound.extend();
    wait_until(bound.until);
    bound.client.say(&Request::Kill { attempt });
    let end = bound.end();
    assert_eq!((end.exit, end.expired), (Exit::Signaled(9), false));
}

#[test]
fn launcher_that_was_stopped_acts_when_it_goes_on_and_believes_no_late_word_i5() {
    let mut bound = Bound::started();
    let pid = i32::try_from(bound.launcher.pid()).ok();
    let pid = pid.and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::STOP).expect("ours");
    bound.extend();
    wait_until(bound.until);
    kill_process(pid, Signal::CONT).expect("ours");
    assert!(bound.end().expired);
    assert_nobody(&bound.name);
}

#[test]
fn nothing_is_started_whose_time_is_over() {
    let mut bound = Bound::to(now());
    let failure = bound.client.start_in_vain(&bound.launch);
    assert_eq!(failure.stage, Stage::Expired);
    assert_nobody(&bound.name);
}

#[test]
fn nothing_is_started_later_than_it_may_begin_i14() {
    let mut bound = Bound::to(now() + LATER);
    bound.launch.start_by = Some(now());
    let failure = bound.client.start_in_vain(&bound.launch);
    assert_eq!(failure.stage, Stage::Expired);
    assert_nobody(&bound.name);
}

#[test]
fn job_that_ends_in_time_ends_as_it_did() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let mut launch = launcher.sh("exit 3");
    launch.until = Some(now() + LATER);
    let end = client.run(&launch);
    assert_eq!((end.exit, end.expired), (Exit::Exited(3), false));
}

#[test]
fn extension_of_what_has_no_such_time_gives_it_none() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let name = unique();
    let launch = launcher.sh(&format!("echo on; sleep {name}"));
    let attempt = launch.attempt;
    client.start(&launch);
    client.say(&Request::Extend {
        attempt,
        until: now(),
    });
    // Each further job is a round of the loop.
    client.run(&launcher.sh("true"));
    client.say(&Request::Kill { attempt });
    assert!(!client.ended(attempt).expired);
}
