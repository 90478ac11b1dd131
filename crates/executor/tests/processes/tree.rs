//! What a job leaves behind, and what it inherits.

use std::process::Command;

use jobyard_core::Outcome;
use jobyard_executor::ProcessConfig;

use crate::workbench::{LONG, SHORT, Workbench, is_alive};

#[tokio::test]
async fn background_process_of_the_group_is_gone_p5() {
    let (ending, running) = Workbench::script("sleep 600 >/dev/null 2>&1 & echo $!")
        .run()
        .await;
    assert_eq!(ending.outcome, Outcome::Succeeded);
    assert_eq!(ending.residue.killed, 1);
    assert!(!ending.residue.output_held_open);
    assert!(!ending.residue.unconfirmed);
    assert!(!is_alive(running.printed("\n").await.trim()));
}

#[tokio::test]
async fn background_process_that_holds_the_output_is_gone_at_once_xj16() {
    let (ending, running) = Workbench::script("sleep 600 & echo $!").run().await;
    assert_eq!(ending.residue.killed, 1);
    assert!(
        !ending.residue.output_held_open,
        "its death closed the pipe"
    );
    assert!(!is_alive(running.printed("\n").await.trim()));
}

#[tokio::test]
async fn killed_tree_says_how_many_it_had() {
    let mut running =
        Workbench::script("trap '' TERM; sleep 600 & sleep 600 & echo ready; wait").begin();
    running.printed("ready\n").await;
    running.stop(SHORT).await;
    let ending = running.finished().await;
    assert_eq!(ending.residue.killed, 2);
}

#[tokio::test]
async fn signalled_tree_had_nothing_to_kill() {
    let mut running = Workbench::script("sleep 600 & echo ready; wait").begin();
    running.printed("ready\n").await;
    running.stop(LONG).await;
    running.finished().await;
}

#[tokio::test]
async fn escaped_process_is_cut_off_from_the_output_xj16() {
    let mut bench = Workbench::script(
        "mkfifo born; setsid sh -c 'echo $$ >born; exec sleep 600' & read pid <born; echo $pid",
    );
    bench.executor = bench.executor.with_drain(SHORT);
    let (ending, running) = bench.run().await;
    assert_eq!(ending.outcome, Outcome::Succeeded);
    assert!(ending.residue.output_held_open);
    let pid = running.printed("\n").await;
    // The declared limit of this containment: it lives on until somebody ends it.
    assert!(is_alive(pid.trim()));
    let killed = Command::new("kill").args(["-9", pid.trim()]).status();
    assert!(killed.expect("kill runs").success());
}

#[tokio::test]
async fn escaped_process_that_prints_without_end_is_cut_off() {
    let mut bench = Workbench::script(
        "mkfifo born; setsid sh -c 'echo $$ >born; exec yes' & read pid <born; echo $pid >&2",
    );
    bench.executor = bench.executor.with_drain(SHORT);
    let (ending, running) = bench.run().await;
    assert!(ending.residue.output_held_open);
    // Its pipe is closed: the next line ends it.
    assert!(!running.stderr().is_empty());
}

/// The descriptors that whoever started this test left open for it and for its children.
fn passed_on_to_us() -> Vec<u32> {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let flags = |fd: u32| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        u32::from_str_radix(flags.trim(), 8).ok()
    };
    (3..256)
        .filter(|fd| flags(*fd).is_some_and(|flags| flags & CLOSE_ON_EXEC == 0))
        .collect()
}

#[tokio::test]
async fn nothing_of_ours_but_the_three_descriptors_is_inherited_xj12() {
    let from_outside = passed_on_to_us();
    let _open = std::fs::File::open("/dev/null").expect("there");
    let script =
        "n=0; while [ $n -lt 256 ]; do [ -e /proc/$$/fd/$n ] && echo $n; n=$((n+1)); done; true";
    let config = ProcessConfig::command(["sh", "-c", script]);
    let printed = Workbench::new(&config).prints().await;
    let found: Vec<u32> = printed
        .lines()
        .map(|line| line.parse().expect("a number"))
        .filter(|fd| !from_outside.contains(fd))
        .collect();
    assert_eq!(found, [0, 1, 2]);
}
