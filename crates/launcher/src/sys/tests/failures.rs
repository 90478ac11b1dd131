//! What is said of starts that fail.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Resource, Signal, pidfd_send_signal};

use super::Job;
use super::job::{Started, wait_until};
use crate::protocol::{LaunchFailure, Namespaces, Stage};
use crate::sys::{Child, Report, WardenKind};

fn of(job: Job, warden: Option<WardenKind>) -> LaunchFailure {
    job.warden(warden).run().failure()
}

#[test]
fn a_program_that_is_not_there_or_not_to_be_executed() {
    for warden in [
        None,
        Some(WardenKind::Subreaper),
        Some(WardenKind::PidNamespace),
    ] {
        let failure = of(Job::program("/nowhere/x", &["x"]), warden);
        assert_eq!(failure.stage, Stage::Program);
        assert_eq!(failure.errno, Errno::NOENT.raw_os_error());
        assert!(failure.problem.contains("/nowhere/x"), "{failure}");
        let failure = of(Job::program("/etc/passwd", &["x"]), warden);
        assert_eq!(failure.errno, Errno::ACCESS.raw_os_error());
    }
}

#[test]
fn a_command_line_that_is_too_long() {
    let long = "x".repeat(3 << 20);
    let failure = of(Job::program("/bin/true", &["true", &long]), None);
    assert_eq!(failure.stage, Stage::Program);
    assert_eq!(failure.errno, Errno::TOOBIG.raw_os_error());
}

#[test]
fn a_nul_anywhere() {
    for job in [
        Job::program("/bin/true", &["a\0b"]),
        Job::program("/bin/\0", &["a"]),
        Job::script("true").env("A", "\0"),
    ] {
        let failure = job.start().err().expect("refused");
        assert_eq!(failure.stage, Stage::Program);
    }
}

#[test]
fn a_pid_namespace_that_the_cage_does_not_give() {
    let namespaces = Namespaces {
        pid: true,
        ..Namespaces::default()
    };
    let job = Job::script("true").namespaces(namespaces);
    let failure = job.start().err().expect("refused");
    assert_eq!(failure.stage, Stage::Isolation);
}

#[test]
fn a_limit_that_makes_no_sense() {
    let job = Job {
        rlimits: vec![(Resource::Nofile, 64, 32)],
        ..Job::script("true")
    };
    let failure = of(job, None);
    assert_eq!(failure.stage, Stage::Cage);
    assert_eq!(failure.errno, Errno::INVAL.raw_os_error());
}

/// XJ23
#[test]
fn a_program_that_is_still_being_written_is_waited_for() {
    let (_dir, program, writer) = program_being_written();
    let mut started = Job::program(&program, &["true"]).start().expect("forked");
    // While it is written it neither runs nor fails. The first thing to be read is who it is.
    let patience = Instant::now() + Duration::from_millis(100);
    while wait_until([started.child.report_fd()], patience) == [true] {
        started.child.read_report(&mut started.reports);
        assert_eq!(started.reports, []);
    }
    end(writer);
    started.end();
    assert!(matches!(started.reports[0], Report::Running { .. }));
}

#[test]
fn a_program_that_is_written_for_long_is_not_executed() {
    let (_dir, program, writer) = program_being_written();
    let failure = of(Job::program(&program, &["true"]), None);
    end(writer);
    assert_eq!(failure.stage, Stage::Program);
    assert_eq!(failure.errno, Errno::TXTBSY.raw_os_error());
}

fn program_being_written() -> (tempfile::TempDir, PathBuf, Started) {
    let dir = tempfile::tempdir().expect("a directory");
    let program = dir.path().join("true");
    fs::copy("/bin/true", &program).expect("copied");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("the owner");
    // By another process: this one's children hold no copy for longer than it takes them to close it.
    let path = program.to_str().expect("UTF-8");
    let mut writer = Job::script("exec 9>> \"$P\"; echo open; exec sleep 1000")
        .env("P", path)
        .start()
        .expect("forked");
    writer.until_said("open");
    (dir, program, writer)
}

#[test]
fn a_process_that_is_killed_before_its_program() {
    let (_dir, program, writer) = program_being_written();
    for warden in [None, Some(WardenKind::Subreaper)] {
        let mut started = Job::program(&program, &["true"])
            .warden(warden)
            .start()
            .expect("forked");
        // Whatever it had said by then, something is told, and it is reaped.
        kill(&started.child);
        started.end();
        assert!(!started.reports.is_empty());
    }
    end(writer);
}

fn end(mut writer: Started) {
    kill(&writer.child);
    writer.end();
}

fn kill(child: &Child) {
    let pidfd = child.pidfd().expect("it has one");
    pidfd_send_signal(pidfd, Signal::KILL).expect("it is there");
}
