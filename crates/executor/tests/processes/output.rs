//! Output as bytes.

use std::fmt::Write as _;
use std::fs;

use jobyard_core::OutputStream;
use jobyard_executor::ProcessConfig;

use crate::workbench::Workbench;

/// Bytes without any pattern that a pipe or a decoder could hide behind; from a fixed seed.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_mebibytes_of_noise_arrive_identical_o1() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("noise");
    let noise = noise(10 * 1024 * 1024);
    fs::write(&file, &noise).expect("written");
    let config = ProcessConfig::command(["cat", file.to_str().expect("text")]);
    let found = Workbench::new(&config).succeed().await;
    assert!(found == noise, "{} bytes", found.len());
}

#[tokio::test]
async fn merged_streams_keep_their_exact_order_o1() {
    let script = "i=0; while [ $i -lt 3000 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done";
    let bench = Workbench::with_spec(&ProcessConfig::script(script), |spec| spec.merge = true);
    let mut expected = String::new();
    for number in 0..3000 {
        writeln!(expected, "out{number}\nerr{number}").expect("a string takes all");
    }
    assert!(bench.prints().await == expected);
}

#[tokio::test]
async fn streams_are_apart_without_merge() {
    let (_, running) = Workbench::script("echo out; echo err >&2").run().await;
    assert_eq!(running.sink.bytes(OutputStream::Stdout), b"out\n");
    assert_eq!(running.stderr(), "err\n");
}

#[tokio::test]
async fn standard_input_is_the_given_text_or_nothing() {
    let text = "line\n".repeat(50_000);
    let config = ProcessConfig::command(["cat"]).with_stdin(text.as_str());
    assert!(Workbench::new(&config).prints().await == text);
    let config = ProcessConfig::command(["cat"]);
    assert_eq!(Workbench::new(&config).prints().await, "");
}

#[tokio::test]
async fn job_that_leaves_its_input_unread_ends_all_the_same() {
    let config = ProcessConfig::command(["true"]).with_stdin("x".repeat(500_000));
    Workbench::new(&config).succeed().await;
}

#[tokio::test]
async fn script_longer_than_an_argument_runs_and_stops_at_the_first_error() {
    let script = format!("# {}\necho first; false; echo never", "x".repeat(200_000));
    let (ending, running) = Workbench::script(&script).run().await;
    assert_eq!(ending.outcome.rule().cli_exit, 1);
    assert_eq!(running.sink.bytes(OutputStream::Stdout), b"first\n");
}
