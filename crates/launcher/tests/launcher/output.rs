//! What jobs write and read.

use std::fs;

use jobyard_core::Exit;
use jobyard_launcher::protocol::WorkDir;

use crate::client::{Launcher, Output};

#[test]
fn output_arrives_byte_by_byte_and_by_streams() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let launch = launcher.sh(r"printf 'a\0\377\r\n'; printf '\200b' >&2; printf c");
    let end = client.run(&launch);
    let output = launcher.output(launch.attempt);
    assert_eq!(output.stdout, b"a\0\xff\r\nc");
    assert_eq!(output.stderr, b"\x80b");
    assert_eq!((end.output.end, end.output.dropped), (8, 0));
}

#[test]
fn ten_mebibytes_of_anything_arrive_as_they_were() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(10 * 1024 * 1024 + 7)
    .collect();
    fs::write(launcher.path("file"), &bytes).expect("a file");
    let mut launch = launcher.program("/bin/cat", &["cat"]);
    launch.stdin = Some(launcher.path("file"));
    let end = client.run(&launch);
    assert_eq!(end.exit, Exit::Exited(0));
    let output = launcher.output(launch.attempt);
    assert_eq!(output.all.len(), bytes.len());
    assert!(output.all == bytes, "every byte, in order");
    assert_eq!(end.output.end, bytes.len() as u64);
    assert!(end.output.segment > 0, "more than one segment");
}

#[test]
fn merged_streams_keep_their_order() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let mut launch = launcher.sh("for i in 1 2 3; do echo o$i; echo e$i >&2; done");
    launch.merge = true;
    client.run(&launch);
    let output = launcher.output(launch.attempt);
    assert_eq!(output.stdout, b"o1\ne1\no2\ne2\no3\ne3\n");
    assert_eq!(output.stderr, b"");
}

#[test]
fn what_exceeds_the_limit_is_counted_and_the_job_goes_on() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let mut launch = launcher.sh("printf 12345; printf 67890");
    launch.output_limit = 4;
    let end = client.run(&launch);
    assert_eq!(end.exit, Exit::Exited(0));
    assert_eq!((end.output.end, end.output.dropped), (4, 6));
    assert_eq!(launcher.output(launch.attempt).all, b"1234");
}

#[test]
fn a_job_that_writes_nothing_has_no_output() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    let launch = launcher.sh("exec >&- 2>&-; read line; echo $line > file");
    let end = client.run(&launch);
    assert_eq!(launcher.output(launch.attempt), Output::default());
    assert!(!launch.output.exists());
    assert_eq!(end.output.end, 0);
    let read = fs::read(launcher.path("work/file")).expect("a file");
    assert_eq!(read, b"\n", "nothing to read");
}

#[test]
fn a_job_has_its_arguments_environment_and_directory() {
    let launcher = Launcher::start();
    let mut client = launcher.connect();
    fs::create_dir_all(launcher.path("work/a/b")).expect("a directory");
    let mut launch = launcher.program(
        "/bin/sh",
        &["sh", "-c", "echo \"$1\"; pwd; env", "sh", "x y"],
    );
    launch.env.clear();
    launch.env.insert("ONE".to_owned(), "1 2".to_owned());
    launch.dir = WorkDir::beneath(launcher.path("work"), "a/b".into());
    client.run(&launch);
    let output = String::from_utf8(launcher.output(launch.attempt).all).expect("text");
    let dir = launcher
        .path("work/a/b")
        .canonicalize()
        .expect("it is there");
    let mut lines = output.lines();
    assert_eq!(lines.next(), Some("x y"));
    assert_eq!(lines.next(), dir.to_str());
    let mut env: Vec<_> = lines.filter(|line| !line.starts_with('_')).collect();
    env.sort_unstable();
    let pwd = format!("PWD={}", dir.display());
    assert_eq!(env, ["ONE=1 2", &pwd], "the shell adds PWD");
}
