//! A master that does what a test says, and a worker that talks to it.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jobyard_core::{
    Assignment, AttemptId, AttemptNumber, AttemptReport, Epoch, ExecutorSpec, Hello, JobId,
    JobSpec, Link, LinkError, LogEnd, MasterMessage, PROCESS_EXECUTOR, Refusal, SessionHandler,
    SessionId, UploadAnswer, UploadFrame, Verdict, Welcome, WorkerId, WorkerMessage, WorkerPeer,
};
use jobyard_executor::{ProcessConfig, ProcessExecutor};
use jobyard_transport::InProcess;
use jobyard_worker::protection::Protection;
use jobyard_worker::{Worker, WorkerConfig, WorkerHandle};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

/// Nothing that a test waits for takes this long on any machine.
const GUARD: Duration = Duration::from_mins(1);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, future)
        .await
        .expect("it takes too long")
}

pub(crate) fn worker_id() -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(7))
}

pub(crate) fn attempt(job: u128) -> AttemptId {
    AttemptId::new(JobId::from_uuid(Uuid::from_u128(job)), AttemptNumber::FIRST)
}

pub(crate) fn spec(config: &ProcessConfig) -> JobSpec {
    JobSpec::new(ExecutorSpec::new(
        PROCESS_EXECUTOR,
        config.to_config_string(),
    ))
}

/// `script` for the shell.
pub(crate) fn assignment(attempt: AttemptId, script: &str) -> Assignment {
    let config = ProcessConfig::command(["sh", "-c", script]);
    Assignment::new(attempt, spec(&config).validate().unwrap())
}

pub(crate) fn config(data: &Path, master: &Arc<Master>) -> WorkerConfig {
    let handler: Arc<dyn SessionHandler> = Arc::clone(master) as _;
    let transport = Arc::new(InProcess::new(worker_id(), handler));
    let mut config = WorkerConfig::new(
        data,
        worker_id(),
        transport,
        vec![Arc::new(ProcessExecutor::new())],
    );
    // Whatever else this machine is busy with at the moment is no matter of the tests.
    config.protection = Protection::NONE;
    config
}

pub(crate) async fn start(data: &Path, master: &Arc<Master>) -> WorkerHandle {
    Worker::start(config(data, master)).await.unwrap()
}

/// The master's end: sessions come to the test, output is kept.
#[derive(Debug)]
pub(crate) struct Master {
    sessions: mpsc::Sender<Session>,
    logs: watch::Sender<BTreeMap<AttemptId, Log>>,
    /// Each upload link breaks once it has brought this many bytes.
    pub(crate) break_after: Mutex<Option<usize>>,
    /// No more than this is said to be durable.
    pub(crate) durable_at_most: Mutex<Option<u64>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: Option<LogEnd>,
    /// How many links were opened for it, and where each was told to begin.
    pub(crate) resumed_at: Vec<u64>,
}

impl Master {
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Session>) {
        let (sessions, incoming) = mpsc::channel(16);
        let master = Self {
            sessions,
            logs: watch::Sender::default(),
            break_after: Mutex::new(None),
            durable_at_most: Mutex::new(None),
        };
        (Arc::new(master), incoming)
    }

    /// Waits until an attempt's log is as wanted.
    pub(crate) async fn log(&self, attempt: AttemptId, wanted: impl Fn(&Log) -> bool) -> Log {
        let mut logs = self.logs.subscribe();
        let found = within(logs.wait_for(|logs| logs.get(&attempt).is_some_and(&wanted))).await;
        found.unwrap()[&attempt].clone()
    }

    pub(crate) fn logs(&self) -> usize {
        self.logs.borrow().len()
    }

    fn change<T>(&self, attempt: AttemptId, change: impl FnOnce(&mut Log) -> T) -> T {
        let mut result = None;
        self.logs
            .send_modify(|logs| result = Some(change(logs.entry(attempt).or_default())));
        result.unwrap()
    }
}

#[async_trait]
impl SessionHandler for Master {
    async fn session(
        &self,
        _peer: WorkerPeer,
        hello: Hello,
        link: Link<MasterMessage, WorkerMessage>,
    ) -> Result<(), Refusal> {
        let (life, over) = oneshot::channel();
        let session = Session {
            hello,
            link,
            waiting: Vec::new(),
            _life: life,
        };
        let _ = self.sessions.send(session).await;
        let _ = over.await;
        Ok(())
    }

    async fn upload(
        &self,
        _peer: WorkerPeer,
        attempt: AttemptId,
        _offset: u64,
        mut link: Link<UploadAnswer, UploadFrame>,
    ) -> Result<(), Refusal> {
        let from = self.change(attempt, |log| {
            let from = log.bytes.len() as u64;
            log.resumed_at.push(from);
            from
        });
        let _ = link.sender.send(vec![UploadAnswer::ResumeAt(from)]).await;
        let mut brought = 0;
        while let Ok(frames) = link.receiver.receive().await {
            for frame in frames {
                match frame {
                    UploadFrame::Chunks(chunks) => {
                        for chunk in chunks {
                            brought += chunk.bytes.len();
                            self.change(attempt, |log| {
                                assert_eq!(chunk.offset, log.bytes.len() as u64, "no holes");
                                log.bytes.extend_from_slice(&chunk.bytes);
                            });
                        }
                        let held = self.change(attempt, |log| log.bytes.len() as u64);
                        let most = *self.durable_at_most.lock().unwrap();
                        let durable = most.map_or(held, |most| held.min(most));
                        let _ = link.sender.send(vec![UploadAnswer::Durable(durable)]).await;
                    }
                    UploadFrame::End(end) => {
                        self.change(attempt, |log| log.end = Some(end));
                        let _ = link.sender.send(vec![UploadAnswer::Sealed]).await;
                    }
                    other => panic!("{other:?}"),
                }
            }
            if self
                .break_after
                .lock()
                .unwrap()
                .is_some_and(|limit| brought >= limit)
            {
                return Ok(());
            }
        }
        Ok(())
    }

    fn is_member(&self, worker: WorkerId) -> bool {
        worker == worker_id()
    }
}

/// One session, from the master's side. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) hello: Hello,
    link: Link<MasterMessage, WorkerMessage>,
    waiting: Vec<WorkerMessage>,
    _life: oneshot::Sender<()>,
}

impl Session {
    /// The next session that the worker opens.
    pub(crate) async fn next(incoming: &mut mpsc::Receiver<Self>) -> Self {
        within(incoming.recv()).await.expect("the master lives")
    }

    /// The next session, welcomed.
    pub(crate) async fn open(incoming: &mut mpsc::Receiver<Self>) -> Self {
        let mut session = Self::next(incoming).await;
        session.welcome(Vec::new()).await;
        session
    }

    pub(crate) async fn welcome(&mut self, verdicts: Vec<(AttemptId, Verdict)>) {
        let patient = Duration::from_mins(10);
        self.welcome_with_lease(patient, verdicts).await;
    }

    pub(crate) async fn welcome_with_lease(
        &mut self,
        lease: Duration,
        verdicts: Vec<(AttemptId, Verdict)>,
    ) {
        let mut welcome = Welcome::new(
            SessionId::from_uuid(Uuid::now_v7()),
            Epoch(1),
            worker_id(),
            "builder".to_owned(),
            lease / 3,
            lease,
        );
        welcome.verdicts = verdicts;
        self.say(MasterMessage::Welcome(welcome)).await;
    }

    /// As [`welcome`](Self::welcome), with another heartbeat than goes with the lease.
    pub(crate) async fn welcome_with_heartbeat(&mut self, heartbeat: Duration, lease: Duration) {
        let session = SessionId::from_uuid(Uuid::now_v7());
        let name = "builder".to_owned();
        let welcome = Welcome::new(session, Epoch(1), worker_id(), name, heartbeat, lease);
        self.say(MasterMessage::Welcome(welcome)).await;
    }

    pub(crate) async fn say(&mut self, message: MasterMessage) {
        self.say_all(vec![message]).await;
    }

    /// Says several things at once.
    pub(crate) async fn say_all(&mut self, messages: Vec<MasterMessage>) {
        within(self.link.sender.send(messages)).await.unwrap();
    }

    /// Waits for a heartbeat. What comes before it is heard later.
    pub(crate) async fn beat(&mut self) {
        loop {
            let is_beat = |message: &WorkerMessage| *message == WorkerMessage::Heartbeat;
            if let Some(place) = self.waiting.iter().position(is_beat) {
                self.waiting.remove(place);
                return;
            }
            let more = within(self.link.receiver.receive()).await.unwrap();
            self.waiting.extend(more);
        }
    }

    pub(crate) async fn assign(&mut self, attempt: AttemptId, script: &str) {
        self.say(MasterMessage::Assign(assignment(attempt, script)))
            .await;
    }

    pub(crate) async fn forget(&mut self, attempt: AttemptId) {
        self.say(MasterMessage::Forget { attempt }).await;
    }

    /// The next message that is no heartbeat.
    pub(crate) async fn hear(&mut self) -> WorkerMessage {
        loop {
            if let Some(message) = self.try_hear().await {
                return message;
            }
        }
    }

    async fn try_hear(&mut self) -> Option<WorkerMessage> {
        if self.waiting.is_empty() {
            self.waiting = within(self.link.receiver.receive()).await.unwrap();
        }
        Some(self.waiting.remove(0)).filter(|message| *message != WorkerMessage::Heartbeat)
    }

    /// Waits for the start of an attempt.
    pub(crate) async fn started(&mut self, wanted: AttemptId) -> u32 {
        match self.hear().await {
            WorkerMessage::Started { attempt, pid, .. } if attempt == wanted => pid.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the report of an attempt.
    pub(crate) async fn finished(&mut self, wanted: AttemptId) -> AttemptReport {
        match self.hear().await {
            WorkerMessage::Finished(report) if report.attempt == wanted => report,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the report of an attempt, and for its start before that.
    pub(crate) async fn finished_after_start(&mut self, wanted: AttemptId) -> AttemptReport {
        match self.hear().await {
            WorkerMessage::Started { attempt, .. } if attempt == wanted => {}
            other => panic!("{other:?}"),
        }
        self.finished(wanted).await
    }

    /// Waits until the worker has left.
    pub(crate) async fn left(&mut self) -> LinkError {
        loop {
            match within(self.link.receiver.receive()).await {
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }
}
