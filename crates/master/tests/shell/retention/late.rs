//! Output that is settled, or can be removed, later than others.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    Attempt, AttemptId, AttemptNumber, Batch, Change, Clock, Epoch, Jobs, LogChunk, LogRemoval,
    LogState, LogStore, Now, Outcome, OutputStream, Steady, Store, Timestamp, WorkerId,
};
use jobyard_master::records::{JOB, JobRecord, read};
use jobyard_master::{Master, MasterConfig};
use jobyard_store::MemoryStore;
use tokio::time::Instant;
use uuid::Uuid;

use super::frail::Frail;
use crate::house::{GUARD, host, id, over, parts_with, start};

const KIB: usize = 1_024;

/// How much each job here has printed.
const PRINTED: usize = 8 * KIB;

const A_MINUTE: Duration = Duration::from_mins(1);

/// When the test begins, by the wall clock.
const START: Duration = Duration::from_hours(24 * 365 * 50);

/// Goes as the runtime's timer does, which a test may turn.
#[derive(Debug)]
struct TurnedClock(Instant);

impl Clock for TurnedClock {
    fn now(&self) -> Now {
        let since = u64::try_from(self.0.elapsed().as_micros()).expect("not for so long");
        let wall = START + self.0.elapsed();
        Now {
            wall: Timestamp::from_micros(i64::try_from(wall.as_micros()).expect("not so late")),
            steady: Steady::from_micros(since),
        }
    }
}

fn attempt(n: u128) -> AttemptId {
    AttemptId::new(id(n), AttemptNumber::FIRST)
}

/// What a master leaves behind whose jobs are over: the store and the logs.
struct Left {
    store: Arc<MemoryStore>,
    logs: Arc<Frail>,
    clock: Arc<TurnedClock>,
    epoch: Epoch,
}

impl Left {
    fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            logs: Arc::new(Frail::new()),
            clock: Arc::new(TurnedClock(Instant::now())),
            epoch: Epoch::ZERO,
        }
    }

    fn parts(&self, data: &Path) -> MasterConfig {
        let mut parts = parts_with(data, Arc::clone(&self.store) as _);
        parts.logs = Arc::clone(&self.logs) as _;
        parts.clock = Arc::clone(&self.clock) as _;
        parts
    }

    /// Jobs that ran and ended one after another. Their output is there, or still on its way from a worker that
    /// nobody knows any more.
    async fn ran(&mut self, data: &Path, jobs: &[(u128, LogState)]) {
        let master = start(self.parts(data)).await;
        for (n, _) in jobs {
            over(&master, *n).await;
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        master.shutdown().await;
        let lead = self.store.lead("before", GUARD, Epoch::ZERO).await;
        self.epoch = lead.expect("it leads").epoch;
        let mut changes = Vec::new();
        for (n, log) in jobs {
            self.printed(attempt(*n), PRINTED).await;
            let record = self.store.get(JOB, &id(*n).to_string()).await;
            let record = record.expect("readable").expect("a record");
            let mut job: JobRecord = read(&record).expect("a job");
            let worker = WorkerId::from_uuid(Uuid::from_u128(7));
            let at = Timestamp::default();
            let mut ran = Attempt::new(attempt(*n), worker, "w".to_owned(), at);
            ran.outcome = Some(Outcome::Succeeded);
            ran.log = *log;
            // Of what is lost from its beginning on, no byte counts as held.
            if *log != LogState::LostFrom(0) {
                ran.log_bytes = PRINTED as u64;
            }
            job.attempts.push(ran);
            let is_live = *log == LogState::Uploading;
            changes.push(Change::Put(job.to_record(is_live)));
        }
        let batch = Batch { number: 1, changes };
        let committed = self.store.commit(self.epoch, batch).await;
        committed.expect("durable");
        self.store.resign(self.epoch).await.expect("it goes");
    }

    /// So many bytes of output.
    async fn printed(&self, attempt: AttemptId, bytes: usize) {
        let bytes = Bytes::from(vec![b'x'; bytes]);
        let chunk = LogChunk::new(0, OutputStream::Stdout, Timestamp::default(), bytes);
        let appended = self.logs.append(self.epoch, attempt, vec![chunk]).await;
        appended.expect("taken");
    }

    async fn held(&self, n: u128) -> u64 {
        self.logs.status(attempt(n)).await.expect("readable").end
    }
}

/// Turns the clock until this is so of the first attempt of a job.
async fn until(master: &Master, n: u128, wanted: impl Fn(&Attempt) -> bool) {
    let begun = std::time::Instant::now();
    loop {
        let job = master.job(&host(), id(n)).await.expect("it is known");
        if wanted(&job.attempts[0]) {
            return;
        }
        assert!(begun.elapsed() < GUARD, "job {n}: {:?}", job.attempts[0]);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

fn is_removed(why: LogRemoval) -> impl Fn(&Attempt) -> bool {
    move |attempt| matches!(attempt.log, LogState::Removed { why: said, .. } if said == why)
}

/// The first ended before the second, and its output was settled only after everything else had been removed.
async fn the_first_settles_last(configure: impl Fn(&mut MasterConfig), why: LogRemoval) {
    let data = tempfile::tempdir().expect("a directory");
    let mut left = Left::new();
    let jobs = [(1, LogState::Uploading), (2, LogState::Complete)];
    left.ran(data.path(), &jobs).await;
    // What takes more than the budget by itself belongs to a job that goes on.
    left.printed(attempt(3), 60 * KIB).await;
    left.logs.hold_seals(true);
    let mut parts = left.parts(data.path());
    configure(&mut parts);
    let master = start(parts).await;
    until(&master, 2, is_removed(why)).await;
    // Whoever removes has nothing left to look at.
    for _ in 0..100 {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(left.held(1).await, PRINTED as u64, "it is on its way");
    left.logs.hold_seals(false);
    until(&master, 1, is_removed(why)).await;
    assert_eq!(left.held(1).await, 0);
    assert_eq!(left.held(3).await, 60 * KIB as u64);
    master.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn output_that_settled_late_makes_room_too() {
    let budget = |parts: &mut MasterConfig| parts.retention.log_budget = Some(64 * KIB as u64);
    the_first_settles_last(budget, LogRemoval::Room).await;
}

#[tokio::test(start_paused = true)]
async fn output_that_settled_late_goes_by_age_too() {
    let age = |parts: &mut MasterConfig| parts.retention.logs_for = Some(A_MINUTE);
    the_first_settles_last(age, LogRemoval::Age).await;
}

/// Turns the clock until nothing is held of a job's output.
async fn until_nothing_is_held(left: &Left, n: u128) {
    let begun = std::time::Instant::now();
    while left.held(n).await > 0 {
        assert!(begun.elapsed() < GUARD, "the output of job {n} stays");
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn output_that_cannot_be_removed_is_removed_later() {
    let data = tempfile::tempdir().expect("a directory");
    let mut left = Left::new();
    left.ran(data.path(), &[(1, LogState::Complete)]).await;
    left.logs.fail_removals(attempt(1), 2);
    let mut parts = left.parts(data.path());
    parts.retention.logs_for = Some(A_MINUTE);
    let master = start(parts).await;
    until(&master, 1, is_removed(LogRemoval::Age)).await;
    until_nothing_is_held(&left, 1).await;
    master.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn output_that_counts_as_lost_goes_too() {
    let data = tempfile::tempdir().expect("a directory");
    let mut left = Left::new();
    left.ran(data.path(), &[(1, LogState::LostFrom(0))]).await;
    let mut parts = left.parts(data.path());
    parts.retention.logs_for = Some(A_MINUTE);
    let master = start(parts).await;
    until_nothing_is_held(&left, 1).await;
    until(&master, 1, is_removed(LogRemoval::Age)).await;
    master.shutdown().await;
}

/// A disk that does not take the end of a log so often costs none of its bytes.
async fn what_is_held_counts(failures: u32) {
    let data = tempfile::tempdir().expect("a directory");
    let mut left = Left::new();
    left.ran(data.path(), &[(1, LogState::Uploading)]).await;
    left.logs.fail_seals(attempt(1), failures);
    let master = start(left.parts(data.path())).await;
    until(&master, 1, |attempt| attempt.log != LogState::Uploading).await;
    let job = master.job(&host(), id(1)).await.expect("it is known");
    assert_eq!(job.attempts[0].log, LogState::Complete);
    assert_eq!(job.attempts[0].log_bytes, PRINTED as u64);
    let held = left.logs.status(attempt(1)).await.expect("readable");
    assert_eq!(held.is_sealed(), failures != u32::MAX);
    master.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_could_not_be_sealed_at_once_is_sealed_later() {
    what_is_held_counts(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_never_sealed_keeps_what_is_held() {
    what_is_held_counts(u32::MAX).await;
}
