//! What is left of a job when it is over: nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jobyard_tests::Process;

use crate::site::{Site, assert_gone};

/// A script that, run as `sh FILE`, leaves a process behind that is in another session and another process group, has lost
/// its parent, and ignores polite signals.
fn daemon(site: &Site) -> PathBuf {
    let note = site.note("daemon");
    let text = format!(
        "if [ \"$1\" = daemon ]; then\n\
           trap '' TERM HUP INT\n\
           {note}\n\
           exec sleep 1000\n\
         fi\n\
         (setsid sh \"$0\" daemon &)\n"
    );
    site.file("daemon.sh", &text)
}

/// A job with such a process, which runs until the gate opens or it is stopped.
fn with_daemon(site: &Site, options: &[&str]) -> (String, Vec<Process>) {
    let daemon = daemon(site);
    let script = format!("sh {} >/dev/null 2>&1; {}", daemon.display(), site.hold());
    let job = site.cluster.submit(options, &script);
    assert_eq!(site.notes.next(), "daemon");
    let tree = site.tree();
    assert!(tree.len() >= 2, "the job and its daemon: {tree:?}");
    (job, tree)
}

/// After its job has ended, and after it was stopped.
fn daemons_die(options: &[&str]) {
    let site = Site::new(options);
    let (job, tree) = with_daemon(&site, &[]);
    site.gate.let_through(1);
    let ended = site.end(&job);
    assert_gone(&tree);
    assert_eq!(ended.kind(), "succeeded", "{}", ended.job);
    assert_eq!(ended.killed(), 1, "{}", ended.job);
    assert_eq!(ended.residue()["unconfirmed"], false);

    let (job, tree) = with_daemon(&site, &[]);
    let begun = Instant::now();
    let _ = site.cluster.cli(&["stop", &job, "--grace", "1s"]).ok();
    let ended = site.end(&job);
    assert_gone(&tree);
    // A second and two; the rest is for the programs of the test on a busy machine.
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(3 + 30), "{taken:?}");
    assert_eq!(ended.kind(), "cancelled", "{}", ended.job);
    assert!(ended.killed() >= 1, "{}", ended.job);
    assert_eq!(ended.residue()["unconfirmed"], false);
    assert!(site.tree().is_empty());
}

#[test]
fn xj4_daemon_dies_with_its_job() {
    daemons_die(&[]);
}

#[test]
fn xj4_daemon_dies_with_its_job_in_a_pid_namespace() {
    daemons_die(&["--containment", "pid-namespace"]);
}

#[test]
fn xj4_daemon_dies_with_its_job_in_a_freezer() {
    daemons_die(&["--containment", "freezer"]);
}

#[test]
fn xj4_daemon_dies_with_its_job_under_a_subreaper() {
    daemons_die(&["--containment", "subreaper"]);
}

#[test]
fn xj4_daemon_of_another_user_dies_with_its_job() {
    daemons_die(&["--job-user", "nobody"]);
}

#[test]
fn xj4_control_group_is_empty_when_the_job_is_over() {
    let site = Site::new(&["--containment", "cgroup2"]);
    let (job, tree) = with_daemon(&site, &[]);
    let groups: Vec<String> = tree.iter().map(own_group).collect();
    assert!(groups.iter().all(|group| *group == groups[0]), "{groups:?}");
    site.gate.let_through(1);
    let _ = site.end(&job);
    // Kept for the next job, or removed.
    let events = std::fs::read_to_string(format!("{}/cgroup.events", groups[0]));
    if let Ok(events) = events {
        assert!(events.contains("populated 0"), "{events}");
    }
}

/// The directory of its control group of version 2.
fn own_group(process: &Process) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("Linux");
    let mut mounts = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = mounts.find(|mount| mount[2] == "cgroup2").expect("mounted");
    let groups = std::fs::read_to_string(process.file("cgroup")).expect("it lives");
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
    format!("{}{}", mount[1], group.expect("it is in one"))
}

#[test]
fn xj6_job_that_ignores_polite_signals_and_stops_itself_is_killed_after_its_grace() {
    let site = Site::new(&[]);
    let script = format!(
        "trap '' TERM INT; {}; while :; do kill -STOP $$; done",
        site.note("ready")
    );
    let job = site.cluster.submit(&["--grace", "200ms"], &script);
    assert_eq!(site.notes.next(), "ready");
    let tree = site.tree();
    let _ = site.cluster.cli(&["stop", &job]).ok();
    let ended = site.end(&job);
    assert_gone(&tree);
    assert_eq!(ended.kind(), "cancelled", "{}", ended.job);
    assert_eq!(ended.attempt["outcome"]["signal"], 9, "{}", ended.job);
}

#[test]
fn xj6_stopped_job_hears_a_polite_signal_and_may_end_by_itself() {
    let site = Site::new(&[]);
    let script = format!(
        "trap 'exit 5' TERM; {}; kill -STOP $$; {}",
        site.note("ready"),
        site.hold()
    );
    let job = site.cluster.submit(&["--grace", "100s"], &script);
    assert_eq!(site.notes.next(), "ready");
    let _ = site.cluster.cli(&["stop", &job]).ok();
    let ended = site.end(&job);
    assert_eq!(ended.kind(), "cancelled", "{}", ended.job);
    assert_eq!(ended.attempt["outcome"]["exit_code"], 5, "{}", ended.job);
}

#[test]
fn xj16_process_that_keeps_the_output_open_is_killed_soon_after_the_end_and_marked() {
    let site = Site::new(&[]);
    let script = format!("sleep 1000 & {}; echo done", site.note("$!"));
    let job = site.cluster.submit(&[], &script);
    let left: Vec<_> = site
        .notes
        .next()
        .parse()
        .ok()
        .and_then(Process::find)
        .into_iter()
        .collect();
    let ended = site.end(&job);
    assert_gone(&left);
    assert_eq!((ended.kind(), ended.output.as_str()), ("succeeded", "done"));
    assert_eq!(ended.residue()["output_held_open"], true, "{}", ended.job);
    assert_eq!(ended.killed(), 1, "{}", ended.job);
    assert_eq!(
        ended.residue()["processes"][0]["name"],
        "sleep",
        "{}",
        ended.job
    );
}

#[test]
fn xj16_what_a_background_process_still_prints_soon_is_kept() {
    let site = Site::new(&[]);
    // As with `exec > >(tee log)`: what prints the rest is waited for by nobody.
    let script =
        "mkfifo p; (while read -r line; do echo \"said $line\"; done < p) & echo 1 > p; exec true";
    assert_eq!(site.prints(&[], script), "said 1");
}
