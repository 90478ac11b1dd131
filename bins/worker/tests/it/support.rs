//! A master in this process, and the worker's program.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use jobyard_core::{
    Caller, ExecutorSpec, JobId, JobSpec, LogItem, LogQuery, NewJob, NewToken, Outcome,
    PROCESS_EXECUTOR, Worker,
};
use jobyard_executor::ProcessConfig;
use jobyard_master::{Daemon, DaemonConfig};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// Nothing that a test waits for takes this long on any machine.
const GUARD: Duration = Duration::from_mins(2);

/// A master in this process, and a directory for workers.
pub(crate) struct Cluster {
    pub(crate) daemon: Daemon,
    pub(crate) dir: TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = DaemonConfig::new(dir.path().join("master"), listen);
        Self {
            daemon: Daemon::open(config).await.unwrap(),
            dir,
        }
    }

    pub(crate) async fn token(&self) -> String {
        let created = self
            .daemon
            .control()
            .create_token(&Caller::host(), NewToken::default())
            .await;
        created.unwrap().token.expose().to_owned()
    }

    /// The worker's program, with its token in a file.
    pub(crate) fn worker(&self, data: &str, token: &str) -> Program {
        self.worker_with(data, token, &[])
    }

    /// The same with more flags.
    pub(crate) fn worker_with(&self, data: &str, token: &str, more: &[&str]) -> Program {
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

    pub(crate) async fn workers(&self) -> Vec<Worker> {
        self.daemon
            .control()
            .workers(&Caller::host(), false)
            .await
            .unwrap()
    }

    /// Runs a job to its end.
    pub(crate) async fn run(&self, id: u128, script: &str) -> Outcome {
        let id = self.submit(id, script).await;
        self.outcome(id).await
    }

    pub(crate) async fn submit(&self, id: u128, script: &str) -> JobId {
        let config = ProcessConfig::command(["sh", "-c", script]).to_config_string();
        let spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config))
            .validate()
            .unwrap();
        let id = JobId::from_uuid(uuid::Uuid::from_u128(id));
        self.daemon
            .control()
            .submit(&Caller::host(), vec![NewJob::new(id, spec)])
            .await
            .unwrap();
        id
    }

    pub(crate) async fn outcome(&self, id: JobId) -> Outcome {
        let (control, host) = (self.daemon.control(), Caller::host());
        let wait = tokio::time::timeout(GUARD, control.wait(&host, id));
        wait.await
            .expect("it takes too long")
            .unwrap()
            .outcome
            .unwrap()
    }

    /// Follows the output of a job until `enough` of it is there, or to its end.
    pub(crate) async fn output(&self, id: JobId, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut query = LogQuery::new(id);
        query.follow = true;
        let control = self.daemon.control();
        let mut log = control.logs(&Caller::host(), query).await.unwrap();
        let mut output = Vec::new();
        let read = async {
            while let Some(item) = log.next().await {
                match item.unwrap() {
                    LogItem::Chunk { chunk, .. } => output.extend_from_slice(&chunk.bytes),
                    LogItem::End { .. } => break,
                    _ => {}
                }
                if enough(&output) {
                    break;
                }
            }
        };
        tokio::time::timeout(GUARD, read)
            .await
            .expect("it takes too long");
        output
    }
}

/// The worker's program.
pub(crate) struct Program {
    pub(crate) child: Child,
    log: Lines<BufReader<ChildStderr>>,
    pub(crate) seen: String,
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
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
    pub(crate) async fn logs(&mut self, text: &str) -> bool {
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
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.logs("\u{0}").await;
        tokio::time::timeout(GUARD, self.child.wait())
            .await
            .expect("it takes too long")
            .unwrap()
    }

    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}
