//! How output travels.

use std::cell::Cell;
use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, join, select};
use jobyard_core::{
    LinkError, LogChunk, LogEnd, MAX_CHUNK_BYTES, MasterMessage, OutputStream, Refusal,
    RefusalReason, Session, Timestamp, UploadAnswer, UploadFrame, WorkerMessage,
};

use super::TransportFactory;
use super::desk::{Desk, SessionEnd, UploadEnd, attempt, cluster, session, worker};

type Upload = jobyard_core::Link<UploadFrame, UploadAnswer>;

async fn upload(desk: &Desk, session: &Session, job: u128) -> (Upload, UploadEnd) {
    let (link, end) = join(session.uploads.open(attempt(job), 0), desk.upload()).await;
    (link.expect("the master takes the upload"), end)
}

/// The whole conversation of one attempt's output.
pub async fn upload_resumes_where_the_master_says(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (opened, _end) = session(&desk, &*transport).await;
    let opening = opened.uploads.open(attempt(5), 100);
    let (link, end) = join(opening, desk.upload()).await;
    let (mut link, mut end) = (link.expect("the master takes the upload"), end);
    assert_eq!((end.attempt, end.offset), (attempt(5), 100));
    assert_eq!(end.peer.id, worker());

    let answers = vec![UploadAnswer::ResumeAt(40)];
    let sent = end.link.sender.send(answers.clone()).await;
    sent.expect("the worker listens");
    assert_eq!(link.receiver.receive().await, Ok(answers));

    let (at, log) = (
        Timestamp::from_micros(6),
        LogEnd {
            bytes: 47,
            dropped: 1,
        },
    );
    let chunks = vec![
        LogChunk::new(
            40,
            OutputStream::Stdout,
            at,
            Bytes::from_static(b"\0\xff\n"),
        ),
        LogChunk::new(43, OutputStream::Stderr, at, Bytes::from_static(b"four")),
    ];
    let frames = vec![UploadFrame::Chunks(chunks), UploadFrame::End(log)];
    let sent = link.sender.send(frames.clone()).await;
    sent.expect("the master listens");
    let mut heard = Vec::new();
    while heard.len() < frames.len() {
        heard.extend(end.link.receiver.receive().await.expect("more is to come"));
    }
    assert_eq!(heard, frames, "bytes arrive as they were");

    let answers = vec![UploadAnswer::Durable(47), UploadAnswer::Sealed];
    let sent = end.link.sender.send(answers.clone()).await;
    sent.expect("the worker listens");
    drop(end);
    let mut heard = Vec::new();
    while heard.len() < answers.len() {
        heard.extend(link.receiver.receive().await.expect("more is to come"));
    }
    assert_eq!(heard, answers);
    assert_eq!(link.receiver.receive().await, Err(LinkError::Closed));
}

/// A refusal of an upload leaves the session alone.
pub async fn refused_upload_says_why(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (mut opened, mut end) = session(&desk, &*transport).await;
    let refusal = Refusal::new(RefusalReason::Stale, "another attempt runs by now");
    let master = async { desk.upload().await.refuse(refusal.clone()) };
    let worker = async {
        let mut link = opened.uploads.open(attempt(1), 0).await?;
        link.receiver.receive().await.map(|_| ())
    };
    let (refused, ()) = join(worker, master).await;
    assert_eq!(refused, Err(LinkError::Refused(refusal)));
    round_trip(&mut opened, &mut end).await;
}

/// Output without a session has nobody to answer for it.
pub async fn uploads_end_with_their_session(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (opened, end) = session(&desk, &*transport).await;
    let (mut link, mut upload_end) = upload(&desk, &opened, 1).await;
    drop(end);
    let (at_worker, at_master) =
        join(link.receiver.receive(), upload_end.link.receiver.receive()).await;
    assert!(
        at_worker.is_err(),
        "the worker's upload is over: {at_worker:?}"
    );
    assert!(
        at_master.is_err(),
        "the master's upload is over: {at_master:?}"
    );
}

/// A session that was replaced opens no uploads.
pub async fn upload_of_an_older_session_is_refused(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (older, _older_end) = session(&desk, &*transport).await;
    let (newer, _newer_end) = session(&desk, &*transport).await;
    let refused = async {
        let mut link = older.uploads.open(attempt(1), 0).await?;
        link.receiver.receive().await.map(|_| ())
    };
    match refused.await {
        Err(LinkError::Refused(refusal)) => assert_eq!(refusal.reason, RefusalReason::Stale),
        other => panic!("the older session opens nothing: {other:?}"),
    }
    let _open = upload(&desk, &newer, 1).await;
}

/// Back-pressure: the link of a master that does not read fills up, the session and other uploads go on, and nothing
/// is lost once it reads again.
pub async fn stalled_upload_makes_its_sender_wait_and_nobody_else(factory: &dyn TransportFactory) {
    /// 64 MiB: more than a link and a network hold together.
    const FRAMES: u64 = 1024;
    /// The sender counts as waiting once it has not moved during so many round trips of the session.
    const QUIET_ROUNDS: u32 = 50;
    let (desk, transport) = cluster(factory).await;
    let (mut opened, mut end) = session(&desk, &*transport).await;
    let (mut stalled, mut stalled_end) = upload(&desk, &opened, 1).await;
    let (mut other, mut other_end) = upload(&desk, &opened, 2).await;

    let block = Bytes::from(vec![b'x'; MAX_CHUNK_BYTES]);
    let sent = Cell::new(0);
    let mut flood = pin!(async {
        while sent.get() < FRAMES {
            let offset = sent.get() * MAX_CHUNK_BYTES as u64;
            let frame = chunk(offset, block.clone());
            stalled
                .sender
                .send(vec![frame])
                .await
                .expect("the master is there");
            sent.set(sent.get() + 1);
        }
    });
    let everybody_else = pin!(async {
        let (mut quiet, mut seen) = (0, 0);
        while quiet < QUIET_ROUNDS {
            round_trip(&mut opened, &mut end).await;
            let frames = vec![chunk(0, Bytes::from_static(b"other"))];
            let sending = other.sender.send(frames.clone()).await;
            sending.expect("the master listens");
            assert_eq!(other_end.link.receiver.receive().await, Ok(frames));
            quiet = if sent.get() == seen { quiet + 1 } else { 0 };
            seen = sent.get();
        }
    });
    match select(flood.as_mut(), everybody_else).await {
        Either::Left(_) => panic!("the sender never waits: {FRAMES} frames are held somewhere"),
        Either::Right(((), _)) => {}
    }

    let read = async {
        let (mut frames, mut bytes) = (0, 0);
        while frames < FRAMES {
            for frame in stalled_end.link.receiver.receive().await.expect("more") {
                let UploadFrame::Chunks(chunks) = frame else {
                    panic!("only chunks were sent");
                };
                for chunk in chunks {
                    assert_eq!(chunk.offset, bytes, "output arrives in order");
                    bytes = chunk.end();
                }
                frames += 1;
            }
        }
    };
    join(flood, read).await;
}

fn chunk(offset: u64, bytes: Bytes) -> UploadFrame {
    let chunk = LogChunk::new(offset, OutputStream::Stdout, Timestamp::default(), bytes);
    UploadFrame::Chunks(vec![chunk])
}

/// One heartbeat there and one back.
async fn round_trip(session: &mut Session, end: &mut SessionEnd) {
    let there = vec![WorkerMessage::Heartbeat];
    let sent = session.control.sender.send(there.clone()).await;
    sent.expect("the master listens");
    assert_eq!(end.link.receiver.receive().await, Ok(there));
    let back = vec![MasterMessage::Heartbeat];
    let sent = end.link.sender.send(back.clone()).await;
    sent.expect("the worker listens");
    assert_eq!(session.control.receiver.receive().await, Ok(back));
}
