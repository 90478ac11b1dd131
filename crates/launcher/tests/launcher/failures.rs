//! Starts that fail, and what they leave: nothing.

use std::fs;
use std::process::Command;

use jobyard_core::Exit;
use jobyard_launcher::protocol::{Launch, Request, Stage, WorkDir};

use crate::client::{Launcher, command};

/// What a launch fails with: the stage, and the number of the error.
fn failure(change: impl FnOnce(&Launcher, &mut Launch)) -> (Stage, i32) {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    client.run(&launcher.sh("echo warm"));
    let before = launcher.descriptors();

    let mut launch = launcher.sh("echo this must not run");
    change(&launcher, &mut launch);
    let failure = client.start_in_vain(&launch);
    assert!(!failure.problem.is_empty());
    assert!(!launch.output.exists(), "no output");
    assert_eq!(launcher.descriptors(), before, "no descriptor is left");
    let known = launcher.connect().welcome().attempts;
    assert_eq!(known.len(), 1, "it is not known");

    // The same attempt can be started later.
    let mut again = launcher.sh("exit 7");
    again.attempt = launch.attempt;
    assert_eq!(launcher.connect().run(&again).exit, Exit::Exited(7));
    (failure.stage, failure.errno)
}

const NOT_FOUND: i32 = 2;
const NOT_ALLOWED: i32 = 13;
const NOT_EXECUTABLE: i32 = 8;
const CROSSES: i32 = 18;
const TOO_MANY: i32 = 24;

#[test]
fn a_program_that_is_not_there() {
    let found = failure(|launcher, launch| launch.program = launcher.path("none"));
    assert_eq!(found, (Stage::Program, NOT_FOUND));
}

#[test]
fn a_program_that_is_none() {
    let found = failure(|launcher, launch| {
        let path = launcher.path("text");
        fs::write(&path, "just text").expect("a file");
        launch.program = path;
    });
    assert_eq!(found, (Stage::Program, NOT_ALLOWED));
    let found = failure(|launcher, launch| {
        let path = launcher.path("text");
        fs::write(&path, "\0just bytes").expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).expect("our file");
        launch.program = path;
    });
    assert_eq!(found, (Stage::Program, NOT_EXECUTABLE));
}

#[test]
fn a_program_without_a_whole_path() {
    let (stage, _) = failure(|_, launch| launch.program = "sh".into());
    assert_eq!(stage, Stage::Program);
}

#[test]
fn a_directory_that_is_not_there() {
    let found = failure(|launcher, launch| launch.dir = WorkDir::at(launcher.path("none")));
    assert_eq!(found, (Stage::Directory, NOT_FOUND));
}

#[test]
fn xj13_a_directory_that_leads_out() {
    for path in ["..", "link"] {
        let found = failure(|launcher, launch| {
            let link = launcher.path("work/link");
            std::os::unix::fs::symlink("/tmp", link).expect("a link");
            launch.dir = WorkDir::beneath(launcher.path("work"), path.into());
        });
        assert_eq!(found, (Stage::Directory, CROSSES), "{path}");
    }
}

#[test]
fn a_standard_input_that_is_not_there() {
    let found = failure(|launcher, launch| launch.stdin = Some(launcher.path("none")));
    assert_eq!(found, (Stage::Stdin, NOT_FOUND));
}

#[test]
fn an_argument_that_no_program_can_get() {
    let (stage, _) = failure(|_, launch| launch.argv.push("a\0b".to_owned()));
    assert_eq!(stage, Stage::Program);
}

#[test]
fn xl8_without_descriptors_a_start_fails_and_the_others_keep_their_output() {
    let launcher = Launcher::start_by(|home| {
        let mut limited = Command::new("/bin/sh");
        let launcher = command(home, &[]);
        limited.args(["-c", "ulimit -n 128; exec \"$@\"", "sh"]);
        limited
            .arg(launcher.get_program())
            .args(launcher.get_args());
        limited
    });
    let mut client = launcher.connect();
    let mut started = Vec::new();
    let failure = loop {
        let fifo = launcher.fifo(&format!("fifo{}", started.len()));
        let script = format!(
            "echo {0}; read go < {1}; echo {0}",
            started.len(),
            fifo.display()
        );
        let launch = launcher.sh(&script);
        client.say(&Request::Start(Box::new(launch.clone())));
        match client.start_result(launch.attempt) {
            Ok(_) => started.push((launch.attempt, fifo)),
            Err(failure) => break failure,
        }
        assert!(started.len() < 100, "the limit holds nobody back");
    };
    assert_eq!((failure.stage, failure.errno), (Stage::Resources, TOO_MANY));
    assert!(started.len() > 3);
    for (number, (attempt, fifo)) in started.into_iter().enumerate() {
        fs::write(fifo, "go\n").expect("somebody reads");
        assert_eq!(client.ended(attempt).exit, Exit::Exited(0));
        let output = launcher.output(attempt).all;
        assert_eq!(output, format!("{number}\n{number}\n").into_bytes());
    }
    assert_eq!(client.run(&launcher.sh("exit 3")).exit, Exit::Exited(3));
}
