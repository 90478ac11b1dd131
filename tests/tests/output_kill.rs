//! Worker and master are killed twenty times while a job prints a counter, in turn and together: what is stored, and what
//! a follower has read all the while, is what the job wrote.
//!
//! The kills come when the follower has read some more, so that the test lasts as long as they need. The variable
//! `JOBYARD_OUTPUT_KILL_SECONDS` has the job print for at least so long, with the kills spread over that time.
#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::io::Read;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use jobyard_tests::{GUARD, Program, Site, assert_once, attempts};
use sha2::{Digest, Sha256};

const KILLS: u64 = 20;
/// How much the follower reads between two kills at most, if nobody wants it to last longer: about a tenth of a second.
const MOST_BETWEEN: u64 = 8_000;
/// About what the job prints in a second.
const BYTES_PER_SECOND: u64 = 50_000;

#[test]
fn o4_the_log_is_the_jobs_own_copy_after_twenty_kills_of_worker_and_master() {
    let seed = number("JOBYARD_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seconds = number("JOBYARD_OUTPUT_KILL_SECONDS").unwrap_or(0);
    println!("seed {seed}: JOBYARD_SEED={seed} does the same");
    let mut random = fastrand::Rng::with_seed(seed);
    let most = MOST_BETWEEN.max(2 * seconds * BYTES_PER_SECOND / KILLS);
    let mut site = Site::with(&[]);
    let mut worker = Some(site.worker("w", &[]));
    let (copy, stop) = (site.cluster.path("copy"), site.cluster.path("stop"));
    let script = format!(
        "n=0; while [ ! -e {stop} ]; do m=$((n+100)); \
         while [ $n -lt $m ]; do n=$((n+1)); echo $n; done; sleep 0.01; done | tee {copy}",
        stop = stop.display(),
        copy = copy.display(),
    );
    let begin = Instant::now();
    let job = site.cluster.submit(&[], &script);
    let mut follower = Follower::of(site.cluster.command(&["logs", "--follow", &job]));
    for kill in 0..KILLS {
        follower.read(random.u64(1..=most));
        match kill % 3 {
            0 => restart_worker(&site, &mut worker),
            1 => {
                site.cluster.master.kill_9();
                site.cluster.restart_master();
            }
            _ => {
                drop(worker.take());
                site.cluster.master.kill_9();
                site.cluster.restart_master();
                restart_worker(&site, &mut worker);
            }
        }
    }
    follower.read(1);
    while begin.elapsed() < Duration::from_secs(seconds) {
        follower.read(1);
    }
    fs::write(&stop, "").expect("the file is written");
    let followed = follower.end();
    let took = begin.elapsed();

    let shown = site.end(&job);
    assert_once(&shown);
    assert_eq!(attempts(&shown)[0]["log"], "complete", "{shown}");
    let copy = fs::read(&copy).expect("the job wrote it");
    let stored = site.cluster.cli(&["logs", &job]).ok().stdout;
    println!(
        "{KILLS} kills in {took:?}: {} bytes printed, {} stored, {} followed; sha256 {}",
        copy.len(),
        stored.len(),
        followed.len(),
        data_encoding::HEXLOWER.encode(&Sha256::digest(&stored))
    );
    assert!(copy.len() as u64 > KILLS, "seed {seed}: it printed");
    assert!(
        stored == copy,
        "seed {seed}: another log than the job's copy"
    );
    assert!(
        followed == copy,
        "seed {seed}: the follower read other bytes"
    );
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// Kills the worker, if it runs, and starts it again.
fn restart_worker(site: &Site, worker: &mut Option<Program>) {
    if let Some(mut running) = worker.take() {
        running.kill_9();
    }
    *worker = Some(site.cluster.worker_again("w", &[]));
}

/// A CLI that follows a log.
struct Follower {
    child: Child,
    pieces: Receiver<Vec<u8>>,
    read: Vec<u8>,
}

impl Follower {
    fn of(mut command: std::process::Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the CLI starts");
        let mut output = child.stdout.take().expect("standard output is piped");
        let (sender, pieces) = channel();
        thread::spawn(move || {
            while let Some(piece) = next(&mut output) {
                if sender.send(piece).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            pieces,
            read: Vec::new(),
        }
    }

    /// Waits for so many bytes more.
    fn read(&mut self, bytes: u64) {
        let wanted = self.read.len() + usize::try_from(bytes).expect("a few");
        while self.read.len() < wanted {
            let piece = self.pieces.recv_timeout(GUARD);
            self.read
                .extend(piece.expect("the job prints on, and the follower reads on"));
        }
    }

    /// Waits for the end; all that it has read.
    fn end(mut self) -> Vec<u8> {
        while let Ok(piece) = self.pieces.recv_timeout(GUARD) {
            self.read.extend(piece);
        }
        let status = self.child.wait().expect("a child can be waited for");
        assert!(status.success(), "the follower ends well");
        self.read
    }
}

fn next(output: &mut ChildStdout) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 64 * 1024];
    let count = output.read(&mut buffer).ok().filter(|count| *count > 0)?;
    buffer.truncate(count);
    Some(buffer)
}
