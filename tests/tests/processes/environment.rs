//! What reaches a job, and what reaches nobody but the job.

use std::process::Command;

use jobyard_tests::{Cluster, Program, program};

use crate::site::{Site, WORKER};

/// Variables by which programs are made to run what they were not asked for.
const HOSTILE: [(&str, &str); 8] = [
    ("LD_PRELOAD", "/nonexistent/from-the-job.so"),
    ("LD_AUDIT", "/nonexistent/from-the-job.so"),
    ("LD_LIBRARY_PATH", "/nonexistent/from-the-job"),
    ("BASH_ENV", "/nonexistent/from-the-job"),
    ("ENV", "/nonexistent/from-the-job"),
    ("NODE_OPTIONS", "--require=/nonexistent/from-the-job"),
    ("GIT_SSH_COMMAND", "/nonexistent/from-the-job"),
    ("PATH", "/nonexistent/from-the-job:/usr/bin:/bin"),
];

#[test]
fn xj2_environment_of_a_job_reaches_the_job_alone() {
    let site = Site::new(&["--slots", "2"]);
    let settings: Vec<String> = HOSTILE
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let options: Vec<&str> = settings
        .iter()
        .flat_map(|setting| ["--env", setting])
        .collect();
    let script = format!("env; {}; {}", site.note("ready"), site.hold());
    let job = site.cluster.submit(&options, &script);
    assert_eq!(site.notes.next(), "ready");

    let launcher = site.launcher();
    let worker = jobyard_tests::Process::find(site.worker.pid()).expect("it lives");
    for ours in [&launcher, &worker] {
        let environment = ours.environment();
        assert!(!environment.contains("from-the-job"), "{environment}");
        let maps = std::fs::read_to_string(ours.file("maps")).expect("root may read it");
        assert!(!maps.contains("from-the-job"), "{maps}");
    }
    let beside = site.prints(&[], "env");
    assert!(!beside.contains("from-the-job"), "{beside}");

    site.gate.let_through(1);
    let ended = site.end(&job);
    for setting in settings {
        assert!(
            ended.output.lines().any(|line| line == setting),
            "{setting}: {}",
            ended.output
        );
    }
}

#[test]
fn xj12_job_inherits_three_descriptors_and_no_more() {
    let site = Site::of_nobody(&["--slots", "2"]);
    let _beside = site.cluster.submit(&[], &site.hold());
    let script = "n=0; while [ $n -lt 1024 ]; do \
                  if [ -e /proc/$$/fd/$n ]; then echo $n; fi; n=$((n+1)); done";
    assert_eq!(site.prints(&[], script), "0\n1\n2");
    site.gate.let_through(1);
}

#[test]
fn xj18_next_job_finds_nothing_of_the_last_one() {
    let site = Site::of_nobody(&["--slots", "1"]);
    let leave = "echo left > file; mkdir -p a/b .hidden; echo left > a/b/c; chmod 000 a/b; ln -s /etc link\n\
                 echo left > \"$TMPDIR/file\"; mkdir \"$TMPDIR/dir\"\n\
                 mkfifo pipe; pwd; echo \"$TMPDIR\"";
    let first = site.prints(&[], leave);
    for dir in first.lines() {
        assert!(dir.starts_with('/'), "{first}");
        assert!(!std::path::Path::new(dir).join("file").exists(), "{dir}");
    }
    // Also where a directory is used again.
    for _ in 0..3 {
        let found = site.prints(
            &[],
            "ls -A; ls -A \"$TMPDIR\"; echo $(stat -c %a:%u . \"$TMPDIR\")",
        );
        assert_eq!(found, "700:65534 700:65534", "nothing in either");
    }
    assert!(std::path::Path::new("/etc/passwd").exists());
}

#[test]
fn xj18_jobs_at_the_same_time_have_directories_of_their_own() {
    let site = Site::of_nobody(&["--slots", "2"]);
    let script = format!("pwd; echo $TMPDIR; {}; {}", site.note("ready"), site.hold());
    let jobs = [0, 1].map(|_| site.cluster.submit(&[], &script));
    assert_eq!(site.notes.take(2), ["ready", "ready"]);
    site.gate.let_through(2);
    let [one, two] = jobs.map(|job| site.end(&job).output);
    assert!(
        one.lines()
            .all(|dir| !two.lines().any(|other| other == dir)),
        "{one} {two}"
    );
}

#[test]
fn xj24_shell_that_started_the_worker_does_not_reach_the_job() {
    let cluster = Cluster::start();
    let token = cluster.token("join.token", &[]);
    let odd = "umask 077; ulimit -S -n 333; ulimit -S -c unlimited; ulimit -S -s 4096; ulimit -S -t 100000; \
               trap '' USR1 PIPE; exec nice -n 5 \"$0\" \"$@\" 5</dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", odd]).arg(program("jobyard-worker"));
    let plain = cluster.worker_command(WORKER, Some(&token), &[]);
    command.args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    for (name, value) in [
        ("TZ", "Pacific/Chatham"),
        ("LANG", "tr_TR.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("SECRET_OF_THE_SHELL", "hunter2"),
    ] {
        command.env(name, value);
    }
    let mut worker = Program::start(&mut command);
    worker.wait_for("is connected");
    let site = Site::of(cluster, worker);

    // The shell looks at itself by what is built into it: while it starts a
    // program it blocks signals and holds pipes of its own.
    let printed = site.prints(
        &[],
        "env; echo \"umask $(umask) files $(ulimit -S -n) core $(ulimit -c) stack $(ulimit -S -s) time $(ulimit -S -t)\"\n\
         while read -r line; do case $line in SigBlk:*|SigIgn:*) echo \"$line\";; esac; done < /proc/$$/status\n\
         n=0; while [ $n -lt 1024 ]; do [ -e /proc/$$/fd/$n ] && echo $n; n=$((n+1)); done; true",
    );
    for word in ["TZ=", "LC_ALL=", "tr_TR", "hunter2", "JOBYARD_MIN_FREE"] {
        assert!(!printed.contains(word), "{word} in {printed}");
    }
    let limits = "umask 0022 files 1024 core 0 stack 8192 time unlimited";
    assert!(printed.contains(limits), "{printed}");
    assert!(printed.contains("SigBlk:\t0000000000000000"), "{printed}");
    assert!(printed.contains("SigIgn:\t0000000000000000"), "{printed}");
    assert!(printed.ends_with("\n0\n1\n2"), "{printed}");
}
