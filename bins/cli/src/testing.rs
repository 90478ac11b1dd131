//! A control without a master: it answers what a test has written down, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jobyard_core::{
    Admin, AttemptId, AttemptNumber, AuditPage, AuditQuery, Caller, Complaint, ComplaintKind,
    Contact, ControlError, CreatedToken, Event, EventQuery, EventStream, ExecutorSpec, Explanation,
    Fleet, Group, Help, Job, JobId, JobPage, JobQuery, JobSpec, JobState, Jobs, KilledProcess,
    Lack, LimitKind, LogChunk, LogItem, LogQuery, LogStream, MasterStatus, NewJob, NewToken,
    OutputStream, Preference, QueueChange, QueueInfo, QueueSettings, Residue, Resources,
    SecretText, StopOptions, Submitted, Timestamp, TokenInfo, Usage, WaitReason, WaitVerdict,
    Worker, WorkerCommand, WorkerId,
};

pub(crate) fn job_id() -> JobId {
    "0190a0b0-0000-7000-8000-000000000001"
        .parse()
        .expect("an id")
}

pub(crate) fn worker_id() -> WorkerId {
    "0190a0b0-0000-7000-8000-0000000000aa"
        .parse()
        .expect("an id")
}

/// A connected worker with four free slots and nothing else.
pub(crate) fn worker_of_slots(name: &str) -> Worker {
    let at = Timestamp::from_micros(1_800_000_000_000_000);
    let mut worker = Worker::new(worker_id(), name.to_owned(), at);
    worker.contact = Contact::Connected;
    worker.capacity = Resources::of_slots(4);
    worker.last_contact = Some(at);
    worker
}

/// A connected worker with a job, resources, and a tag that not every job may use.
pub(crate) fn worker() -> Worker {
    let mut worker = worker_of_slots("forge");
    worker.capacity = Resources::of_slots(8).with("gpu", 2).with("license", 1);
    worker.capacity.cpu_millis = 8_000;
    worker.capacity.memory_bytes = 64 << 30;
    worker.used = Resources::of_slots(1).with("gpu", 1);
    worker.used.cpu_millis = 1_500;
    worker.used.memory_bytes = 5 << 29;
    worker.attempts = vec![attempt(1)];
    for tag in ["os=linux", "pool=ml"] {
        let tag = tag.parse().expect("a tag");
        worker.tags.insert(tag).expect("room");
    }
    let exclusive = "pool=ml".parse().expect("a tag");
    worker.exclusive.insert(exclusive).expect("room");
    worker
}

/// A worker that takes no jobs at the moment.
pub(crate) fn complaining_worker(name: &str) -> Worker {
    let mut worker = worker_of_slots(name);
    worker.complaints = vec![
        Complaint::new(ComplaintKind::Disk, "1.2 GiB left of the 5 GiB wanted"),
        Complaint::new(ComplaintKind::Tainted, "process 77 could not be killed"),
    ];
    worker
}

/// What there may be to say of an attempt that has ended.
pub(crate) fn residue() -> Residue {
    let mut usage = Usage::default();
    usage.user_micros = 1_250_000;
    usage.system_micros = 250_000;
    usage.peak_memory_bytes = Some(300 << 20);
    usage.read_bytes = Some(0);
    let mut residue = Residue::default();
    residue.killed = 3;
    residue.processes = vec![
        KilledProcess::new(4_712, "sleep".to_owned()),
        KilledProcess::new(4_713, "\u{1b}[2J\n".to_owned()),
    ];
    residue.limit_hit = Some(LimitKind::Memory);
    residue.unenforced = vec![LimitKind::ReadRate, LimitKind::WriteRate];
    residue.usage = Some(usage);
    residue.output_held_open = true;
    residue.unconfirmed = true;
    residue
}

/// A queue that nobody has set.
pub(crate) fn queue(name: &str) -> QueueInfo {
    QueueInfo::new(name.to_owned(), QueueSettings::default())
}

/// Of a job that no worker can run.
pub(crate) fn hopeless() -> Explanation {
    let gpu = || "gpu".parse().expect("a requirement");
    let reasons = vec![
        WaitReason::RequirementUnmet {
            requirement: gpu(),
            failing: 2,
            workers: 3,
        },
        WaitReason::Excluded {
            tag: "pool=ml".parse().expect("a tag"),
            workers: 1,
        },
        WaitReason::Nearest {
            worker: worker_id(),
            name: "forge".to_owned(),
            lacks: vec![
                Lack::Requirement { requirement: gpu() },
                Lack::Resource {
                    resource: "cpu".to_owned(),
                    asked: 1_500,
                    has: 1_000,
                },
            ],
        },
    ];
    let help = vec![
        Help::Worker {
            requirements: vec![gpu()],
            resources: vec![("cpu".to_owned(), 1_500)],
            name: None,
        },
        Help::NameTag {
            tag: "pool=ml".parse().expect("a tag"),
        },
    ];
    Explanation::waiting(WaitVerdict::Never, reasons).with_help(help)
}

pub(crate) fn attempt(number: u32) -> AttemptId {
    AttemptId::new(job_id(), AttemptNumber::new(number).expect("not zero"))
}

pub(crate) fn chunk(number: u32, offset: u64, text: &str) -> Result<LogItem, ControlError> {
    piece(number, offset, OutputStream::Stdout, text.as_bytes())
}

#[expect(clippy::unnecessary_wraps, reason = "stands among results")]
pub(crate) fn piece(
    number: u32,
    offset: u64,
    stream: OutputStream,
    bytes: &[u8],
) -> Result<LogItem, ControlError> {
    let at = Timestamp::from_micros(1_800_000_000_000_000);
    Ok(LogItem::Chunk {
        attempt: attempt(number),
        chunk: LogChunk::new(offset, stream, at, Bytes::copy_from_slice(bytes)),
    })
}

/// A job of the process executor in a state.
pub(crate) fn job(id: JobId, command: &str, state: JobState) -> Job {
    let config = format!(r#"{{"command":["{command}"]}}"#);
    let spec = JobSpec::new(ExecutorSpec::new("process", config))
        .validate()
        .expect("a valid spec");
    let mut job = Job::new(id, spec, 1, Timestamp::default(), "ada".to_owned());
    job.state = state;
    job
}

/// A job that asks for everything that decides when and where it goes.
pub(crate) fn demanding_job() -> Job {
    let mut spec = job(job_id(), "make", JobState::Queued).spec.to_spec();
    spec.requirements = vec!["cores>=8".parse().expect("a requirement")];
    spec.prefer = vec![Preference::new("ssd".parse().expect("a requirement"), 10)];
    spec.priority = -5;
    spec.group = Some(Group::new("deploy/prod", 1));
    spec.resources = Resources::of_slots(2).with("gpu", 1);
    spec.resources.cpu_millis = 1_500;
    spec.resources.memory_bytes = 2 << 30;
    spec.queue_timeout = Some(Duration::from_hours(1));
    spec.limits.memory = Some(512 << 20);
    spec.limits.cpu = Some(1_500);
    spec.limits.processes = Some(100);
    spec.limits.write_rate = Some(10 << 20);
    let spec = spec.validate().expect("a valid spec");
    Job::new(job_id(), spec, 1, Timestamp::default(), "ada".to_owned())
}

/// How a question for output is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Not at all.
    Error(ControlError),
    /// With these items.
    Stream(Vec<Result<LogItem, ControlError>>),
    /// With these items, and then with silence.
    Silent(Vec<Result<LogItem, ControlError>>),
}

/// Answers from lists; when a list is at its end, the master is away.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    submits: VecDeque<ControlError>,
    logs: VecDeque<Reply>,
    jobs: Vec<Job>,
    explanation: Option<Explanation>,
    submitted: Vec<Vec<NewJob>>,
    log_queries: Vec<LogQuery>,
    stopped: Vec<(JobId, StopOptions)>,
    queues: Vec<QueueInfo>,
    queue_changes: Vec<(String, QueueChange)>,
    retried: Vec<(JobId, JobId)>,
    events: VecDeque<Result<Vec<Result<Event, ControlError>>, ControlError>>,
    event_queries: Vec<EventQuery>,
}

impl Scripted {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().expect("no panic while answering")
    }

    /// The next submits fail like this; those after them succeed.
    pub(crate) fn fail_submits(&self, errors: impl IntoIterator<Item = ControlError>) {
        self.script().submits.extend(errors);
    }

    pub(crate) fn logs(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script().logs.extend(replies);
    }

    pub(crate) fn hold(&self, jobs: impl IntoIterator<Item = Job>) {
        self.script().jobs.extend(jobs);
    }

    pub(crate) fn explain_with(&self, explanation: Explanation) {
        self.script().explanation = Some(explanation);
    }

    pub(crate) fn hold_queues(&self, queues: impl IntoIterator<Item = QueueInfo>) {
        self.script().queues.extend(queues);
    }

    pub(crate) fn queue_changes(&self) -> Vec<(String, QueueChange)> {
        self.script().queue_changes.clone()
    }

    pub(crate) fn log_queries(&self) -> Vec<LogQuery> {
        self.script().log_queries.clone()
    }

    /// What was submitted, call by call.
    pub(crate) fn submitted(&self) -> Vec<Vec<NewJob>> {
        self.script().submitted.clone()
    }

    /// Which jobs were repeated, and as which.
    pub(crate) fn retried(&self) -> Vec<(JobId, JobId)> {
        self.script().retried.clone()
    }

    /// What events are answered with, call by call.
    pub(crate) fn happen(
        &self,
        replies: impl IntoIterator<Item = Result<Vec<Result<Event, ControlError>>, ControlError>>,
    ) {
        self.script().events.extend(replies);
    }

    pub(crate) fn event_queries(&self) -> Vec<EventQuery> {
        self.script().event_queries.clone()
    }

    pub(crate) fn stopped(&self) -> Vec<(JobId, StopOptions)> {
        self.script().stopped.clone()
    }
}

fn away() -> ControlError {
    ControlError::unavailable("away")
}

#[async_trait]
impl Jobs for Scripted {
    async fn submit(&self, _: &Caller, jobs: Vec<NewJob>) -> Result<Vec<Submitted>, ControlError> {
        let mut script = self.script();
        let answer = jobs
            .iter()
            .map(|job| Submitted::new(job.id, true))
            .collect();
        script.submitted.push(jobs);
        script.submits.pop_front().map_or(Ok(answer), Err)
    }

    async fn job(&self, _: &Caller, id: JobId) -> Result<Job, ControlError> {
        let script = self.script();
        let found = script.jobs.iter().find(|job| job.id == id);
        found.cloned().ok_or_else(|| ControlError::no_job(id))
    }

    async fn jobs(&self, _: &Caller, query: JobQuery) -> Result<JobPage, ControlError> {
        let script = self.script();
        let wanted = |job: &&Job| query.state.is_none_or(|state| job.state == state);
        let jobs = script.jobs.iter().filter(wanted).cloned().collect();
        Ok(JobPage::new(jobs, None))
    }

    async fn wait(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError> {
        let job = self.job(caller, id).await?;
        if !job.state.is_finished() {
            std::future::pending::<()>().await;
        }
        Ok(job)
    }

    async fn stop(
        &self,
        _: &Caller,
        id: JobId,
        options: StopOptions,
    ) -> Result<JobState, ControlError> {
        self.script().stopped.push((id, options));
        Ok(JobState::Stopping)
    }

    async fn logs(&self, _: &Caller, query: LogQuery) -> Result<LogStream, ControlError> {
        let mut script = self.script();
        script.log_queries.push(query);
        match script.logs.pop_front() {
            Some(Reply::Stream(items)) => Ok(Box::pin(stream::iter(items))),
            Some(Reply::Silent(items)) => {
                Ok(Box::pin(stream::iter(items).chain(stream::pending())))
            }
            Some(Reply::Error(error)) => Err(error),
            None => Err(away()),
        }
    }

    async fn explain(&self, _: &Caller, _: JobId) -> Result<Explanation, ControlError> {
        self.script().explanation.clone().ok_or_else(away)
    }

    async fn retry(&self, _: &Caller, id: JobId, new: JobId) -> Result<Submitted, ControlError> {
        self.script().retried.push((id, new));
        Ok(Submitted::new(new, true))
    }
}

#[async_trait]
impl Fleet for Scripted {
    async fn workers(&self, _: &Caller, _: bool) -> Result<Vec<Worker>, ControlError> {
        Ok(Vec::new())
    }

    async fn worker(&self, _: &Caller, worker: &str) -> Result<Worker, ControlError> {
        Err(ControlError::NotFound {
            what: "worker",
            id: worker.to_owned(),
        })
    }

    async fn set_worker(
        &self,
        caller: &Caller,
        worker: &str,
        _: WorkerCommand,
    ) -> Result<Worker, ControlError> {
        self.worker(caller, worker).await
    }

    async fn queues(&self, _: &Caller) -> Result<Vec<QueueInfo>, ControlError> {
        Ok(self.script().queues.clone())
    }

    async fn set_queue(
        &self,
        _: &Caller,
        name: &str,
        change: QueueChange,
    ) -> Result<QueueInfo, ControlError> {
        let mut script = self.script();
        script.queue_changes.push((name.to_owned(), change));
        let held = script.queues.iter().find(|held| held.name == name);
        let mut info = held.cloned().unwrap_or_else(|| queue(name));
        info.settings = change.applied_to(info.settings);
        Ok(info)
    }

    async fn create_token(
        &self,
        _: &Caller,
        token: NewToken,
    ) -> Result<CreatedToken, ControlError> {
        let at = Timestamp::default();
        let info = TokenInfo::new("abc".to_owned(), at, at, token.uses);
        Ok(CreatedToken::new(info, SecretText::new("jyt1.word")))
    }

    async fn tokens(&self, _: &Caller) -> Result<Vec<TokenInfo>, ControlError> {
        Ok(Vec::new())
    }

    async fn revoke_token(&self, _: &Caller, _: &str) -> Result<(), ControlError> {
        Ok(())
    }
}

#[async_trait]
impl Admin for Scripted {
    async fn status(&self, _: &Caller) -> Result<MasterStatus, ControlError> {
        Ok(MasterStatus::default())
    }

    async fn audit(&self, _: &Caller, _: AuditQuery) -> Result<AuditPage, ControlError> {
        Ok(AuditPage::default())
    }

    async fn events(&self, _: &Caller, query: EventQuery) -> Result<EventStream, ControlError> {
        let mut script = self.script();
        script.event_queries.push(query);
        let events = script.events.pop_front().unwrap_or_else(|| Err(away()))?;
        Ok(Box::pin(stream::iter(events)))
    }
}
