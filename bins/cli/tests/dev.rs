//! A master, a worker and a job in one program.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A working directory, and the program in it.
struct Yard {
    dir: tempfile::TempDir,
}

impl Yard {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobyard"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env_remove("JOBYARD_PROFILE")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().expect("the program runs");
        Ran(output)
    }

    /// A master that stays up, on any free port; returns when it is ready.
    fn stay(&self) -> Staying {
        self.stay_with(&["--slots", "3", "--tag", "colour=red"])
    }

    fn stay_with(&self, options: &[&str]) -> Staying {
        let mut child = self
            .command(&[&["dev", "--listen", "127.0.0.1:0"], options].concat())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("a master listens on") {
            line.clear();
            let read = said.read_line(&mut line).expect("readable");
            assert_ne!(read, 0, "it ended before it was ready");
        }
        // The rest is read by nobody, and is little.
        Staying { child, _said: said }
    }
}

struct Staying {
    child: Child,
    _said: BufReader<std::process::ChildStderr>,
}

impl Staying {
    fn interrupt(mut self) -> Option<i32> {
        send("INT", self.child.id());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Ran(Output);

impl Ran {
    fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout).expect("JSON")
    }
}

fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .status()
        .expect("kill runs");
    assert!(sent.success());
}

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo")
        .arg(path)
        .status()
        .expect("mkfifo runs");
    assert!(made.success());
}

#[test]
fn dev_runs_a_command_and_exits_like_it() {
    let yard = Yard::new();
    let hello = yard.run(&["dev", "--", "sh", "-c", "echo hello from $JOBYARD_JOB_ID"]);
    assert_eq!(hello.code(), Some(0), "{}", hello.err());
    let line = hello.out();
    let id = line.strip_prefix("hello from ").expect(&line).trim_end();
    assert_eq!(id.len(), 36, "{line}");

    // The state of the first run serves the second one.
    let seven = yard.run(&["dev", "--", "sh", "-c", "echo to stderr >&2; exit 7"]);
    assert_eq!(seven.code(), Some(7), "{}", seven.err());
    assert!(seven.err().contains("to stderr\n"));
    assert_eq!(seven.out(), "");

    let signal = yard.run(&["dev", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(signal.code(), Some(137), "{}", signal.err());
}

#[test]
fn dev_says_what_cannot_be_started() {
    let yard = Yard::new();
    let nowhere = yard.run(&["dev", "--", "jobyard-no-such-command"]);
    assert_eq!(nowhere.code(), Some(127), "{}", nowhere.err());
    assert!(
        nowhere.err().contains("jobyard-no-such-command"),
        "{}",
        nowhere.err()
    );
    assert!(nowhere.err().contains("not found"), "{}", nowhere.err());
    let directory = yard.run(&["dev", "--", "/"]);
    assert_eq!(directory.code(), Some(126), "{}", directory.err());
}

#[test]
fn jobs_of_dev_find_path_and_home_and_no_more() {
    let yard = Yard::new();
    let script = "echo $HOME; echo ${CARGO_BIN_EXE_jobyard-unset}; echo $CI; command -v sh";
    let ran = yard.run(&["dev", "--", "sh", "-c", script]);
    let out = ran.out();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], yard.dir.path().to_str().expect("UTF-8"));
    assert_eq!(&lines[1..3], ["unset", "true"]);
    assert!(lines[3].ends_with("/sh"), "{out}");
}

#[test]
fn commands_reach_a_dev_that_stays_and_a_second_one_attaches() {
    let yard = Yard::new();
    let staying = yard.stay();
    let workers = yard.run(&["workers", "--json"]).json();
    assert_eq!(workers[0]["name"], "local", "{workers}");
    assert_eq!(workers[0]["slots"]["total"], 3, "{workers}");
    assert!(
        workers[0]["tags"].to_string().contains("colour=red"),
        "{workers}"
    );

    let attached = yard.run(&["dev", "--", "sh", "-c", "echo $JOBYARD_WORKER_NAME"]);
    assert_eq!(
        (attached.code(), attached.out().as_str()),
        (Some(0), "local\n")
    );
    let second = yard.run(&["dev"]);
    assert_eq!(second.code(), Some(0));
    assert!(
        second.err().contains("runs on .jobyard already"),
        "{}",
        second.err()
    );

    let run = yard.run(&["run", "--json", "--tag", "colour=red", "--", "echo", "hi"]);
    assert_eq!(run.code(), Some(0), "{}", run.err());
    let out = run.out();
    let kinds: Vec<String> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect(line)["kind"].to_string())
        .collect();
    assert_eq!(
        kinds,
        ["\"submitted\"", "\"output\"", "\"attempt_end\"", "\"end\""]
    );
    let missing = yard.run(&["show", "0190a0b0-0000-7000-8000-000000000001"]);
    assert_eq!(missing.code(), Some(125));
    assert!(
        missing.err().contains("there is no job"),
        "{}",
        missing.err()
    );
    assert_eq!(staying.interrupt(), Some(0));
    let away = yard.run(&["status"]);
    assert_eq!(away.code(), Some(125), "{}", away.err());
    assert!(away.err().contains("check that it runs"), "{}", away.err());
}

#[test]
fn jobs_get_what_they_ask_for_of_what_dev_offers() {
    let yard = Yard::new();
    let offer =
        "--slots 2 --cpu 2 --memory 1GiB --resource gpu=1 --exclusive-tag pool=ml --tag lanes=4";
    let staying = yard.stay_with(&offer.split(' ').collect::<Vec<_>>());
    let worker = yard.run(&["worker", "show", "local", "--json"]).json();
    assert_eq!(worker["resources"]["cpu"]["total"], 2, "{worker}");
    assert_eq!(worker["resources"]["memory"]["total"], 1 << 30, "{worker}");
    assert_eq!(worker["resources"]["gpu"]["total"], 1, "{worker}");
    assert_eq!(worker["exclusive_tags"][0], "pool=ml", "{worker}");
    let workers = yard.run(&["workers"]).out();
    assert!(
        workers.contains("+pool=ml") && workers.contains("gpu=0/1"),
        "{workers}"
    );

    let asks = "run --tag pool=ml --tag lanes>=4 --tag !arm --tag os!=beos --prefer lanes=4=10 --cpu 1.5 \
        --memory 512MiB --resource gpu=1 --priority -3 --group demo=1 --queue-timeout 10m -- echo yes";
    let ran = yard.run(&asks.split_whitespace().collect::<Vec<_>>());
    assert_eq!(
        (ran.code(), ran.out().as_str()),
        (Some(0), "yes\n"),
        "{}",
        ran.err()
    );
    let jobs = yard.run(&["jobs", "--json"]).json();
    assert_eq!(jobs[0]["priority"], -3, "{jobs}");
    assert_eq!(jobs[0]["group"]["limit"], 1, "{jobs}");
    assert_eq!(jobs[0]["resources"]["gpu"], 1, "{jobs}");
    assert_eq!(jobs[0]["cpu"], 1.5, "{jobs}");
    assert_eq!(staying.interrupt(), Some(0));
}

#[test]
fn a_job_that_cannot_run_is_told_why_and_what_would_help() {
    let yard = Yard::new();
    let staying = yard.stay_with(&["--exclusive-tag", "pool=ml", "--resource", "gpu=1"]);
    let told = |options: &[&str]| {
        let submitted = yard.run(&[&["submit"], options, &["--", "true"]].concat());
        assert_eq!(submitted.code(), Some(0), "{}", submitted.err());
        let id = submitted.out().trim().to_owned();
        let why = yard.run(&["explain", &id, "--json"]).json();
        assert_eq!(why["verdict"], "never", "{why}");
        (why, yard.run(&["explain", &id]).out())
    };
    let (why, text) = told(&[]);
    assert!(why["reasons"].to_string().contains("excluded"), "{why}");
    assert!(
        text.contains("what would help:") && text.contains("--tag pool=ml"),
        "{text}"
    );
    let (why, text) = told(&["--tag", "pool=ml", "--resource", "gpu=2"]);
    assert!(why["reasons"].to_string().contains("too_much"), "{why}");
    assert!(
        text.contains("nearest workers:") && text.contains("`local` has "),
        "{text}"
    );
    assert_eq!(staying.interrupt(), Some(0));
}

#[test]
fn queues_are_set_and_listed() {
    let yard = Yard::new();
    let staying = yard.stay();
    let set = yard.run(&[
        "queue",
        "set",
        "nightly",
        "--max-running",
        "0",
        "--weight",
        "3",
        "--class",
        "-1",
    ]);
    assert_eq!(set.code(), Some(0), "{}", set.err());
    assert!(set.out().contains("nightly"), "{}", set.out());
    let job = yard
        .run(&["submit", "--queue", "nightly", "--", "true"])
        .out();
    let job = job.trim();
    let why = yard.run(&["explain", job, "--json"]).json();
    assert!(why["reasons"].to_string().contains("queue_full"), "{why}");
    let queues = yard.run(&["queues", "--json"]).json();
    let all = queues.as_array().expect("a list");
    let nightly = all
        .iter()
        .find(|queue| queue["name"] == "nightly")
        .expect("it is there");
    assert_eq!(
        (&nightly["max_running"], &nightly["queued"]),
        (&0.into(), &1.into()),
        "{nightly}"
    );
    assert_eq!(
        (&nightly["weight"], &nightly["class"]),
        (&3.into(), &(-1).into()),
        "{nightly}"
    );

    // The raised cap starts the job that waits.
    let free = yard
        .run(&["queue", "set", "nightly", "--max-running", "none", "--json"])
        .json();
    assert_eq!(free["max_running"], Value::Null, "{free}");
    assert_eq!(yard.run(&["wait", job]).code(), Some(0));
    let nothing = yard.run(&["queue", "set", "nightly"]);
    assert_eq!(nothing.code(), Some(2));
    assert!(
        nothing.err().contains("nothing to change"),
        "{}",
        nothing.err()
    );
    assert_eq!(staying.interrupt(), Some(0));
}

#[test]
fn files_of_jobs_are_submitted_whole() {
    let yard = Yard::new();
    let staying = yard.stay();
    let file = "[[jobs]]\nname = \"a\"\nscript = \"exit 0\"\n\n[[jobs]]\nname = \"b\"\nscript = \"exit 3\"\n";
    std::fs::write(yard.path("jobs.toml"), file).expect("written");
    let submitted = yard.run(&["submit", "-f", "jobs.toml"]);
    assert_eq!(submitted.code(), Some(0), "{}", submitted.err());
    let out = submitted.out();
    let ids: Vec<_> = out.lines().collect();
    assert_eq!(ids.len(), 2);
    let wait = yard.run(&["wait", ids[0], ids[1]]);
    assert_eq!(wait.code(), Some(3), "{}", wait.err());
    let shown = yard.run(&["show", ids[1], "--json"]).json();
    assert_eq!(shown["name"], "b");
    assert_eq!(shown["outcome"]["exit_code"], 3, "{shown}");

    std::fs::write(yard.path("bad.toml"), "script = \"x\"\nretires = 3\n").expect("written");
    let refused = yard.run(&["submit", "-f", "bad.toml"]);
    assert_eq!(refused.code(), Some(2));
    assert_eq!(
        refused.err(),
        "jobyard: bad.toml, line 2, column 1: the key `retires` is not known: remove it or mend its spelling\n"
    );
    assert_eq!(
        yard.run(&["jobs", "--json"])
            .json()
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(staying.interrupt(), Some(0));
}

#[test]
fn ctrl_c_stops_the_job_and_shows_its_end() {
    let yard = Yard::new();
    let staying = yard.stay();
    let (begun, gate) = (yard.path("begun"), yard.path("gate"));
    make_fifo(&begun);
    make_fifo(&gate);
    let script = format!(
        "trap 'echo told to end; exit 1' TERM; echo x > {}; read line < {}",
        begun.display(),
        gate.display()
    );
    let running = yard
        .command(&["run", "--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    // Opening the pipe waits for the job to write into it.
    std::fs::read(&begun).expect("the job has begun");
    send("INT", running.id());
    let output = running.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "told to end\n");
    let jobs = yard.run(&["jobs", "--json"]).json();
    assert_eq!(jobs[0]["outcome"]["kind"], "cancelled", "{jobs}");
    assert_eq!(staying.interrupt(), Some(0));
}
