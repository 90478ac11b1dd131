//! Attempts that must not outlive the lease, and drains, with a real loop and real processes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jobyard_clock::SystemClock;
use jobyard_core::{
    Assignment, AttemptContext, AttemptId, Capabilities, Clock, ConfigError, Containment,
    DeclineReason, Execution, ExecutionTrace, Executor, ExecutorFacts, ExecutorSpec, Exit, Gone,
    HeldState, InfraReason, JobSpec, Lost, MasterMessage, OnDisconnect, Outcome, Output, Residue,
    SignalError, StartError, Steady, StopSignal, Verdict, WorkerMessage,
};
use jobyard_worker::Worker;
use tokio::sync::watch;

use crate::support::{Master, Session, assignment, attempt, config, within};

/// Short, and long enough for a machine that is busy with other tests.
const LEASE: Duration = Duration::from_secs(4);

fn now() -> Steady {
    SystemClock::new().now().steady
}

fn bound(attempt: AttemptId, spec: &JobSpec) -> MasterMessage {
    let mut spec = spec.clone();
    spec.on_disconnect = OnDisconnect::Stop;
    MasterMessage::Assign(Assignment::new(attempt, spec.validate().unwrap()))
}

#[tokio::test]
async fn a_job_that_must_not_outlive_the_lease_ends_with_it_and_the_others_go_on_i5_fn2() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = Worker::start(config(data.path(), &master)).await.unwrap();
    let mut session = Session::next(&mut sessions).await;
    session.welcome_with_lease(LEASE, Vec::new()).await;
    let (stays, ends) = (attempt(1), attempt(2));
    session.assign(stays, "sleep 600").await;
    session.started(stays).await;
    let spec = (*assignment(ends, "sleep 600").spec).clone();
    session.say(bound(ends, &spec)).await;
    session.started(ends).await;
    // The master says nothing more, and hears that the attempt was stopped before the lease was over.
    let report = session.finished(ends).await;
    let reason = InfraReason::LeaseExpired;
    assert_eq!(report.outcome, Outcome::Infra { reason });
    assert!(!report.residue.unconfirmed);
    let mut session = Session::next(&mut sessions).await;
    let states: Vec<_> = session.hello.inventory.iter().collect();
    assert_eq!(states.len(), 2);
    assert!(matches!(states[0].state, HeldState::Running { .. }));
    assert!(matches!(states[1].state, HeldState::Finished(_)));
    let patient = Duration::from_mins(10);
    let verdicts = vec![(stays, Verdict::Forget), (ends, Verdict::Forget)];
    session.welcome_with_lease(patient, verdicts).await;
    drop(worker);
}

/// Runs nothing, and says until when it would.
#[derive(Debug)]
struct Listening(watch::Sender<Vec<Option<Steady>>>);

impl Listening {
    fn hear(&self, until: Option<Steady>) {
        self.0.send_modify(|heard| heard.push(until));
    }
}

#[async_trait]
impl Executor for Listening {
    fn facts(&self) -> ExecutorFacts {
        ExecutorFacts::new("listening", Containment::None, Capabilities::NONE)
    }

    fn check(&self, _: &str) -> Result<(), ConfigError> {
        Ok(())
    }

    async fn start(
        &self,
        context: AttemptContext,
        _: Output,
    ) -> Result<Box<dyn Execution>, StartError> {
        self.hear(context.until);
        Ok(Box::new(Attempt {
            heard: Self(self.0.clone()),
            lost: watch::Sender::new(false),
        }))
    }

    async fn adopt(
        &self,
        _: AttemptContext,
        _: Option<ExecutionTrace>,
        _: Output,
    ) -> Result<Box<dyn Execution>, Gone> {
        Err(Gone::new(0))
    }
}

/// Is lost with its lease when it is extended for the second time, as by a launcher that found that too late.
#[derive(Debug)]
struct Attempt {
    heard: Listening,
    lost: watch::Sender<bool>,
}

#[async_trait]
impl Execution for Attempt {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn trace(&self) -> Option<ExecutionTrace> {
        None
    }

    async fn signal(&self, _: StopSignal) -> Result<(), SignalError> {
        Err(SignalError::Unsupported)
    }

    async fn kill(&self) -> Result<(), SignalError> {
        Ok(())
    }

    async fn extend(&self, until: Steady) {
        self.heard.hear(Some(until));
        self.lost.send_replace(self.heard.0.borrow().len() > 2);
    }

    async fn wait(&self) -> Result<Exit, Lost> {
        let _ = self.lost.subscribe().wait_for(|lost| *lost).await;
        Err(Lost::new(InfraReason::LeaseExpired, "its time was over"))
    }

    async fn cleanup(self: Box<Self>) -> Residue {
        Residue::default()
    }
}

#[tokio::test]
async fn an_executor_is_told_how_long_and_each_answered_heartbeat_moves_that_on_i5() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let heard = watch::Sender::new(Vec::new());
    let mut config = config(data.path(), &master);
    config.executors = vec![Arc::new(Listening(heard.clone()))];
    let before = now();
    let worker = Worker::start(config).await.unwrap();
    let mut session = Session::next(&mut sessions).await;
    let lease = Duration::from_mins(10);
    session
        .welcome_with_heartbeat(Duration::from_millis(200), lease)
        .await;
    let a = attempt(1);
    let spec = JobSpec::new(ExecutorSpec::new("listening", "{}"));
    session.say(bound(a, &spec)).await;
    // Answers to the heartbeats after the welcome, which moves nothing on, and to the next two.
    for _ in 0..4 {
        session.beat().await;
        session.say(MasterMessage::Heartbeat).await;
    }
    let report = session.finished_after_start(a).await;
    let reason = InfraReason::LeaseExpired;
    assert_eq!(report.outcome, Outcome::Infra { reason });
    let heard: Vec<_> = heard.borrow().iter().map(|until| until.unwrap()).collect();
    assert!(heard.len() >= 3, "{heard:?}");
    assert!(heard.is_sorted(), "{heard:?}");
    assert!(heard[0] >= before + lease && heard[0] <= now() + lease);
    drop(worker);
}

#[tokio::test]
async fn a_job_without_such_a_wish_has_no_such_time() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let heard = watch::Sender::new(Vec::new());
    let mut config = config(data.path(), &master);
    config.executors = vec![Arc::new(Listening(heard.clone()))];
    let worker = Worker::start(config).await.unwrap();
    let mut session = Session::open(&mut sessions).await;
    let spec = JobSpec::new(ExecutorSpec::new("listening", "{}"));
    let assignment = Assignment::new(attempt(1), spec.validate().unwrap());
    session.say(MasterMessage::Assign(assignment)).await;
    let mut heard = heard.subscribe();
    let first = within(heard.wait_for(|heard| !heard.is_empty())).await;
    assert_eq!(*first.unwrap(), [None]);
    drop(worker);
}

#[tokio::test]
async fn what_comes_in_one_breath_with_a_drain_is_declined_fw14() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = Worker::start(config(data.path(), &master)).await.unwrap();
    let mut session = Session::open(&mut sessions).await;
    let (a, b) = (attempt(1), attempt(2));
    session
        .say_all(vec![
            MasterMessage::Assign(assignment(a, "sleep 600")),
            MasterMessage::Draining(true),
            MasterMessage::Assign(assignment(b, "sleep 600")),
        ])
        .await;
    for attempt in [a, b] {
        let reason = DeclineReason::Stopping;
        let declined = WorkerMessage::Declined { attempt, reason };
        assert_eq!(session.hear().await, declined);
    }
    session.say(MasterMessage::Draining(false)).await;
    let c = attempt(3);
    session.assign(c, "exit 0").await;
    session.started(c).await;
    assert_eq!(session.finished(c).await.outcome, Outcome::Succeeded);
    drop(worker);
}
