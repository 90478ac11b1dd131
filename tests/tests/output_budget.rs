//! What gives way when the output of all jobs needs more room than the worker's spool may take.

use std::fs;
use std::path::Path;

use jobyard_tests::{Site, assert_once, attempts};

/// How much the spool may take.
const BUDGET: u64 = 8 << 20;

/// A segment that was begun before its attempt gave way is still filled, and then a launcher finds no place for another.
const BEGUN: u64 = 8 << 20;

/// How much there is on disk beneath this directory, in bytes.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).expect("it is there").flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        // Gone meanwhile.
        Err(_) => 0,
    });
    sizes.sum()
}

/// Guards: `spool::Budget`, that the loudest gives way and nobody else, that its launcher finds no place for more, and that
/// the master learns what it lacks.
#[test]
fn loudest_output_gives_way_while_the_master_is_away_and_its_job_goes_on() {
    let mut site = Site::with(&[]);
    let budget = BUDGET.to_string() + "b";
    let mut worker = site.worker("w", &["--slots", "2", "--spool-budget", &budget]);
    let held = site.held_job();
    let notes = site.notes.path().display().to_string();
    let loud = format!("{held}; seq 1 6000000; echo printed loud > {notes}");
    let loud = site.cluster.submit(&[], &loud);
    site.begun(1);
    let quiet = format!("{held}; seq 1 100000; echo printed quiet > {notes}");
    let quiet = site.cluster.submit(&[], &quiet);
    site.begun(1);

    site.cluster.master.kill_9();
    site.gate.let_through(2);
    let mut printed = [site.notes.next(), site.notes.next()];
    printed.sort();
    assert_eq!(printed, ["printed loud", "printed quiet"]);
    let told = worker.wait_for("gives way to other output");
    assert!(told.contains(&loud), "{told}");
    let spool = site.cluster.path("w").join("spool");
    assert!(
        size(&spool) < BUDGET + BEGUN,
        "{} bytes are still there",
        size(&spool)
    );

    site.cluster.restart_master();
    let shown = site.end(&loud);
    assert_once(&shown);
    site.wait_for_job(&loud, |shown| attempts(shown)[0]["log"] == "lost");
    let ran = site.cluster.cli(&["logs", &loud]).ok();
    assert!(ran.stderr.contains("lost from byte 0"), "{}", ran.stderr);
    assert_once(&site.end(&quiet));
    site.wait_for_job(&quiet, |shown| attempts(shown)[0]["log"] == "complete");
    let lines: Vec<String> = (1..=100_000).map(|line| format!("{line}\n")).collect();
    let lines = lines.concat();
    let ran = site.cluster.cli(&["logs", &quiet]).ok();
    assert!(ran.stdout == lines.as_bytes(), "{} bytes", ran.stdout.len());
    assert_eq!(worker.log().matches("gives way to other output").count(), 1);
}
