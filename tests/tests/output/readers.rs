//! O2 to O4: readers that come late, from anywhere, and again.

use jobyard_tests::{Site, assert_once};

use crate::reader::Reader;

/// Prints some, waits at the gate, and prints the rest.
fn script(site: &Site) -> String {
    format!(
        "seq 1 20000; read go < {}; seq 20001 40000",
        site.gate.path().display()
    )
}

fn numbers(from: u32, to: u32) -> Vec<u8> {
    let lines: Vec<String> = (from..=to).map(|number| format!("{number}\n")).collect();
    lines.concat().into_bytes()
}

#[test]
fn o2_readers_that_join_anywhere_get_every_byte_from_there_and_then_the_end() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], &script(&site));
    let logs = |options: &[&str]| {
        let arguments = [&["logs", "--follow"], options, &[job.as_str()]].concat();
        Reader::of(site.cluster.command(&arguments))
    };
    let (first, all) = (numbers(1, 20_000), numbers(1, 40_000));
    let mut early = logs(&[]);
    early.wait_for(first.len());
    // The rest is printed when all of these are under way: they have read what there is.
    let from = first.len() - 100;
    let mut late = logs(&[]);
    let mut within = logs(&["--from", &from.to_string()]);
    let mut tail = logs(&["--tail", "2"]);
    late.wait_for(first.len());
    within.wait_for(100);
    tail.wait_for(12);
    site.gate.let_through(1);
    assert!(early.end() == all, "from the beginning");
    assert!(late.end() == all, "late");
    assert!(within.end() == all[from..], "from an offset");
    assert!(tail.end() == numbers(19_999, 40_000), "the last lines");
    assert_once(&site.end(&job));
    let after = logs(&["--from", "5"]);
    assert!(after.end() == all[5..], "after the end");
}

#[test]
fn o4_a_reader_goes_on_where_it_was_when_the_master_comes_back() {
    let mut site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], &script(&site));
    let (first, all) = (numbers(1, 20_000), numbers(1, 40_000));
    let command = site.cluster.command(&["logs", "--follow", &job]);
    let mut reader = Reader::of(command);
    reader.wait_for(first.len());
    site.cluster.master.kill_9();
    // It prints while the master is away.
    site.gate.let_through(1);
    site.cluster.restart_master();
    assert!(reader.end() == all, "every byte once");
    assert_once(&site.end(&job));
}

#[test]
fn o2_following_ends_with_the_exit_of_the_job() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let ran = site
        .cluster
        .cli(&["run", "--", "sh", "-c", "seq 1 5000; exit 7"]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(
        ran.stdout == numbers(1, 5_000),
        "all of it came before the end"
    );
}
