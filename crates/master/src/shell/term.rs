//! A term: from leading the store to losing it. The task that owns the engine.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jobyard_clock::sleep_until;
use jobyard_core::{
    Batch, CommitError, Epoch, LeadError, LoadError, MAX_BATCH_CHANGES, RecordKind, RecordQuery,
};
use tokio::sync::mpsc;
use tracing::{info, warn};
use uuid::Uuid;

use super::interregnum;
use super::requests::Request;
use super::shared::{Progress, Shared};
use super::stall::{Backlog, Stall};
use super::upkeep::Upkeep;
use crate::engine::{Committed, Effect, Engine, HeldEffects, Input, RETENTION_KEY, Sealed};
use crate::records::{
    AUDIT, Counters, DamagedRecord, EVENT, JOB, LIVE_KINDS, RetentionRecord, read,
};

/// How long a leader lease lasts, for stores that several masters share.
const LEADER_TTL: Duration = Duration::from_secs(15);

/// At how many changes the engine is fed no more before a commit: a submit of the largest size still fits above it.
const BATCH_WATERMARK: usize = MAX_BATCH_CHANGES / 4;

/// A term that has begun.
#[derive(Debug)]
pub(super) struct Term {
    epoch: Epoch,
    engine: Engine,
    /// How many finished jobs the store held at its beginning; 0 if their number does not matter.
    finished_jobs: u64,
}

/// How a term ended.
enum End {
    Stopped,
    Failed {
        problem: CommitError,
        /// Whether anything was made durable in it.
        committed: bool,
    },
}

/// A commit in flight. It gives the batch back: one that finds no room is tried again.
type Commit = Pin<Box<dyn Future<Output = (Result<(), CommitError>, Batch)> + Send>>;

/// Leads the store and loads the engine.
pub(super) async fn begin(shared: &Shared) -> Result<Term, StartError> {
    let config = &shared.config;
    let leadership = config
        .store
        .lead(&config.name, LEADER_TTL, shared.epoch())
        .await?;
    let epoch = leadership.epoch;
    let counters = counters(shared, epoch).await?;
    let finished_jobs = match config.retention.jobs {
        Some(_) => config.store.count(JOB, false).await?,
        None => 0,
    };
    let mut policy = config.policy.clone();
    policy.hash_seed = random();
    let mut restore = Engine::restore(config.timings, policy, counters);
    let mut snapshot = config.store.load(epoch, &LIVE_KINDS).await?;
    let mut records = 0_u64;
    loop {
        let portion = snapshot.next().await?;
        if portion.is_empty() {
            break;
        }
        for record in &portion {
            restore.add(record)?;
            records += 1;
        }
    }
    shared.gate.clear_grants();
    shared.set_epoch(epoch);
    shared.progress.send_modify(|progress| {
        progress.event_seq = counters.event_seq;
        progress.retired = 0;
    });
    info!(%epoch, records, "leading");
    Ok(Term {
        epoch,
        engine: restore.finish(config.clock.now()),
        finished_jobs,
    })
}

/// Where the counters stand that no live record holds.
async fn counters(shared: &Shared, epoch: Epoch) -> Result<Counters, StartError> {
    let (kind, key) = RETENTION_KEY;
    let retention = shared.config.store.get(kind, key).await?;
    let retention = retention.as_ref().map(read::<RetentionRecord>);
    let removed = retention.transpose()?.unwrap_or_default().sequence;
    Ok(Counters {
        epoch,
        job_sequence: highest(shared, JOB).await?.max(removed),
        audit_seq: highest(shared, AUDIT).await?,
        event_seq: highest(shared, EVENT).await?,
    })
}

/// Serves term after term, until the master is stopped or cannot go on.
pub(super) async fn serve(shared: Arc<Shared>, first: Term, mut inbox: mpsc::Receiver<Request>) {
    let mut term = first;
    let mut pauses = interregnum::Pauses::default();
    loop {
        let epoch = term.epoch;
        let upkeep = Upkeep::start(&shared, epoch, term.finished_jobs);
        let end = run(&shared, term, &mut inbox).await;
        upkeep.stop();
        shared.replies.abandon_all();
        match end {
            End::Stopped => {
                shared.ports.close_all();
                if let Err(problem) = shared.config.store.resign(epoch).await {
                    warn!(%problem, "the term was not resigned");
                }
                break;
            }
            End::Failed { problem, committed } => {
                shared.ports.close_all();
                if committed {
                    pauses = interregnum::Pauses::default();
                }
                match interregnum::bridge(&shared, &mut inbox, &mut pauses, problem).await {
                    Some(next) => term = next,
                    None => break,
                }
            }
        }
        shared.hub.notify_all();
    }
    shared.stopping.cancel();
    shared.stopped.cancel();
}

/// Feeds the engine and commits what it wants, one commit in flight at a time. While one is in flight, the next batch
/// grows: hundreds of jobs share an fsync when there are hundreds, and one waits for nobody when it is alone. While one
/// finds no room, it is tried again and the engine decides nothing.
async fn run(shared: &Arc<Shared>, term: Term, inbox: &mut mpsc::Receiver<Request>) -> End {
    let Term {
        epoch, mut engine, ..
    } = term;
    let mut number = 0;
    let mut committed = false;
    let mut held: Option<HeldEffects> = None;
    let mut sealed = Progress::default();
    let mut commit: Option<Commit> = None;
    let mut stall: Option<Stall> = None;
    let mut backlog = Backlog::default();
    loop {
        if commit.is_none() {
            catch_up(shared, &mut engine, &mut backlog);
            match next_batch(shared, &mut engine, epoch, &mut number).await {
                Next::Commit(future, effects) => {
                    (commit, held) = (Some(future), Some(effects));
                    // Until it is durable the engine goes on.
                    sealed = Progress::of(&engine);
                }
                Next::Nothing if shared.stopping.is_cancelled() => return End::Stopped,
                Next::Nothing => {}
            }
        }
        let decides = stall.is_none() && backlog.is_empty();
        let has_room = engine.pending_changes() < BATCH_WATERMARK;
        let deadline = engine.next_deadline();
        tokio::select! {
            biased;
            (result, batch) = in_flight(&mut commit), if commit.is_some() => match result {
                Ok(()) => {
                    (commit, committed) = (None, true);
                    if let Some(stall) = stall.take() {
                        backlog = stall.end();
                    }
                    shared.failpoints.committed();
                    shared.publish(sealed);
                    let proof = Committed::batch(batch.number);
                    let effects = held.take().map(|held| held.release(&proof));
                    carry_out(shared, &mut engine, effects.unwrap_or_default()).await;
                    shared.failpoints.told();
                }
                Err(CommitError::Full { problem }) => {
                    let stall = stall.get_or_insert_with(|| Stall::begin(shared));
                    commit = Some(commit_after(stall.pause(&problem), shared, epoch, batch));
                }
                Err(problem) => return End::Failed { problem, committed },
            },
            request = inbox.recv(), if stall.is_some() || decides && has_room => {
                let Some(request) = request else { return End::Stopped };
                match &mut stall {
                    Some(stall) => stall.receive(shared, &mut engine, request),
                    None => feed(shared, &mut engine, request, inbox),
                }
            }
            () = sleep_until(&*shared.config.clock, deadline), if decides => {
                engine.handle(shared.config.clock.now(), Input::DeadlineReached);
            }
            () = shared.stopping.cancelled(), if commit.is_none() || stall.is_some() => {
                return End::Stopped;
            }
        }
    }
}

enum Next {
    Commit(Commit, HeldEffects),
    Nothing,
}

/// Starts the next commit, or carries out at once what waits for none.
async fn next_batch(
    shared: &Arc<Shared>,
    engine: &mut Engine,
    epoch: Epoch,
    number: &mut u64,
) -> Next {
    while !engine.is_quiet() {
        match engine.take_outbox().seal(*number + 1) {
            Sealed::Free(effects) => {
                if !jobyard_core::mutated("a reply goes before its commit") {
                    shared.failpoints.sealed(&[]);
                }
                carry_out(shared, engine, effects).await;
                shared.failpoints.told();
            }
            Sealed::AfterCommit(batch, effects) => {
                shared.failpoints.sealed(&batch.changes);
                *number += 1;
                let commit = commit_after(Duration::ZERO, shared, epoch, batch);
                return Next::Commit(commit, effects);
            }
        }
    }
    Next::Nothing
}

fn commit_after(pause: Duration, shared: &Shared, epoch: Epoch, batch: Batch) -> Commit {
    let store = Arc::clone(&shared.config.store);
    Box::pin(async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        (store.commit(epoch, batch.clone()).await, batch)
    })
}

async fn in_flight(commit: &mut Option<Commit>) -> (Result<(), CommitError>, Batch) {
    match commit {
        Some(commit) => commit.await,
        None => std::future::pending().await,
    }
}

/// Hands over what has waited for room, as much as a batch takes.
fn catch_up(shared: &Shared, engine: &mut Engine, backlog: &mut Backlog) {
    while engine.pending_changes() < BATCH_WATERMARK
        && let Some(input) = backlog.next()
    {
        shared.failpoints.taken(&input);
        engine.handle(shared.config.clock.now(), input);
    }
}

/// Hands over a request, and those that have come meanwhile.
fn feed(shared: &Shared, engine: &mut Engine, first: Request, inbox: &mut mpsc::Receiver<Request>) {
    let mut next = Some(first);
    while let Some(request) = next {
        match request {
            Request::Tell(input) => {
                shared.failpoints.taken(&input);
                engine.handle(shared.config.clock.now(), input);
            }
            Request::Ask(ask) => ask.answer(shared.config.clock.now(), engine),
        }
        if engine.pending_changes() >= BATCH_WATERMARK {
            break;
        }
        next = inbox.try_recv().ok();
    }
}

async fn carry_out(shared: &Arc<Shared>, engine: &mut Engine, effects: Vec<Effect>) {
    for input in super::effects::carry_out(shared, effects).await {
        engine.handle(shared.config.clock.now(), input);
    }
}

/// A number that nobody outside can guess: the random half of a fresh UUID.
fn random() -> u64 {
    Uuid::now_v7().as_u64_pair().1
}

/// The highest place of any record of a kind.
async fn highest(shared: &Shared, kind: RecordKind) -> Result<u64, StartError> {
    let page = shared.config.store.list(RecordQuery::new(kind, 1)).await?;
    Ok(page.records.first().map_or(0, |record| record.fields.order))
}

/// Why a master did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It does not lead.
    #[error(transparent)]
    Lead(#[from] LeadError),
    /// What it remembers cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A record is damaged.
    #[error(transparent)]
    Damaged(#[from] DamagedRecord),
}
