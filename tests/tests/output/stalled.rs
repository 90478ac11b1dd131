//! XL9: a reader that stands still harms nobody.

use jobyard_tests::{Process, Site, assert_once};
use sha2::{Digest, Sha256};

use crate::reader::{Reader, Stalled, file_with};

/// What the job prints before it waits, and once more after that: far more than all that lies between it and a reader.
const MEBIBYTES: usize = 25;
/// How much memory the master may take for readers, those that stand still included.
const GROWTH: u64 = 64 << 20;
const STALLED: usize = 8;

/// Shown by order alone: each half is printed, and the job ends, while these readers stand still. They are let go after.
#[test]
fn xl9_readers_that_stand_still_hold_up_neither_the_job_nor_other_readers() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let _ = site.cluster.submit_and_print("echo warm");
    let block: Vec<u8> = (0..1 << 20).map(|_| fastrand::u8(..)).collect();
    let file = file_with(&site.cluster.path("block"), &block);
    let wait = format!("read go < {}", site.gate.path().display());
    let print = format!("i=0; while [ $i -lt {MEBIBYTES} ]; do cat {file}; i=$((i+1)); done");
    let say = |what: &str| format!("echo {what} > {}", site.notes.path().display());
    let (half, all) = (say("half"), say("all"));
    let script = format!("echo begin; {wait}; {print}; {half}; {wait}; {print}; {all}");
    let job = site.cluster.submit(&[], &script);
    let follow = || site.cluster.command(&["logs", "--follow", &job]);
    let mut stalled: Vec<Stalled> = (0..STALLED).map(|_| Stalled::of(follow())).collect();
    stalled.iter_mut().for_each(Stalled::taste);
    let master = Process::find(site.cluster.master.pid()).expect("it runs");
    let before = master.resident_bytes();

    // Nobody reads: the job prints all the same.
    site.gate.let_through(1);
    assert_eq!(site.notes.next(), "half");
    // One reads, beside those who do not: it gets all that there is, and what comes.
    let mut reader = Reader::of(follow());
    reader.wait_for(b"begin\n".len() + (MEBIBYTES << 20));
    site.gate.let_through(1);
    let read = reader.end();
    assert_eq!(site.notes.next(), "all");
    assert_once(&site.end(&job));
    let after = master.resident_bytes();
    println!("the master: {before} bytes before, {after} after");
    assert!(stalled.iter_mut().all(Stalled::stands), "one has moved");

    let mut printed = Sha256::new();
    printed.update(b"begin\n");
    (0..2 * MEBIBYTES).for_each(|_| printed.update(&block));
    let printed = printed.finalize();
    assert_eq!(Sha256::digest(&read), printed);
    assert!(
        after < before + GROWTH,
        "the master grew from {before} to {after} bytes"
    );
    // One of them moves after all, and has missed nothing; the others are dropped.
    let mut woken = b"b".to_vec();
    woken.extend(stalled.pop().expect("one of them").wake());
    assert_eq!(Sha256::digest(&woken), printed);
    drop(stalled);
    assert_eq!(site.cluster.submit_and_print("echo on"), "on");
}
