//! The program itself: what it refuses, in one sentence, and how it ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn master(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobyard-master"));
    command
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(data);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Starts it and waits until it serves.
fn serving(data: &Path) -> Child {
    let mut child = master(data).spawn().expect("it starts");
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("profile is here") {
        line.clear();
        assert!(log.read_line(&mut line).expect("text") > 0, "it ended");
    }
    child.stderr = Some(log.into_inner());
    child
}

fn complaint(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("it runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_second_master_on_the_same_data_is_refused() {
    let data = tempfile::tempdir().expect("a directory");
    let mut first = serving(data.path());
    let (code, said) = complaint(&mut master(data.path()));
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--data"), "it says what to do: {said}");
}

#[test]
fn told_to_end_it_ends_well_and_starts_again_as_the_same_cluster() {
    let data = tempfile::tempdir().expect("a directory");
    let root = || std::fs::read(data.path().join("pki/root.pem")).expect("a root");
    let mut first = serving(data.path());
    let before = root();
    let told = Command::new("kill")
        .arg(first.id().to_string())
        .status()
        .expect("kill runs");
    assert!(told.success());
    assert_eq!(first.wait().expect("it ends").code(), Some(0));

    let mut second = serving(data.path());
    assert_eq!(root(), before);
    second.kill().expect("it can be killed");
    second.wait().expect("it ends");
}

#[test]
fn a_damaged_authority_is_named() {
    let data = tempfile::tempdir().expect("a directory");
    let mut first = serving(data.path());
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");
    std::fs::remove_file(data.path().join("pki/clients.pem")).expect("it was there");
    let (code, said) = complaint(&mut master(data.path()));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("clients.pem"), "{said}");
}

#[test]
fn records_without_their_authority_are_no_reason_to_make_a_new_one() {
    let data = tempfile::tempdir().expect("a directory");
    let mut first = serving(data.path());
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");
    std::fs::remove_dir_all(data.path().join("pki")).expect("it was there");
    let (code, said) = complaint(&mut master(data.path()));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("restore it from a backup"), "{said}");
    assert!(!data.path().join("pki").exists());
}

#[test]
fn an_address_in_use_is_named() {
    let data = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobyard-master"));
    command
        .args(["--listen", &address, "--data"])
        .arg(data.path());
    let (code, said) = complaint(&mut command);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&address) && said.contains("--listen"),
        "{said}"
    );
}

/// Another command of the program.
fn command(arguments: &[&str], data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobyard-master"));
    command.args(arguments).arg("--data").arg(data);
    command
}

#[test]
fn a_backup_of_a_master_that_runs_is_restored_as_the_same_cluster() {
    let home = tempfile::tempdir().expect("a directory");
    let (data, copy) = (home.path().join("data"), home.path().join("copy"));
    let file = home.path().join("monday.jyb");
    let file = file.to_str().expect("UTF-8");
    let mut first = serving(&data);
    let (code, said) = complaint(&mut command(&["backup", file], &data));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("files"), "it says how far it is: {said}");
    let (code, said) = complaint(&mut command(&["backup", file], &data));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("name another file"), "{said}");
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");

    for bump in ["--bump", "--bump=7"] {
        let _ = std::fs::remove_dir_all(&copy);
        let (code, said) = complaint(&mut command(&["restore", file, bump], &copy));
        assert_eq!(code, Some(0), "{said}");
    }
    let root = |of: &Path| std::fs::read(of.join("pki/root.pem")).expect("a root");
    assert_eq!(root(&copy), root(&data));
    let mut second = serving(&copy);
    second.kill().expect("it can be killed");
    second.wait().expect("it ends");

    let (code, said) = complaint(&mut command(&["restore", file], &copy));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is not empty"), "{said}");
}

#[test]
fn commands_say_what_is_wrong_with_them() {
    let data = tempfile::tempdir().expect("a directory");
    let (code, said) = complaint(&mut command(&["backup", "x"], data.path()));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no master has worked in"), "{said}");
    let (code, said) = complaint(&mut command(&["backup"], data.path()));
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = complaint(&mut command(&["restore", "/no/such/file"], data.path()));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/no/such/file"), "{said}");
    let wrong = ["--retain-count", "none"];
    let (code, said) = complaint(master(data.path()).args(wrong));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("or write off"), "{said}");
}
