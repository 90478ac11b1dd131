//! What is known of a launcher that was killed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use jobyard_core::Exit;
use jobyard_launcher::is_alive;
use jobyard_launcher::journal::{self, RememberedState};
use jobyard_launcher::protocol::{JOURNAL, Request};

use crate::client::{Launcher, assert_nobody, command, unique};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_journal_of_a_launcher_that_was_killed_tells_everything() {
    for mechanism in ["cgroup2", "pid-namespace", "freezer", "subreaper"] {
        let mut launcher = Launcher::start_with(&["--mechanism", mechanism]);
        let mut client = launcher.connect();
        let name = unique();
        let ended = launcher.sh("echo done; exit 3");
        client.run(&ended);
        let forgotten = launcher.sh("true");
        client.run(&forgotten);
        client.say(&Request::Forget {
            attempt: forgotten.attempt,
        });
        let mut failed = launcher.sh("true");
        failed.program = "/none".into();
        client.start_in_vain(&failed);
        let mut drains = launcher.sh(&format!("sleep {name} & exit 4"));
        drains.drain_ms = 3_600_000;
        client.start(&drains);
        client.exited(drains.attempt);
        let running = launcher.sh(&format!("(setsid sleep {name} &); echo on; sleep {name}"));
        let pid = client.start(&running);
        client.written(running.attempt, 3);
        assert!(is_alive(&launcher.home()).expect("a lock"));

        launcher.kill();
        assert!(!is_alive(&launcher.home()).expect("a lock"));
        let mut journal = OpenOptions::new();
        let journal = journal.append(true).open(launcher.home().join(JOURNAL));
        journal
            .expect("a journal")
            .write_all(b"01234567 {\"kind\":\"star")
            .expect("it can be written");
        let remembered = journal::read(&launcher.home()).expect("a journal");
        assert_eq!(remembered.len(), 3, "{remembered:?}");
        for one in remembered {
            let main = match &one.state {
                RememberedState::Ended { end, .. } => {
                    assert_eq!(one.attempt, ended.attempt);
                    assert_eq!((end.exit, end.output.end), (Exit::Exited(3), 5));
                    assert_eq!(one.output, ended.output);
                    continue;
                }
                RememberedState::Exited {
                    pid,
                    start_time,
                    exit,
                    ..
                } => {
                    assert_eq!((one.attempt, *exit), (drains.attempt, Exit::Exited(4)));
                    (*pid, *start_time)
                }
                RememberedState::Running {
                    pid: main,
                    start_time,
                } => {
                    assert_eq!((one.attempt, *main), (running.attempt, pid));
                    (*main, *start_time)
                }
                other => panic!("{other:?}"),
            };
            let left = one.cage.end_left_over(one.attempt, Some(main), PATIENCE);
            assert!(left.empty, "{mechanism}: {left:?}");
        }
        assert_nobody(&name);
    }
}

#[test]
fn a_directory_has_one_launcher() {
    let launcher = Launcher::start();
    let second = command(&launcher.home(), &[])
        .output()
        .expect("it was built");
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).expect("text");
    assert!(said.contains(&launcher.pid().to_string()), "{said}");
    let mut client = launcher.connect();
    assert_eq!(client.run(&launcher.sh("exit 3")).exit, Exit::Exited(3));
}

#[test]
fn what_a_dead_launcher_left_is_not_written_over() {
    let mut launcher = Launcher::start();
    let mut client = launcher.connect();
    client.run(&launcher.sh("exit 3"));
    launcher.kill();
    let before = fs::read(launcher.home().join(JOURNAL)).expect("a journal");
    let second = command(&launcher.home(), &[])
        .output()
        .expect("it was built");
    assert_eq!(second.status.code(), Some(1));
    let after = fs::read(launcher.home().join(JOURNAL)).expect("a journal");
    assert!(before == after);
}

#[test]
fn a_command_line_that_is_not_understood_is_refused() {
    for args in [&["--mechanism", "rope"][..], &["--name", "../x"], &["-x"]] {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().join("launcher");
        let output = command(&home, args).output().expect("it was built");
        assert_eq!(output.status.code(), Some(2));
        assert!(!home.exists());
    }
}
