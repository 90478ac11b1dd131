//! What keeps the program of a worker safe from its jobs.

/// How much less than others this program is a candidate when memory runs out, on the kernel's scale of -1000 to 1000:
/// jobs are what takes the memory, and a worker that is killed has to be started again before they go on.
#[cfg(target_os = "linux")]
const OOM_SCORE_ADJ: &str = "-500";

/// For the `main` of a host that is a worker and little else, before it starts a thread: other processes of its user may
/// not look into its memory any more, which holds the worker's key, nor trace it; it leaves no core dump; and it is
/// among the last that the kernel kills when memory runs out, where the system lets it decide that. Jobs that a launcher
/// starts do not inherit any of it. Says what could not be had, one line each. Not undone.
#[cfg(target_os = "linux")]
pub fn harden_process() -> Vec<String> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    let mut problems = Vec::new();
    if jobyard_core::mutated("a worker does not protect itself") {
        return problems;
    }
    // First: a process that cannot be looked into does not own its files in /proc.
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ) {
        problems.push(format!(
            "this program is killed like any other when memory runs out: {error}"
        ));
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        problems.push(format!("others may look into this program: {error}"));
    }
    problems
}

/// As on Linux, but there is nothing of it on this system.
#[cfg(not(target_os = "linux"))]
pub fn harden_process() -> Vec<String> {
    Vec::new()
}
