//! A whole master on its directory: what it is told of queues and policy holds, and outlives it.

#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Duration;

use jobyard_core::{
    Admin, AuditQuery, Caller, ControlError, ExecutorSpec, Fleet, InfraReason, Job, JobId, JobSpec,
    Jobs, NewJob, Outcome, QueueChange, QueueSettings, Role,
};
use jobyard_master::{Daemon, DaemonConfig, Placement};
use uuid::Uuid;

/// Nothing that a test waits for takes this long on any machine.
const GUARD: Duration = Duration::from_mins(2);

fn config(data: &Path) -> DaemonConfig {
    DaemonConfig::new(data, "127.0.0.1:0".parse().expect("an address"))
}

async fn open(config: DaemonConfig) -> Daemon {
    Daemon::open(config).await.expect("it opens")
}

fn host() -> Caller {
    Caller::host()
}

fn spec() -> JobSpec {
    JobSpec::new(ExecutorSpec::new("process", r#"{"command": ["true"]}"#))
}

async fn submit(daemon: &Daemon, n: u128, spec: JobSpec) -> JobId {
    let id = JobId::from_uuid(Uuid::from_u128(n));
    let job = NewJob::new(id, spec.validate().expect("a valid spec"));
    let jobs = daemon.master().submit(&host(), vec![job]).await;
    jobs.expect("accepted");
    id
}

async fn ended(daemon: &Daemon, job: JobId) -> Job {
    let (master, host) = (daemon.master(), host());
    let job = tokio::time::timeout(GUARD, master.wait(&host, job)).await;
    job.expect("in time").expect("a job")
}

#[tokio::test]
async fn queues_survive_a_restart_with_their_jobs() {
    let data = tempfile::tempdir().expect("a directory");
    let daemon = open(config(data.path())).await;
    let mut change = QueueChange::default();
    (change.class, change.weight, change.max_running) = (Some(2), Some(5), Some(Some(3)));
    let set = daemon.master().set_queue(&host(), "nightly", change).await;
    let mut settings = QueueSettings::default();
    (settings.class, settings.weight, settings.max_running) = (2, 5, Some(3));
    assert_eq!(set.expect("set").settings, settings);
    let mut waiting = spec();
    "nightly".clone_into(&mut waiting.queue);
    waiting.priority = 4;
    let id = submit(&daemon, 1, waiting).await;
    submit(&daemon, 2, spec()).await;
    daemon.shutdown().await;

    let daemon = open(config(data.path())).await;
    let master = daemon.master();
    let queues = master.queues(&host()).await.expect("queues");
    let shown: Vec<_> = queues
        .iter()
        .map(|queue| (queue.name.as_str(), queue.settings, queue.queued))
        .collect();
    let default = QueueSettings::default();
    assert_eq!(shown, [("default", default, 1), ("nightly", settings, 1)]);
    let job = master.job(&host(), id).await.expect("a job");
    assert_eq!(job.spec.priority, 4);
    let audit = master.audit(&host(), AuditQuery::default()).await;
    let entries = audit.expect("the trail").entries;
    let entry = entries.iter().find(|entry| entry.action == "queue.set");
    assert_eq!(entry.map(|entry| entry.subject.as_str()), Some("nightly"));

    let mut back = QueueChange::default();
    (back.class, back.weight, back.max_running) = (Some(0), Some(1), Some(None));
    let set = master.set_queue(&host(), "nightly", back).await;
    assert_eq!(set.expect("set").settings, default);
    daemon.shutdown().await;

    let daemon = open(config(data.path())).await;
    let queues = daemon.master().queues(&host()).await.expect("queues");
    assert!(queues.iter().all(|queue| queue.settings == default));
    daemon.shutdown().await;
}

#[tokio::test]
async fn who_may_see_queues_may_not_change_them() {
    let data = tempfile::tempdir().expect("a directory");
    let daemon = open(config(data.path())).await;
    let mut change = QueueChange::default();
    change.weight = Some(2);
    let viewer = Caller::new("vera", Role::Viewer);
    let queues = daemon.master().queues(&viewer).await;
    assert_eq!(queues, Ok(Vec::new()));
    for role in [Role::Viewer, Role::Submitter] {
        let caller = Caller::new("sam", role);
        let refused = daemon.master().set_queue(&caller, "team", change).await;
        assert!(matches!(refused, Err(ControlError::Forbidden { .. })));
    }
    let operator = Caller::new("olga", Role::Operator);
    let set = daemon.master().set_queue(&operator, "team", change).await;
    assert_eq!(set.expect("allowed").settings.weight, 2);
    let unusable = daemon.master().set_queue(&operator, "a/b", change).await;
    assert!(matches!(unusable, Err(ControlError::Invalid { .. })));
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_job_that_starts_too_late_does_not_start() {
    let data = tempfile::tempdir().expect("a directory");
    let daemon = open(config(data.path())).await;
    let mut impatient = spec();
    impatient.queue_timeout = Some(Duration::from_millis(50));
    let id = submit(&daemon, 1, impatient).await;
    let job = ended(&daemon, id).await;
    assert_eq!(job.outcome, Some(Outcome::TimedOut { exit: None }));
    assert!(job.attempts.is_empty());
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_master_that_is_told_to_gives_up_what_nobody_can_run() {
    let data = tempfile::tempdir().expect("a directory");
    let mut config = config(data.path());
    config.timings.fleet_grace = Duration::from_millis(1);
    config.policy.give_up_after = Some(Duration::from_millis(50));
    config.policy.placement = Placement::Pack;
    let daemon = open(config).await;
    let id = submit(&daemon, 1, spec()).await;
    let job = ended(&daemon, id).await;
    let reason = InfraReason::NoWorker;
    assert_eq!(job.outcome, Some(Outcome::Infra { reason }));
    daemon.shutdown().await;
}

#[tokio::test]
async fn its_directory_is_free_as_soon_as_it_was_shut_down() {
    let data = tempfile::tempdir().expect("a directory");
    for n in 1..=20 {
        let daemon = open(config(data.path())).await;
        submit(&daemon, n, spec()).await;
        daemon.shutdown().await;
    }
}
