//! XL1: bytes are bytes.

use jobyard_tests::{Process, Site, assert_once};
use sha2::{Digest, Sha256};

use crate::reader::{Reader, file_with};

/// Far more than any of the programs may hold. The whole gibibyte is in the benchmark of logs.
const LARGE: usize = 48 << 20;
/// By how much each of them may grow meanwhile.
const GROWTH: u64 = 32 << 20;

#[test]
fn xl1_invalid_utf8_and_nuls_come_back_as_they_were() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let mut bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    bytes.extend_from_slice(b"\xff\xfe\xc3\x28\xed\xa0\x80\0\0\0\r\r\n\x1b[2J\xe2\x80");
    let file = file_with(&site.cluster.path("bytes"), &bytes);
    let job = site
        .cluster
        .submit(&[], &format!("cat {file}; cat {file} >&2"));
    assert_once(&site.end(&job));
    let ran = site.cluster.cli(&["logs", "--stream", "stdout", &job]).ok();
    assert!(ran.stdout == bytes, "standard output");
    let ran = site
        .cluster
        .cli(&["logs", "--stream", "stderr", "--merge", &job])
        .ok();
    assert!(ran.stdout == bytes, "standard error");
}

#[test]
fn xl1_much_output_without_a_line_end_takes_no_memory() {
    let site = Site::with(&[]);
    let worker = site.worker("w", &[]);
    let _ = site.cluster.submit_and_print("echo warm");
    let programs = [
        ("master", Process::find(site.cluster.master.pid())),
        ("worker", Process::find(worker.pid())),
        ("launcher", Some(site.cluster.launcher("w"))),
    ]
    .map(|(name, process)| (name, process.expect("it runs")));
    let before = programs
        .each_ref()
        .map(|(_, process)| process.resident_bytes());
    // One block of noise, over and over: no line end, no zero, nothing that any part might shorten by much.
    let block: Vec<u8> = (0..1 << 20)
        .map(|_| fastrand::u8(..))
        .map(|byte| {
            if byte == b'\n' || byte == 0 {
                b'x'
            } else {
                byte
            }
        })
        .collect();
    let file = file_with(&site.cluster.path("block"), &block);
    let script = format!(
        "i=0; while [ $i -lt {} ]; do cat {file}; i=$((i+1)); done",
        LARGE >> 20
    );
    let job = site.cluster.submit(&["--log-limit", "1GiB"], &script);
    let mut follower = Reader::of(site.cluster.command(&["logs", "--follow", &job]));
    let mut most = before;
    for part in 1..=20 {
        follower.wait_for(LARGE / 20 * part);
        for (most, (_, process)) in most.iter_mut().zip(&programs) {
            *most = (*most).max(process.resident_bytes());
        }
    }
    let followed = follower.end();
    for ((name, _), (before, most)) in programs.iter().zip(before.into_iter().zip(most)) {
        println!("{name}: {before} bytes before, {most} at most");
        assert!(
            most < before + GROWTH,
            "{name} grew from {before} to {most} bytes"
        );
    }
    let mut printed = Sha256::new();
    for _ in 0..LARGE >> 20 {
        printed.update(&block);
    }
    assert_eq!(followed.len(), LARGE);
    assert_eq!(Sha256::digest(&followed), printed.finalize());
    assert_once(&site.end(&job));
}
