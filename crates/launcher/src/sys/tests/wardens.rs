//! Trees under a warden.

use std::process::Command;

use rustix::process::{Pid, Signal, getpid, kill_process};

use jobyard_core::Exit;

use super::Job;
use crate::sys::warden::each_child;
use crate::sys::{Report, WardenKind};

const BOTH: [Option<WardenKind>; 2] = [Some(WardenKind::Subreaper), Some(WardenKind::PidNamespace)];

/// Two forks and a session of its own: what daemons do. It stays until its standard input, a fifo, is written to.
const DAEMON: &str = "mkfifo fifo; (setsid sh -c 'echo up; read line < fifo' & ) ; echo main";

#[test]
fn a_daemon_falls_to_the_warden() {
    for warden in BOTH {
        let dir = tempfile::tempdir().expect("a directory");
        let mut job = Job::script(DAEMON).warden(warden);
        job.dir = dir.path().to_path_buf();
        let mut started = job.start().expect("forked");
        started.until_said("main");
        started.until_said("up");
        started.until_reported(|report| matches!(report, Report::Exited { .. }));
        assert!(!started.reports.contains(&Report::Empty));
        std::fs::write(dir.path().join("fifo"), "go\n").expect("it reads");
        started.end();
        let order: Vec<&str> = started.reports.iter().map(name).collect();
        assert_eq!(order, ["running", "exited", "empty"]);
    }
}

fn name(report: &Report) -> &'static str {
    match report {
        Report::Running { .. } => "running",
        Report::Failed(_) => "failed",
        Report::Exited { .. } => "exited",
        Report::Empty => "empty",
    }
}

#[test]
fn nothing_of_the_job_ends_a_warden() {
    for warden in BOTH {
        // Its own group, and with the subreaper also its parent by a signal that can be held back.
        let script = "trap '' TERM HUP INT; kill -TERM 0; kill -TERM $PPID; kill -HUP $PPID; \
                      kill -INT $PPID; echo on; exit 4";
        let ran = Job::script(script).warden(warden).run();
        assert_eq!(ran.exit, Some(Exit::Exited(4)), "{ran:?}");
        assert_eq!(ran.reports.last(), Some(&Report::Empty));
    }
}

#[test]
fn a_warden_that_is_killed_says_nothing_and_its_job_counts_as_killed() {
    for warden in BOTH {
        let mut started = Job::script("echo up; exec sleep 1000")
            .warden(warden)
            .start()
            .expect("forked");
        started.until_said("up");
        started.main();
        kill_process(started.child.pid(), Signal::KILL).expect("it is there");
        started.end();
        let [
            Report::Running { .. },
            Report::Exited { exit, .. },
            Report::Empty,
        ] = started.reports.as_slice()
        else {
            panic!("{:?}", started.reports);
        };
        assert_eq!(*exit, Exit::Signaled(9));
    }
}

#[test]
fn a_warden_holds_nothing_open() {
    for warden in BOTH {
        let mut started = Job::script("echo up; exec sleep 1000")
            .warden(warden)
            .start()
            .expect("forked");
        started.until_said("up");
        let main = started.main();
        let warden = started.child.pid();
        let fds = std::fs::read_dir(format!("/proc/{}/fd", number(warden)))
            .expect("there")
            .count();
        assert!(fds <= 3, "{fds}");
        kill_process(main, Signal::KILL).expect("it is there");
        started.end();
    }
}

#[test]
fn children_are_found_without_a_list_of_them() {
    let mut child = Command::new("sleep").arg("1000").spawn().expect("started");
    let mut found = Vec::new();
    assert!(each_child(getpid(), |pid| found.push(number(pid))));
    child.kill().expect("it runs");
    child.wait().expect("a child");
    assert!(found.contains(&child.id()), "{found:?}");
    assert!(!found.contains(&number(getpid())));
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}
