use jobyard_core::{LimitKind, Limits};

use super::machine::{Yard, launch, limits, read};
use crate::cage::cgroup1::Groups;
use crate::cage::mounts::Controller;
use crate::cage::trial_run::TrialRun;
use crate::protocol::Mechanism;

fn group(groups: &Groups, controller: Controller) -> &std::path::Path {
    groups.path(controller).expect("a group of that controller")
}

fn run(yard: &mut Yard, script: &str, limits: Limits) -> TrialRun {
    let run = yard.run(&launch(script, limits));
    assert_eq!(run.cage.unenforced(), []);
    run
}

#[test]
fn a_job_that_uses_up_its_memory_is_killed_for_it() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let memory = limits(|it| it.memory = Some(16 << 20));
    let greedy = "x=aaaaaaaa; while :; do x=$x$x; done";
    let mut run = run(&mut yard, greedy, memory);
    assert!(run.cage.oom_fd().is_some());
    run.wait_exit();
    let end = run.end(yard.cages());
    assert_eq!(end.limit_hit, Some(LimitKind::Memory));
    assert!(end.empty);
    let peak = end.usage.and_then(|usage| usage.peak_memory_bytes);
    let peak = peak.expect("measured");
    assert!((8 << 20..=16 << 20).contains(&peak), "{peak}");
}

#[test]
fn a_job_within_its_limits_hits_none() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let most = limits(|it| {
        it.memory = Some(64 << 20);
        it.processes = Some(10);
    });
    let mut run = run(&mut yard, "true & wait", most);
    run.wait_exit();
    let end = run.end(yard.cages());
    assert_eq!((end.limit_hit, end.empty), (None, true));
}

#[test]
fn a_process_too_many_is_refused() {
    for mechanism in [Mechanism::Cgroup2, Mechanism::Subreaper] {
        let mut yard = Yard::new(mechanism);
        let processes = limits(|it| it.processes = Some(3));
        let script = "sleep 600 & sleep 600 & echo ready; sleep 600 & wait";
        let mut run = run(&mut yard, script, processes);
        // Three are there: the shell and two, so a process of ours above them does not count.
        assert!(run.wait_output());
        run.wait_exit();
        let end = run.end(yard.cages());
        assert_eq!(end.limit_hit, Some(LimitKind::Processes));
        assert!(end.empty);
    }
}

#[test]
fn processor_time_and_disk_rates_are_set_and_groups_are_removed() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let slow = limits(|it| {
        it.cpu = Some(250);
        it.read_rate = Some(1 << 20);
        it.write_rate = Some(2 << 20);
    });
    let run = run(&mut yard, "echo ready; exec sleep 600", slow);
    assert!(run.wait_output());
    let groups = &run.cage.groups;
    let cpu = group(groups, Controller::Cpu);
    assert_eq!(read(cpu, "cpu.cfs_quota_us"), "25000");
    assert_eq!(read(cpu, "cpu.cfs_period_us"), "100000");
    let blkio = group(groups, Controller::Blkio);
    assert!(read(blkio, "blkio.throttle.read_bps_device").ends_with(" 1048576"));
    assert!(read(blkio, "blkio.throttle.write_bps_device").ends_with(" 2097152"));
    let forked = run.forked().as_raw_nonzero().to_string();
    assert_eq!(read(cpu, "cgroup.procs"), forked);
    assert_eq!(read(blkio, "cgroup.procs"), forked);
    let paths = groups.paths();
    assert_eq!(paths.len(), 2);
    assert!(run.end(yard.cages()).empty);
    for path in paths {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
fn no_group_of_a_controller_is_made_without_a_limit() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let run = run(&mut yard, "exit 0", Limits::NONE);
    assert!(run.cage.groups.paths().is_empty());
    assert!(run.end(yard.cages()).empty);
}

#[test]
fn limits_of_each_process_are_given_to_each_process() {
    let mut yard = Yard::new(Mechanism::Cgroup2);
    let each = limits(|it| {
        it.open_files = Some(17);
        it.file_size = Some(5 << 10);
    });
    let script = "[ \"$(ulimit -n)\" = 17 ] && [ \"$(ulimit -f)\" = 10 ] && exit 5";
    let mut run = run(&mut yard, script, each);
    run.wait_exit();
    let end = run.end(yard.cages());
    assert_eq!(end.exit, Some(jobyard_core::Exit::Exited(5)));
}

#[test]
fn without_version_2_usage_is_counted_by_version_1() {
    let mut yard = Yard::new(Mechanism::Freezer);
    let memory = limits(|it| it.memory = Some(64 << 20));
    let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let mut run = run(&mut yard, busy, memory);
    run.wait_exit();
    let usage = run.end(yard.cages()).usage.expect("measured");
    assert!(usage.cpu_micros() > 1000, "{usage:?}");
    assert!(usage.peak_memory_bytes > Some(0), "{usage:?}");
}
