//! What a job leaves behind, whatever holds it.

use jobyard_core::Outcome;
use jobyard_executor::launcher::Mechanism;
use jobyard_executor::{ProcessConfig, ProcessExecutor};

use crate::way;
use crate::workbench::{LONG, SHORT, Workbench, is_alive};

const MECHANISMS: [Mechanism; 4] = [
    Mechanism::Cgroup2,
    Mechanism::PidNamespace,
    Mechanism::Freezer,
    Mechanism::Subreaper,
];

/// A bench whose launcher holds jobs by nothing stronger than this.
fn held_by(mechanism: Mechanism, script: &str) -> Workbench {
    let mut bench = Workbench::script(script);
    let options = way::options(bench.base.path()).with_mechanism(mechanism);
    bench.executor = ProcessExecutor::launched(way::open(options));
    bench
}

#[tokio::test]
async fn escaped_process_is_gone_before_the_end_p5() {
    for mechanism in MECHANISMS {
        let bench = held_by(
            mechanism,
            "mkfifo born; setsid sh -c 'sh -c \"echo \\$PPID >born; exec sleep 600\" & sleep 600' \
             >/dev/null 2>&1 & read pid <born; echo ended",
        );
        let (ending, _running) = bench.run().await;
        assert_eq!(ending.outcome, Outcome::Succeeded, "{mechanism:?}");
        let residue = ending.residue;
        assert!(residue.killed >= 2, "{mechanism:?} {residue:?}");
        assert!(!residue.unconfirmed, "{mechanism:?} {residue:?}");
        assert!(!residue.processes.is_empty(), "{mechanism:?} {residue:?}");
    }
}

#[tokio::test]
async fn process_that_holds_the_output_is_killed_after_the_drain_xj16() {
    let mut bench = Workbench::script("setsid sleep 600 & echo $!");
    bench.executor = bench.executor.with_drain(SHORT);
    let (ending, running) = bench.run().await;
    assert_eq!(ending.outcome, Outcome::Succeeded);
    assert!(ending.residue.output_held_open);
    assert_eq!(ending.residue.killed, 1);
    // Its number may be that within a namespace; on this machine it is not.
    let pid = running.printed("\n").await;
    assert!(!is_alive(pid.trim()));
}

#[tokio::test]
async fn killed_tree_ends_as_a_whole() {
    for mechanism in MECHANISMS {
        let mut running = held_by(
            mechanism,
            "trap '' TERM; setsid sleep 600 & sleep 600 & echo ready; wait",
        )
        .begin();
        running.printed("ready\n").await;
        running.stop(SHORT).await;
        let ending = running.finished().await;
        assert!(!ending.residue.unconfirmed, "{mechanism:?}");
        assert!(
            ending.residue.killed >= 2,
            "{mechanism:?} {:?}",
            ending.residue
        );
    }
}

#[tokio::test]
async fn stopped_tree_ends_by_its_signal() {
    let mut running = Workbench::script("sleep 600 & echo ready; wait").begin();
    running.printed("ready\n").await;
    running.stop(LONG).await;
    let ending = running.finished().await;
    assert!(matches!(ending.outcome, Outcome::Cancelled { .. }));
}

#[tokio::test]
async fn nothing_of_ours_but_the_three_descriptors_is_inherited_xj12() {
    let _open = std::fs::File::open("/dev/null").expect("there");
    let script =
        "n=0; while [ $n -lt 256 ]; do [ -e /proc/$$/fd/$n ] && echo $n; n=$((n+1)); done; true";
    let config = ProcessConfig::command(["sh", "-c", script]);
    assert_eq!(Workbench::new(&config).prints().await, "0\n1\n2\n");
}
