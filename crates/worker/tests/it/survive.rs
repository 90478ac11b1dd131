//! A worker ends and what it started goes on, with an executor that keeps hold of attempts beyond its worker's life.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jobyard_core::{
    Assignment, AttemptContext, AttemptId, AttemptReport, Capabilities, ComplaintKind, ConfigError,
    Containment, Execution, ExecutionTrace, Executor, ExecutorFacts, ExecutorSpec, Exit, Gone,
    HeldState, InfraReason, JobSpec, KilledProcess, Lost, MasterMessage, Outcome, Output, Residue,
    SignalError, StartError, StopSignal, Timestamp, WorkerMessage,
};
use jobyard_worker::agent::{ExitReason, JournalEntry, ShutdownMode};
use jobyard_worker::journal::Journal;
use jobyard_worker::{Worker, WorkerHandle, facts};
use tokio::sync::watch;

use crate::support::{Master, Session, attempt, config, within};

/// What goes on whoever looks after it: a launcher, as far as a worker can tell.
#[derive(Debug, Default)]
struct World {
    attempts: Mutex<BTreeMap<AttemptId, watch::Sender<Option<Exit>>>>,
    residues: Mutex<BTreeMap<AttemptId, Residue>>,
    starts: Mutex<Vec<AttemptId>>,
    killed: Mutex<Vec<AttemptId>>,
    forgotten: watch::Sender<Vec<AttemptId>>,
}

impl World {
    fn exit(&self, attempt: AttemptId, code: i32) {
        self.attempts.lock().unwrap()[&attempt].send_replace(Some(Exit::Exited(code)));
    }

    async fn forgot(&self, attempt: AttemptId) {
        let mut forgotten = self.forgotten.subscribe();
        let forgot = forgotten.wait_for(|forgotten| forgotten.contains(&attempt));
        within(forgot).await.unwrap();
    }

    fn execution(self: &Arc<Self>, attempt: AttemptId) -> Option<Box<dyn Execution>> {
        let exit = self.attempts.lock().unwrap().get(&attempt)?.subscribe();
        Some(Box::new(Kept {
            attempt,
            exit,
            world: Some(Arc::clone(self)),
        }))
    }
}

/// One life's way to the world.
#[derive(Debug)]
struct Keeper(Arc<World>);

#[async_trait]
impl Executor for Keeper {
    fn facts(&self) -> ExecutorFacts {
        let capabilities = Capabilities::NONE.with_adopt().with_process_tree();
        ExecutorFacts::new("kept", Containment::Hard, capabilities)
    }

    fn check(&self, _: &str) -> Result<(), ConfigError> {
        Ok(())
    }

    async fn start(
        &self,
        context: AttemptContext,
        _: Output,
    ) -> Result<Box<dyn Execution>, StartError> {
        let attempt = context.attempt;
        self.0.starts.lock().unwrap().push(attempt);
        let (sender, _) = watch::channel(None);
        self.0.attempts.lock().unwrap().insert(attempt, sender);
        Ok(self.0.execution(attempt).unwrap())
    }

    async fn adopt(
        &self,
        context: AttemptContext,
        _: Option<ExecutionTrace>,
        _: Output,
    ) -> Result<Box<dyn Execution>, Gone> {
        self.0.execution(context.attempt).ok_or(Gone::new(0))
    }

    async fn forget(&self, attempt: AttemptId) {
        self.0
            .forgotten
            .send_modify(|forgotten| forgotten.push(attempt));
    }
}

/// Kills what it is dropped with, unless it let go of it.
#[derive(Debug)]
struct Kept {
    attempt: AttemptId,
    exit: watch::Receiver<Option<Exit>>,
    world: Option<Arc<World>>,
}

#[async_trait]
impl Execution for Kept {
    fn pid(&self) -> Option<u32> {
        Some(1)
    }

    fn trace(&self) -> Option<ExecutionTrace> {
        None
    }

    async fn signal(&self, _: StopSignal) -> Result<(), SignalError> {
        Err(SignalError::Unsupported)
    }

    async fn kill(&self) -> Result<(), SignalError> {
        self.world.as_ref().unwrap().exit(self.attempt, 137);
        Ok(())
    }

    async fn wait(&self) -> Result<Exit, Lost> {
        let mut exit = self.exit.clone();
        let exit = exit.wait_for(Option::is_some).await;
        Ok(exit.unwrap().unwrap())
    }

    async fn cleanup(mut self: Box<Self>) -> Residue {
        let world = self.world.take().unwrap();
        let mut residues = world.residues.lock().unwrap();
        residues.remove(&self.attempt).unwrap_or_default()
    }

    async fn detach(mut self: Box<Self>) {
        self.world = None;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(world) = &self.world {
            world.killed.lock().unwrap().push(self.attempt);
        }
    }
}

async fn live(data: &Path, master: &Arc<Master>, world: &Arc<World>) -> WorkerHandle {
    let mut config = config(data, master);
    config.executors = vec![Arc::new(Keeper(Arc::clone(world)))];
    Worker::start(config).await.unwrap()
}

fn assignment(attempt: AttemptId) -> Assignment {
    let spec = JobSpec::new(ExecutorSpec::new("kept", "{}"));
    Assignment::new(attempt, spec.validate().unwrap())
}

async fn run(session: &mut Session, attempt: AttemptId) {
    session
        .say(MasterMessage::Assign(assignment(attempt)))
        .await;
    session.started(attempt).await;
}

/// How an attempt ended that this worker took over: it says so in its hello, or after it.
async fn ended(session: &mut Session, attempt: AttemptId) -> AttemptReport {
    match session.hello.inventory[0].state.clone() {
        HeldState::Finished(report) => report,
        _ => session.finished(attempt).await,
    }
}

async fn detach(worker: &WorkerHandle) {
    worker.shutdown(ShutdownMode::Detach).await;
    let (running, unconfirmed) = (1, 0);
    assert_eq!(
        within(worker.wait()).await,
        ExitReason::Detached {
            running,
            unconfirmed
        }
    );
}

#[tokio::test]
async fn a_detach_leaves_what_runs_and_the_next_life_goes_on_with_it() {
    let data = tempfile::tempdir().unwrap();
    let world = Arc::new(World::default());
    let (master, mut sessions) = Master::new();
    let worker = live(data.path(), &master, &world).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    run(&mut session, a).await;
    detach(&worker).await;
    session.left().await;
    assert!(world.killed.lock().unwrap().is_empty());

    let worker = live(data.path(), &master, &world).await;
    let mut session = Session::open(&mut sessions).await;
    assert!(matches!(
        session.hello.inventory[0].state,
        HeldState::Running { .. }
    ));
    world.exit(a, 0);
    assert_eq!(session.finished(a).await.outcome, Outcome::Succeeded);
    world.forgot(a).await;
    assert_eq!(*world.starts.lock().unwrap(), [a], "started once");
    drop(worker);
}

#[tokio::test]
async fn what_ended_while_no_worker_was_there_is_reported_as_it_ended() {
    let data = tempfile::tempdir().unwrap();
    let world = Arc::new(World::default());
    let (master, mut sessions) = Master::new();
    let worker = live(data.path(), &master, &world).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    run(&mut session, a).await;
    detach(&worker).await;
    world.exit(a, 7);

    let worker = live(data.path(), &master, &world).await;
    let mut session = Session::open(&mut sessions).await;
    let report = ended(&mut session, a).await;
    let exit = Exit::Exited(7);
    assert_eq!(report.outcome, Outcome::Failed { exit });
    world.forgot(a).await;
    drop(worker);
}

#[tokio::test]
async fn what_was_accepted_and_never_began_is_not_begun_by_the_next_life() {
    let data = tempfile::tempdir().unwrap();
    let a = attempt(1);
    let accepted = JournalEntry::Accepted {
        attempt: a,
        spec: assignment(a).spec,
        env: [].into(),
        boot: facts::boot_id(),
    };
    write(data.path(), &[accepted]);
    let world = Arc::new(World::default());
    let (master, mut sessions) = Master::new();
    let worker = live(data.path(), &master, &world).await;
    let mut session = Session::open(&mut sessions).await;
    let report = ended(&mut session, a).await;
    let reason = InfraReason::WorkerRestarted;
    assert_eq!(report.outcome, Outcome::Infra { reason });
    assert!(world.starts.lock().unwrap().is_empty());
    drop(worker);
}

#[tokio::test]
async fn an_executor_hears_again_of_an_end_that_is_written_down() {
    let data = tempfile::tempdir().unwrap();
    let a = attempt(1);
    let at = Timestamp::from_micros(5);
    let report = AttemptReport::new(a, Outcome::Succeeded, at);
    write(data.path(), &[JournalEntry::Finished(report)]);
    let world = Arc::new(World::default());
    let (master, _sessions) = Master::new();
    let worker = live(data.path(), &master, &world).await;
    world.forgot(a).await;
    drop(worker);
}

#[tokio::test]
async fn what_cannot_be_killed_closes_the_worker_until_it_is_gone() {
    let data = tempfile::tempdir().unwrap();
    let world = Arc::new(World::default());
    let (master, mut sessions) = Master::new();
    let worker = live(data.path(), &master, &world).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    run(&mut session, a).await;
    // This process: it goes on.
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let process = KilledProcess::new(std::process::id(), name.trim_end().to_owned());
    let mut residue = Residue::default();
    residue.unconfirmed = true;
    residue.processes = vec![process];
    world.residues.lock().unwrap().insert(a, residue);
    world.exit(a, 0);
    let WorkerMessage::Complaints(complaints) = session.hear().await else {
        panic!("it complains");
    };
    assert_eq!(complaints[0].kind, ComplaintKind::Tainted);
    assert_eq!(session.hear().await, WorkerMessage::Accepting(false));
    assert!(session.finished(a).await.residue.unconfirmed);
    session.forget(a).await;
    worker.shutdown(ShutdownMode::Stop).await;
    within(worker.wait()).await;

    // A restart alone does not help while the process is there.
    let worker = live(data.path(), &master, &world).await;
    assert!(!Session::open(&mut sessions).await.hello.accepting);
    worker.shutdown(ShutdownMode::Stop).await;
    within(worker.wait()).await;
    let of_another = JournalEntry::Untainted { attempt: a };
    write(data.path(), &[of_another]);
    let worker = live(data.path(), &master, &world).await;
    assert!(Session::open(&mut sessions).await.hello.accepting);
    drop(worker);
}

#[tokio::test]
async fn a_worker_without_room_says_so_to_each_master() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let mut config = config(data.path(), &master);
    config.protection.min_free_disk = u64::MAX;
    let worker = Worker::start(config).await.unwrap();
    for _ in 0..2 {
        let mut session = Session::open(&mut sessions).await;
        assert!(!session.hello.accepting);
        let WorkerMessage::Complaints(complaints) = session.hear().await else {
            panic!("it complains");
        };
        assert_eq!(complaints[0].kind, ComplaintKind::Disk);
    }
    drop(worker);
}

fn write(data: &Path, entries: &[JournalEntry]) {
    let (mut journal, _) = Journal::open(&data.join("journal")).unwrap();
    journal.append(entries).unwrap();
}
