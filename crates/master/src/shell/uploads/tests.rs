use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_clock::SystemClock;
use jobyard_core::{
    AttemptNumber, Clock, Epoch, JobId, LogChunk, LogState, LogStatus, OutputStream, Timestamp,
};
use jobyard_pki::LocalAuthority;
use jobyard_store::{FileLogs, MemoryStore};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::super::requests::{Inbox, Request};
use super::*;
use crate::config::MasterConfig;
use crate::engine::Input;

/// Where the files of [`attempt`] are.
const PLACE: &str = "logs/ab/cd";

/// Within the first chunk of a segment.
const IN_THE_FIRST_CHUNK: usize = 40 + 32 + 1;

const WORKER: WorkerId = WorkerId::from_uuid(Uuid::from_u128(7));

fn attempt() -> AttemptId {
    let job = JobId::from_uuid(Uuid::from_u128(0xabcd));
    AttemptId::new(job, AttemptNumber::FIRST)
}

fn chunk(offset: u64, text: &'static str) -> LogChunk {
    let bytes = Bytes::from_static(text.as_bytes());
    LogChunk::new(offset, OutputStream::Stdout, Timestamp::default(), bytes)
}

/// Changes a bit in the only segment of the log.
fn damage(data: &Path) {
    let mut files = std::fs::read_dir(data.join(PLACE)).expect("a directory");
    let segment = files.next().expect("a segment").expect("a segment").path();
    let mut bytes = std::fs::read(&segment).expect("a segment");
    bytes[IN_THE_FIRST_CHUNK] ^= 1;
    std::fs::write(&segment, bytes).expect("a segment");
}

fn open(data: &Path) -> FileLogs {
    FileLogs::open(data.join("logs")).expect("logs")
}

/// Which holds two chunks that were durable one after the other.
async fn written(data: &Path) -> FileLogs {
    use jobyard_core::LogStore;
    let logs = open(data);
    for chunk in [chunk(0, "first "), chunk(6, "second")] {
        let appended = logs.append(Epoch::ZERO, attempt(), vec![chunk]).await;
        appended.expect("taken");
    }
    logs
}

/// A master's shell over these logs, where the worker may upload; and what reaches its engine.
fn shell(data: &Path, logs: FileLogs) -> (Shared, mpsc::Receiver<Request>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let authority = LocalAuthority::open_or_create(&data.join("pki"), Arc::clone(&clock));
    let authority = Arc::new(authority.expect("an authority"));
    let store = Arc::new(MemoryStore::new());
    let config = MasterConfig::new("test", store, Arc::new(logs), authority, clock);
    let (inbox, requests) = Inbox::new();
    let shared = Shared::new(config, inbox);
    shared.gate.grant(attempt(), WORKER);
    (shared, requests)
}

/// A link on which the worker says this, and what it is answered.
fn link(
    frames: Vec<UploadFrame>,
) -> (
    Link<UploadAnswer, UploadFrame>,
    mpsc::Receiver<UploadAnswer>,
) {
    let (answers, answered) = mpsc::channel(16);
    let link = Link {
        sender: Box::new(Answers(answers)),
        receiver: Box::new(Frames(Some(frames))),
    };
    (link, answered)
}

struct Answers(mpsc::Sender<UploadAnswer>);

#[async_trait]
impl LinkSender<UploadAnswer> for Answers {
    async fn send(&mut self, answers: Vec<UploadAnswer>) -> Result<(), LinkError> {
        for answer in answers {
            self.0.try_send(answer).expect("room");
        }
        Ok(())
    }
}

struct Frames(Option<Vec<UploadFrame>>);

#[async_trait]
impl LinkReceiver<UploadFrame> for Frames {
    async fn receive(&mut self) -> Result<Vec<UploadFrame>, LinkError> {
        match self.0.take() {
            Some(frames) => Ok(frames),
            None => std::future::pending().await,
        }
    }
}

async fn all(mut answered: mpsc::Receiver<UploadAnswer>) -> Vec<UploadAnswer> {
    let mut answers = Vec::new();
    answered.recv_many(&mut answers, 16).await;
    answers
}

/// How the engine was told that the log ended.
async fn settled(requests: &mut mpsc::Receiver<Request>) -> LogStatus {
    match requests.recv().await {
        Some(Request::Tell(Input::LogSettled {
            attempt: whose,
            status,
        })) => {
            assert_eq!(whose, attempt());
            status
        }
        other => panic!("the log is settled: {other:?}"),
    }
}

#[tokio::test]
async fn a_log_that_is_found_damaged_is_lost_and_the_worker_lets_go() {
    let data = tempfile::tempdir().expect("a directory");
    drop(written(data.path()).await);
    damage(data.path());
    let (shared, mut requests) = shell(data.path(), open(data.path()));
    let (link, answered) = link(vec![UploadFrame::Chunks(vec![chunk(12, " third")])]);
    let served = serve(&shared, WORKER, attempt(), link).await;
    assert!(served.is_ok(), "{served:?}");
    let answers = all(answered).await;
    assert_eq!(answers, [UploadAnswer::ResumeAt(0), UploadAnswer::Sealed]);
    let status = settled(&mut requests).await;
    assert_eq!((status.end, status.state), (0, LogState::LostFrom(0)));
}

#[tokio::test]
async fn a_log_that_turns_out_damaged_on_the_way_keeps_what_is_held() {
    let data = tempfile::tempdir().expect("a directory");
    let logs = written(data.path()).await;
    damage(data.path());
    let (shared, mut requests) = shell(data.path(), logs);
    // Compared with what is held.
    let repeat = vec![chunk(0, "first "), chunk(6, "second"), chunk(12, " third")];
    let (link, answered) = link(vec![UploadFrame::Chunks(repeat)]);
    let served = serve(&shared, WORKER, attempt(), link).await;
    assert!(served.is_ok(), "{served:?}");
    let answers = all(answered).await;
    assert_eq!(answers, [UploadAnswer::ResumeAt(12), UploadAnswer::Sealed]);
    let status = settled(&mut requests).await;
    assert_eq!((status.end, status.state), (12, LogState::LostFrom(12)));
}
