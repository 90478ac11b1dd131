//! The launchers that a test's workers have started.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::{Process, all, descendants, parent_of};

/// How long a launcher that holds nothing may take to end, before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The one launcher that has its directory beneath this one.
///
/// # Panics
///
/// When there is none, or more than one.
pub fn launcher_beneath(dir: &Path) -> Process {
    let mut found = launchers_beneath(dir);
    assert_eq!(
        found.len(),
        1,
        "launchers beneath {}: {found:?}",
        dir.display()
    );
    found.remove(0)
}

/// Ends all that test programs with their data beneath this directory have started: workers, what their launchers hold,
/// and the launchers. Never panics: it runs while a failed test is being left.
pub(crate) fn end_all_beneath(dir: &Path) {
    // A worker would start another launcher.
    for worker in with_argument(|previous, argument| {
        previous == "--data" && Path::new(argument).starts_with(dir)
    }) {
        let _ = worker.send(Signal::KILL);
        worker.has_ended_within(PATIENCE);
    }
    for launcher in launchers_beneath(dir) {
        loop {
            let held = descendants(launcher.pid());
            for process in &held {
                let _ = process.send(Signal::KILL);
            }
            if !held
                .iter()
                .all(|process| process.has_ended_within(PATIENCE))
                || held.is_empty()
            {
                break;
            }
        }
        let _ = launcher.send(Signal::TERM);
        if !launcher.has_ended_within(PATIENCE) {
            let _ = launcher.send(Signal::KILL);
        }
    }
}

/// Those that have their directories beneath this one. What they have forked, and what did not execute anything, looks
/// the same but for its parent.
pub(crate) fn launchers_beneath(dir: &Path) -> Vec<Process> {
    let mut found = with_argument(|previous, argument| {
        previous == "--dir" && Path::new(argument).starts_with(dir)
    });
    let pids: BTreeSet<u32> = found.iter().map(Process::pid).collect();
    found.retain(|process| parent_of(process.pid()).is_none_or(|parent| !pids.contains(&parent)));
    found
}

/// The processes that have such an argument behind another one.
fn with_argument(is_it: impl Fn(&OsStr, &OsStr) -> bool) -> Vec<Process> {
    let has_it = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments: Vec<&OsStr> = line
            .split(|byte| *byte == 0)
            .map(OsStr::from_bytes)
            .collect();
        arguments.windows(2).any(|pair| is_it(pair[0], pair[1]))
    };
    let found = all().into_iter().filter(has_it).filter_map(Process::find);
    found.filter(Process::runs).collect()
}
