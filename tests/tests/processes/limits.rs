//! Limits hold, what they cost is the job's, and its worker lives on.

use jobyard_tests::Process;

use crate::site::{Site, assert_gone};

#[test]
fn xj5_fork_bomb_is_held_by_its_limit_and_killed_as_a_whole_while_its_worker_lives() {
    let site = Site::new(&["--slots", "2"]);
    // The first that is refused a process ends: not by itself, but when the test lets it. What it says and waits for
    // needs no process.
    let script = format!(
        "trap '{}; {}' EXIT\n\
         bomb() {{ bomb & bomb & sleep 1000 & wait; }}\n\
         (trap '' EXIT; bomb) >/dev/null 2>&1 &\n\
         while :; do sleep 1000 >/dev/null 2>&1 & done",
        site.note("full"),
        site.hold()
    );
    let job = site.cluster.submit(&["--limit", "processes=60"], &script);
    assert_eq!(site.notes.next(), "full");
    let tree = site.tree();
    assert!(
        tree.len() <= 60 + 1,
        "{} processes, one of them a warden",
        tree.len()
    );
    assert_eq!(site.worker()["state"], "active");
    assert_eq!(site.prints(&[], "echo next"), "next");
    assert_eq!(site.worker()["state"], "active");

    let tree: Vec<Process> = tree.into_iter().chain(site.tree()).collect();
    site.gate.let_through(1);
    let ended = site.end(&job);
    assert_gone(&tree);
    assert!(site.tree().is_empty());
    assert_eq!(
        (ended.kind(), ended.reason()),
        ("failed", "process_limit"),
        "{}",
        ended.job
    );
    assert_eq!(ended.residue()["limit_hit"], "processes", "{}", ended.job);
    assert!(ended.killed() > 10, "{}", ended.job);
}

#[test]
fn xj9_memory_hog_is_killed_as_a_group_and_named_so_while_its_worker_lives() {
    let mut site = Site::new(&[]);
    let script = format!(
        "sleep 1000 & {}; head -c 1G /dev/zero | tail -c 900M >/dev/null; sleep 1000",
        site.note("$!")
    );
    let job = site.cluster.submit(&["--limit", "memory=32MiB"], &script);
    let beside = site.notes.next().parse().ok().and_then(Process::find);
    let ended = site.end(&job);
    assert_eq!(
        (ended.kind(), ended.reason()),
        ("failed", "out_of_memory"),
        "{}",
        ended.job
    );
    assert_eq!(ended.attempt["outcome"]["signal"], 9, "{}", ended.job);
    assert_eq!(ended.residue()["limit_hit"], "memory", "{}", ended.job);
    assert!(
        beside.is_none_or(|process| !process.runs()),
        "all of it at once"
    );
    assert!(site.tree().is_empty());
    let peak = ended.attempt["usage"]["peak_memory_bytes"]
        .as_u64()
        .expect("measured");
    assert!((16 << 20..=33 << 20).contains(&peak), "{peak}");
    assert_eq!(site.prints(&[], "echo next"), "next");
    assert!(!site.worker.log().contains("WARN"), "{}", site.worker.log());
}

#[test]
fn p8_memory_that_is_reserved_is_a_limit() {
    let site = Site::new(&["--memory", "1GiB"]);
    let script = "head -c 1G /dev/zero | tail -c 900M >/dev/null";
    let ended = site.run(&["--memory", "32MiB"], script);
    assert_eq!(ended.reason(), "out_of_memory", "{}", ended.job);
}

#[test]
fn p8_limits_of_each_process_reach_the_job() {
    let site = Site::new(&[]);
    let limits = ["--limit", "open_files=77", "--limit", "file_size=1MiB"];
    let printed = site.prints(&limits, "ulimit -n; ulimit -f");
    // The shell counts files in blocks of 512 bytes.
    assert_eq!(printed, "77\n2048");
}

#[test]
fn p8_usage_is_told() {
    let site = Site::new(&[]);
    let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let ended = site.run(&[], script);
    let usage = &ended.attempt["usage"];
    assert!(
        usage["cpu_us"]
            .as_u64()
            .is_some_and(|micros| micros > 10_000),
        "{usage}"
    );
    assert!(
        usage["peak_memory_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 100_000),
        "{usage}"
    );
}

/// Whoever starts jobs by itself can limit nothing.
const WEAK: [&str; 2] = ["--launcher", "none"];

#[test]
fn p8_limit_that_nothing_enforces_is_named_in_the_result() {
    let site = Site::new(&[&WEAK[..], &["--missing-limits", "warn"]].concat());
    let ended = site.run(&["--limit", "read_rate=1MiB"], "true");
    let unenforced = ended.residue()["unenforced_limits"].to_string();
    assert_eq!(unenforced, r#"["read_rate"]"#, "{}", ended.job);
    assert_eq!(ended.kind(), "succeeded");
}

#[test]
fn p8_limit_that_nothing_enforces_is_refused_if_the_worker_is_told_so() {
    let site = Site::new(&[&WEAK[..], &["--missing-limits", "refuse"]].concat());
    let options = ["--infra-retries", "0", "--limit", "read_rate=1MiB"];
    let ended = site.run(&options, "echo ran");
    assert_eq!(
        (ended.kind(), ended.reason()),
        ("infra", "limit_not_enforceable"),
        "{}",
        ended.job
    );
    assert_eq!(ended.output, "");
}
