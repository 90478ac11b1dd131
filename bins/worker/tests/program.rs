//! The program against a real master: joining, running, ending, and being refused.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use jobyard_core::{
    Caller, Contact, ExecutorSpec, JobId, JobSpec, NewJob, NewToken, Outcome, PROCESS_EXECUTOR,
    Resources, TagSet, Worker,
};
use jobyard_executor::ProcessConfig;
use jobyard_master::{Daemon, DaemonConfig};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// Nothing that a test waits for takes this long on any machine.
const GUARD: Duration = Duration::from_mins(2);

struct Cluster {
    daemon: Daemon,
    dir: TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = DaemonConfig::new(dir.path().join("master"), listen);
        Self {
            daemon: Daemon::open(config).await.unwrap(),
            dir,
        }
    }

    async fn token(&self) -> String {
        let created = self
            .daemon
            .control()
            .create_token(&Caller::host(), NewToken::default())
            .await;
        created.unwrap().token.expose().to_owned()
    }

    /// The worker's program, with its token in a file.
    fn worker(&self, data: &str, token: &str) -> Program {
        self.worker_with(data, token, &[])
    }

    /// The same with more flags.
    fn worker_with(&self, data: &str, token: &str, more: &[&str]) -> Program {
        let file = self.dir.path().join("join.token");
        std::fs::write(&file, token).unwrap();
        let master = self.daemon.address().to_string();
        let data = self.dir.path().join(data);
        let flags = [
            "--master",
            &master,
            "--data",
            data.to_str().unwrap(),
            "--join-file",
            file.to_str().unwrap(),
            "--name",
            "builder",
            "--tag",
            "special",
            "--env",
            "GREETING=hello",
        ];
        Program::start(&[&flags, more].concat())
    }

    async fn workers(&self) -> Vec<Worker> {
        self.daemon
            .control()
            .workers(&Caller::host(), false)
            .await
            .unwrap()
    }

    /// Runs a job to its end.
    async fn run(&self, id: u128, script: &str) -> Outcome {
        let (control, host) = (self.daemon.control(), Caller::host());
        let config = ProcessConfig::command(["sh", "-c", script]).to_config_string();
        let spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config))
            .validate()
            .unwrap();
        let id = JobId::from_uuid(uuid::Uuid::from_u128(id));
        control
            .submit(&host, vec![NewJob::new(id, spec)])
            .await
            .unwrap();
        let wait = tokio::time::timeout(GUARD, control.wait(&host, id));
        wait.await
            .expect("it takes too long")
            .unwrap()
            .outcome
            .unwrap()
    }
}

struct Program {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    seen: String,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jobyard-worker"))
            .args(arguments)
            .arg("--allow-root-jobs")
            .env_remove("JOBYARD_JOIN")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            child,
            log,
            seen: String::new(),
        }
    }

    /// Reads the log until a line holds this text; `false` at its end.
    async fn logs(&mut self, text: &str) -> bool {
        let read = async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                self.seen.push_str(&line);
                self.seen.push('\n');
                if line.contains(text) {
                    return true;
                }
            }
            false
        };
        tokio::time::timeout(GUARD, read)
            .await
            .expect("it takes too long")
    }

    /// Waits for its end; what it logged is in `seen` then.
    async fn ended(&mut self) -> ExitStatus {
        self.logs("\u{0}").await;
        tokio::time::timeout(GUARD, self.child.wait())
            .await
            .expect("it takes too long")
            .unwrap()
    }

    fn terminate(&self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_run_a_job_and_leave_and_come_back_without_a_token() {
    let cluster = Cluster::start().await;
    let token = cluster.token().await;
    let mut worker = cluster.worker("worker", &token);
    assert!(worker.logs("is connected").await, "{}", worker.seen);
    let outcome = cluster
        .run(1, "test \"$GREETING-$JOBYARD_WORKER_NAME\" = hello-builder")
        .await;
    assert_eq!(outcome, Outcome::Succeeded, "{}", worker.seen);
    let first = cluster.workers().await;
    assert!(first[0].tags.contains(&"special".parse().unwrap()) && first[0].tags.has_key("os"));
    worker.terminate();
    assert!(worker.ended().await.success(), "{}", worker.seen);
    let secret = token.split('.').nth(3).unwrap();
    assert!(!worker.seen.contains(secret), "the token is in the log");

    // The token is used up by now; it is not needed.
    let mut worker = cluster.worker("worker", "no token at all");
    assert!(worker.logs("is connected").await, "{}", worker.seen);
    let again = cluster.workers().await;
    assert_eq!((again.len(), again[0].id), (1, first[0].id));
    assert_eq!(again[0].contact, Contact::Connected);
    worker.terminate();
    assert!(worker.ended().await.success(), "{}", worker.seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_learns_what_the_flags_offer() {
    let cluster = Cluster::start().await;
    let token = cluster.token().await;
    let flags = [
        "--slots=3",
        "--cpu=1.5",
        "--memory=2GiB",
        "--resource=gpu=2",
        "--resource=license=1",
        "--exclusive-tag=night",
        "--no-auto-tags",
    ];
    let mut program = cluster.worker_with("worker", &token, &flags);
    assert!(program.logs("is connected").await, "{}", program.seen);
    let worker = cluster.workers().await.remove(0);
    let mut capacity = Resources::of_slots(3).with("gpu", 2).with("license", 1);
    (capacity.cpu_millis, capacity.memory_bytes) = (1500, 2 << 30);
    assert_eq!(worker.capacity, capacity);
    let texts = |tags: &TagSet| -> Vec<String> { tags.iter().map(|tag| tag.to_string()).collect() };
    assert_eq!(texts(&worker.exclusive), ["night"]);
    // Jobs ask for their executor, so that one stays.
    assert_eq!(
        texts(&worker.tags),
        ["executor=process", "night", "special"]
    );
    program.terminate();
    assert!(program.ended().await.success(), "{}", program.seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_up_token_is_refused_with_one_clear_sentence() {
    let cluster = Cluster::start().await;
    let token = cluster.token().await;
    let mut first = cluster.worker("one", &token);
    assert!(first.logs("is connected").await, "{}", first.seen);
    let mut second = cluster.worker("two", &token);
    assert_eq!(second.ended().await.code(), Some(1));
    let last = second.seen.lines().last().unwrap();
    assert!(
        last.starts_with("jobyard-worker: could not join: "),
        "{}",
        second.seen
    );
    assert!(!second.seen.contains(token.split('.').nth(3).unwrap()));
}

#[tokio::test]
async fn say_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--data", data], 2, "--master"),
        (
            &["--data", data, "--master", "127.0.0.1:1"],
            1,
            "jobyard token create",
        ),
        (
            &[
                "--data",
                data,
                "--master",
                "m:1",
                "--on-term",
                "detach",
                "--launcher",
                "none",
            ],
            2,
            "detach",
        ),
        (&["--memory", "8"], 2, "as in 8GiB"),
        (&["--no-such-flag"], 2, "--no-such-flag"),
    ];
    for (arguments, code, text) in cases {
        let mut program = Program::start(arguments);
        assert_eq!(program.ended().await.code(), Some(code), "{}", program.seen);
        assert!(program.seen.contains(text), "{}", program.seen);
    }
    assert!(!Path::new(data).join("journal").exists());
}
