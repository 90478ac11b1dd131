use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_core::{AttemptId, AttemptNumber, JobId, OutputStream, Timestamp, Uploads, WorkerId};
use jobyard_transport::Backoff;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::*;
use crate::spool::Spool;
use crate::uploader::{Upload, Uploaded};

const MIB: usize = 1024 * 1024;
const LONG: Duration = Duration::from_mins(10);

/// A master that has everything as soon as it has waited for its disk.
#[derive(Debug)]
struct Master {
    disk: Duration,
    /// Which attempt a link was opened for, and how much came over it, in order.
    turns: Arc<Mutex<Vec<(AttemptId, u64)>>>,
    held: Mutex<Vec<(AttemptId, Arc<Mutex<u64>>)>>,
}

/// One link of it.
struct Served {
    disk: Duration,
    turn: usize,
    turns: Arc<Mutex<Vec<(AttemptId, u64)>>>,
    held: Arc<Mutex<u64>>,
    answers: mpsc::Sender<UploadAnswer>,
}

struct Answers(mpsc::Receiver<UploadAnswer>);

impl Master {
    fn new(disk: Duration) -> Self {
        Self {
            disk,
            turns: Arc::default(),
            held: Mutex::default(),
        }
    }

    fn turns(&self) -> Vec<(AttemptId, u64)> {
        self.turns.lock().unwrap().clone()
    }

    fn held(&self, attempt: AttemptId) -> Arc<Mutex<u64>> {
        let mut all = self.held.lock().unwrap();
        if let Some((_, held)) = all.iter().find(|(of, _)| *of == attempt) {
            return Arc::clone(held);
        }
        let held = Arc::default();
        all.push((attempt, Arc::clone(&held)));
        held
    }
}

#[async_trait]
impl Uploads for Master {
    async fn open(
        &self,
        attempt: AttemptId,
        _: u64,
    ) -> Result<Link<UploadFrame, UploadAnswer>, LinkError> {
        let (answers, to_worker) = mpsc::channel(10_000);
        let held = self.held(attempt);
        let from = *held.lock().unwrap();
        answers.try_send(UploadAnswer::ResumeAt(from)).unwrap();
        let mut turns = self.turns.lock().unwrap();
        turns.push((attempt, 0));
        Ok(Link {
            sender: Box::new(Served {
                disk: self.disk,
                turn: turns.len() - 1,
                turns: Arc::clone(&self.turns),
                held,
                answers,
            }),
            receiver: Box::new(Answers(to_worker)),
        })
    }
}

#[async_trait]
impl LinkSender<UploadFrame> for Served {
    async fn send(&mut self, frames: Vec<UploadFrame>) -> Result<(), LinkError> {
        for frame in frames {
            let answer = match frame {
                UploadFrame::Chunks(chunks) => {
                    let mut held = self.held.lock().unwrap();
                    for chunk in chunks {
                        assert_eq!(chunk.offset, *held, "nothing is sent twice");
                        *held = chunk.end();
                        self.turns.lock().unwrap()[self.turn].1 += chunk.bytes.len() as u64;
                    }
                    UploadAnswer::Durable(*held)
                }
                _ => UploadAnswer::Sealed,
            };
            let (disk, answers) = (self.disk, self.answers.clone());
            tokio::spawn(async move {
                sleep(disk).await;
                let _ = answers.send(answer).await;
            });
        }
        Ok(())
    }
}

#[async_trait]
impl LinkReceiver<UploadAnswer> for Answers {
    async fn receive(&mut self) -> Result<Vec<UploadAnswer>, LinkError> {
        let answer = self.0.recv().await.ok_or(LinkError::Closed)?;
        Ok(vec![answer])
    }
}

fn attempt(number: u128) -> AttemptId {
    AttemptId::new(
        JobId::from_uuid(Uuid::from_u128(number)),
        AttemptNumber::FIRST,
    )
}

fn print(log: &SpoolLog, bytes: usize) {
    let bytes = Bytes::from(vec![b'x'; bytes]);
    log.write(OutputStream::Stdout, Timestamp::from_micros(1), &bytes);
}

fn spool(dir: &Path) -> Spool {
    Spool::open(dir).unwrap()
}

fn upload(
    log: &Arc<SpoolLog>,
    master: &Arc<Master>,
    places: &Places,
    pacer: &Pacer,
) -> JoinHandle<Uploaded> {
    let upload = Upload {
        log: Arc::clone(log),
        uploads: Arc::clone(master) as Arc<dyn Uploads>,
        places: places.clone(),
        pacer: pacer.clone(),
        backoff: Backoff::default(),
        worker: WorkerId::from_uuid(Uuid::from_u128(7)),
    };
    tokio::spawn(upload.run())
}

#[tokio::test(start_paused = true)]
async fn output_without_end_leaves_its_place_to_others_after_its_share() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = spool(dir.path());
    let master = Arc::new(Master::new(Duration::from_millis(1)));
    let (places, pacer) = (Places::new(1), Pacer::new());
    let mut running = Vec::new();
    for number in 1..=3 {
        let log = spool.log(attempt(number), u64::MAX);
        print(&log, 5 * MIB);
        log.close();
        running.push(upload(&log, &master, &places, &pacer));
    }
    for upload in running {
        let uploaded = timeout(LONG, upload).await.expect("it ends").unwrap();
        assert!(matches!(uploaded, Uploaded::Sealed), "{uploaded:?}");
    }
    let turns = master.turns();
    let order: Vec<_> = turns.iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(order[..4], [1, 2, 3, 1].map(attempt), "{turns:?}");
    let most = Share::BYTES + READ_BATCH as u64;
    let shared = &turns[..turns.len() - 1];
    assert!(shared.iter().all(|(_, sent)| *sent <= most), "{turns:?}");
}

#[tokio::test(start_paused = true)]
async fn output_that_drips_leaves_its_place_to_others_although_it_is_never_all_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = spool(dir.path());
    // Its answers come later than the next line.
    let master = Arc::new(Master::new(Duration::from_millis(50)));
    let (places, pacer) = (Places::new(1), Pacer::new());
    let (drips, waits) = (
        spool.log(attempt(1), u64::MAX),
        spool.log(attempt(2), u64::MAX),
    );
    print(&drips, 10);
    let dripping = tokio::spawn({
        let drips = Arc::clone(&drips);
        async move {
            loop {
                sleep(Duration::from_millis(10)).await;
                print(&drips, 10);
            }
        }
    });
    let first = upload(&drips, &master, &places, &pacer);
    sleep(Duration::from_millis(100)).await;
    print(&waits, 10);
    waits.close();
    let begun = Instant::now();
    let second = upload(&waits, &master, &places, &pacer);
    let uploaded = timeout(LONG, second).await.expect("it has a turn").unwrap();
    assert!(matches!(uploaded, Uploaded::Sealed), "{uploaded:?}");
    assert!(begun.elapsed() < 2 * Share::TIME, "{:?}", begun.elapsed());
    first.abort();
    dripping.abort();
}

#[tokio::test(start_paused = true)]
async fn output_keeps_its_place_while_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = spool(dir.path());
    let master = Arc::new(Master::new(Duration::from_millis(1)));
    let log = spool.log(attempt(1), u64::MAX);
    print(&log, 5 * MIB);
    log.close();
    let alone = upload(&log, &master, &Places::new(1), &Pacer::new());
    let uploaded = timeout(LONG, alone).await.expect("it ends").unwrap();
    assert!(matches!(uploaded, Uploaded::Sealed), "{uploaded:?}");
    assert_eq!(master.turns(), [(attempt(1), 5 * MIB as u64)]);
}

#[tokio::test(start_paused = true)]
async fn output_that_was_lost_leaves_its_place_to_others_until_its_end_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = spool(dir.path());
    let master = Arc::new(Master::new(Duration::from_millis(1)));
    let (places, pacer) = (Places::new(1), Pacer::new());
    let (lost, waits) = (
        spool.log(attempt(1), u64::MAX),
        spool.log(attempt(2), u64::MAX),
    );
    print(&lost, 10);
    lost.give_up();
    let first = upload(&lost, &master, &places, &pacer);
    // Its link is open.
    while master.turns().is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    print(&waits, 10);
    waits.close();
    let second = upload(&waits, &master, &places, &pacer);
    let uploaded = timeout(LONG, second).await.expect("it has a turn").unwrap();
    assert!(matches!(uploaded, Uploaded::Sealed), "{uploaded:?}");
    // The job that printed it goes on meanwhile, and then the master is told.
    lost.close();
    let uploaded = timeout(LONG, first).await.expect("it ends").unwrap();
    assert!(matches!(uploaded, Uploaded::Sealed), "{uploaded:?}");
    assert_eq!(
        master.turns(),
        [(attempt(1), 0), (attempt(2), 10), (attempt(1), 0)]
    );
}
