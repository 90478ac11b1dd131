//! A control that remembers who asked and answers what it was told to.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use jobyard_core::{
    Admin, Attempt, AttemptId, AttemptNumber, AuditEntry, AuditPage, AuditQuery, Caller,
    ControlError, CreatedToken, Epoch, Event, EventQuery, EventStream, ExecutorSpec, Exit,
    Explanation, Fleet, Group, Happening, Help, InfraReason, Job, JobId, JobPage, JobQuery,
    JobSpec, JobState, Jobs, Lack, LogChunk, LogItem, LogQuery, LogState, LogStatus, LogStream,
    LogUsage, MasterStatus, NewJob, NewToken, Outcome, OutputStream, Preference, QueueChange,
    QueueInfo, QueueSettings, Residue, Resources, SecretText, StopOptions, Submitted, TagSet,
    Timestamp, TokenInfo, ValidSpec, WaitReason, WaitVerdict, Worker, WorkerCommand, WorkerFacts,
    WorkerId,
};
use uuid::Uuid;

#[derive(Debug, Default)]
pub struct FakeControl {
    /// Who asked for what, as debug text.
    pub calls: Mutex<Vec<(Caller, String)>>,
    /// What every call fails with.
    pub error: Mutex<Option<ControlError>>,
    /// All queues; by default one.
    pub queues: Mutex<Option<Vec<QueueInfo>>>,
}

impl FakeControl {
    fn note(&self, caller: &Caller, what: String) -> Result<(), ControlError> {
        self.calls.lock().unwrap().push((caller.clone(), what));
        self.error.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    pub fn last(&self) -> (Caller, String) {
        self.calls.lock().unwrap().last().cloned().expect("a call")
    }
}

#[async_trait]
impl Jobs for FakeControl {
    async fn submit(
        &self,
        caller: &Caller,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Submitted>, ControlError> {
        self.note(caller, format!("submit {jobs:?}"))?;
        let submitted = |job: &NewJob| Submitted::new(job.id, job.id != job_id(1));
        Ok(jobs.iter().map(submitted).collect())
    }

    async fn job(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError> {
        self.note(caller, format!("job {id}"))?;
        Ok(job())
    }

    async fn jobs(&self, caller: &Caller, query: JobQuery) -> Result<JobPage, ControlError> {
        self.note(caller, format!("jobs {query:?}"))?;
        Ok(JobPage::new(vec![job(), job()], Some(77)))
    }

    async fn wait(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError> {
        self.note(caller, format!("wait {id}"))?;
        Ok(job())
    }

    async fn stop(
        &self,
        caller: &Caller,
        id: JobId,
        options: StopOptions,
    ) -> Result<JobState, ControlError> {
        self.note(caller, format!("stop {id} {options:?}"))?;
        Ok(JobState::Stopping)
    }

    async fn logs(&self, caller: &Caller, query: LogQuery) -> Result<LogStream, ControlError> {
        self.note(caller, format!("logs {query:?}"))?;
        Ok(Box::pin(stream::iter(log_items())))
    }

    async fn explain(&self, caller: &Caller, id: JobId) -> Result<Explanation, ControlError> {
        self.note(caller, format!("explain {id}"))?;
        Ok(explanation())
    }

    async fn retry(
        &self,
        caller: &Caller,
        id: JobId,
        new_id: JobId,
    ) -> Result<Submitted, ControlError> {
        self.note(caller, format!("retry {id} {new_id}"))?;
        Ok(Submitted::new(new_id, true))
    }
}

#[async_trait]
impl Fleet for FakeControl {
    async fn workers(&self, caller: &Caller, removed: bool) -> Result<Vec<Worker>, ControlError> {
        self.note(caller, format!("workers {removed}"))?;
        Ok(vec![worker()])
    }

    async fn worker(&self, caller: &Caller, name: &str) -> Result<Worker, ControlError> {
        self.note(caller, format!("worker {name}"))?;
        Ok(worker())
    }

    async fn set_worker(
        &self,
        caller: &Caller,
        name: &str,
        to: WorkerCommand,
    ) -> Result<Worker, ControlError> {
        self.note(caller, format!("set_worker {name} {to:?}"))?;
        Ok(worker())
    }

    async fn queues(&self, caller: &Caller) -> Result<Vec<QueueInfo>, ControlError> {
        self.note(caller, "queues".to_owned())?;
        let queues = self.queues.lock().unwrap().clone();
        Ok(queues.unwrap_or_else(|| vec![queue()]))
    }

    async fn set_queue(
        &self,
        caller: &Caller,
        name: &str,
        change: QueueChange,
    ) -> Result<QueueInfo, ControlError> {
        self.note(caller, format!("set_queue {name} {change:?}"))?;
        Ok(queue())
    }

    async fn create_token(
        &self,
        caller: &Caller,
        token: NewToken,
    ) -> Result<CreatedToken, ControlError> {
        self.note(caller, format!("create_token {token:?}"))?;
        Ok(CreatedToken::new(token_info(), SecretText::new("secret")))
    }

    async fn tokens(&self, caller: &Caller) -> Result<Vec<TokenInfo>, ControlError> {
        self.note(caller, "tokens".to_owned())?;
        Ok(vec![token_info()])
    }

    async fn revoke_token(&self, caller: &Caller, token: &str) -> Result<(), ControlError> {
        self.note(caller, format!("revoke_token {token}"))
    }
}

#[async_trait]
impl Admin for FakeControl {
    async fn status(&self, caller: &Caller) -> Result<MasterStatus, ControlError> {
        self.note(caller, "status".to_owned())?;
        Ok(status())
    }

    async fn audit(&self, caller: &Caller, query: AuditQuery) -> Result<AuditPage, ControlError> {
        self.note(caller, format!("audit {query:?}"))?;
        Ok(audit())
    }

    async fn events(
        &self,
        caller: &Caller,
        query: EventQuery,
    ) -> Result<EventStream, ControlError> {
        self.note(caller, format!("events {query:?}"))?;
        Ok(Box::pin(stream::iter(events())))
    }
}

/// More than one message holds, and an error behind them.
pub fn events() -> Vec<Result<Event, ControlError>> {
    let what = |number| Happening::JobSubmitted {
        job_id: job_id(number),
        by: "anna".to_owned(),
        queue: "default".to_owned(),
        retry_of: (number % 2 == 0).then(|| job_id(1)),
    };
    (1..=1_500_u64)
        .map(|seq| Ok(Event::new(seq, Timestamp::from_micros(9), what(seq.into()))))
        .chain([Err(ControlError::unavailable("it restarts"))])
        .collect()
}

pub fn job_id(number: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(number))
}

pub fn attempt_id() -> AttemptId {
    AttemptId::new(job_id(1), AttemptNumber::FIRST.next())
}

pub fn spec() -> ValidSpec {
    let mut spec = JobSpec::new(ExecutorSpec::new("process", r#"{"command":["true"]}"#));
    spec.name = Some("unit tests".to_owned());
    spec.requirements = vec!["os=linux|darwin".parse().unwrap(), "gpu".parse().unwrap()];
    spec.worker = Some("builder-1".to_owned());
    spec.queue = "ci".into();
    spec.prefer = vec![Preference::new("disk=ssd".parse().unwrap(), 3)];
    spec.priority = -4;
    spec.group = Some(Group::new("deploy/prod", 2));
    spec.resources = Resources::of_slots(2).with("license", 1);
    spec.resources.memory_bytes = 1 << 33;
    spec.queue_timeout = Some(Duration::from_secs(9));
    spec.timeout = Some(Duration::from_millis(1_500));
    spec.grace = Duration::ZERO;
    spec.infra_retries = 0;
    spec.repeatable = false;
    spec.labels.insert("team".to_owned(), "a b".to_owned());
    spec.log_limit = 5;
    spec.merge = true;
    spec.validate().unwrap()
}

pub fn job() -> Job {
    let mut job = Job::new(
        job_id(1),
        spec(),
        9,
        Timestamp::from_micros(10),
        "anna".to_owned(),
    );
    job.state = JobState::Finished;
    job.outcome = Some(Outcome::TimedOut {
        exit: Some(Exit::Signaled(15)),
    });
    job.finished_at = Some(Timestamp::from_micros(20));
    let worker = WorkerId::from_uuid(Uuid::from_u128(5));
    let mut attempt = Attempt::new(
        attempt_id(),
        worker,
        "builder-1".to_owned(),
        Timestamp::from_micros(11),
    );
    attempt.pid = Some(4);
    attempt.started_at = Some(Timestamp::from_micros(12));
    attempt.finished_at = Some(Timestamp::from_micros(19));
    attempt.outcome = Some(Outcome::Infra {
        reason: InfraReason::WorkerLost,
    });
    attempt.log_bytes = 3;
    attempt.log = LogState::LostFrom(3);
    attempt.log_dropped = 8;
    let mut residue = Residue::default();
    residue.unconfirmed = true;
    attempt.residue = Some(residue);
    job.attempts = vec![attempt];
    job
}

pub fn log_items() -> Vec<Result<LogItem, ControlError>> {
    let attempt = attempt_id();
    let chunk = |offset, bytes: &'static [u8]| {
        let at = Timestamp::from_micros(1);
        LogChunk::new(offset, OutputStream::Stderr, at, bytes.into())
    };
    let mut log = LogStatus::open(7);
    log.state = LogState::Complete;
    log.dropped = 2;
    vec![
        Ok(LogItem::Chunk {
            attempt,
            chunk: chunk(0, b"ab\n"),
        }),
        Ok(LogItem::Chunk {
            attempt,
            chunk: chunk(3, b"\xff\0\r\n"),
        }),
        Ok(LogItem::AttemptEnd { attempt, log }),
        Ok(LogItem::End {
            outcome: Some(Outcome::Succeeded),
        }),
    ]
}

pub fn explanation() -> Explanation {
    let unmet = WaitReason::RequirementUnmet {
        requirement: "gpu".parse().unwrap(),
        failing: 3,
        workers: 3,
    };
    let nearest = WaitReason::Nearest {
        worker: WorkerId::from_uuid(Uuid::from_u128(5)),
        name: "builder-1".to_owned(),
        lacks: vec![Lack::Requirement {
            requirement: "gpu".parse().unwrap(),
        }],
    };
    let help = Help::Worker {
        requirements: vec!["gpu".parse().unwrap()],
        resources: vec![("cpu".to_owned(), 500)],
        name: None,
    };
    Explanation::waiting(WaitVerdict::Never, vec![unmet, nearest]).with_help(vec![help])
}

pub fn worker() -> Worker {
    let id = WorkerId::from_uuid(Uuid::from_u128(5));
    let mut worker = Worker::new(id, "builder-1".to_owned(), Timestamp::from_micros(1));
    worker.facts = WorkerFacts::default();
    worker.facts.host = "h".into();
    worker.facts.memory_bytes = 1 << 40;
    worker.address = "10.0.0.1:1".into();
    worker.tags = TagSet::try_from(vec!["os=linux".parse().unwrap()]).unwrap();
    worker.exclusive = worker.tags.clone();
    worker.capacity = Resources::of_slots(8).with("gpu", 2);
    worker.used = Resources::of_slots(1);
    worker.used.cpu_millis = 1_500;
    worker.attempts = vec![attempt_id()];
    worker.env.insert("K".to_owned(), "v".to_owned());
    worker.last_contact = Some(Timestamp::from_micros(2));
    worker
}

pub fn queue() -> QueueInfo {
    let mut settings = QueueSettings::default();
    settings.class = -1;
    settings.weight = 5;
    settings.max_running = Some(3);
    let mut queue = QueueInfo::new("ci".to_owned(), settings);
    queue.queued = 2;
    queue.running = 1;
    queue.ahead_ms = 70;
    queue
}

pub fn token_info() -> TokenInfo {
    let at = Timestamp::from_micros;
    let mut info = TokenInfo::new("t1".to_owned(), at(1), at(2), 3);
    info.revoked = true;
    info.tags = vec!["rust".parse().unwrap()];
    info
}

pub fn status() -> MasterStatus {
    let mut status = MasterStatus::default();
    status.name = "ci".into();
    status.version = "0.1.0".into();
    status.epoch = Epoch(4);
    status.started_at = Timestamp::from_micros(3);
    status.listen = Some("[::1]:7411".parse().unwrap());
    status.store = "sqlite".into();
    status.workers.insert("active".to_owned(), 2);
    status.jobs.insert("queued".to_owned(), 5);
    status.queues.insert("ci".to_owned(), 5);
    status.finished = 6;
    status.logs = LogUsage::new(1, 2);
    status
}

pub fn audit() -> AuditPage {
    let mut entry = AuditEntry::new(Timestamp::from_micros(1), "a", "enrol", "t1", "ok");
    entry.seq = 8;
    AuditPage::new(vec![entry], None)
}
