//! Ending what a dead launcher left.

use std::path::Path;
use std::time::Duration;

use jobyard_core::AttemptId;

use super::leaf::{Leaf, Way};
use super::processes::{self, Deadline, Process, Seen, end_all};
use super::{CageName, LeftOver, freezer, group};
use crate::protocol::Mechanism;

/// Ends it, waits until nothing is left or the time is over, and removes the groups.
pub(super) fn end(
    cage: &CageName,
    attempt: AttemptId,
    main: Option<(u32, u64)>,
    patience: Duration,
) -> LeftOver {
    let deadline = Deadline::after(patience);
    let mut killed = Vec::new();
    let empty = match cage.mechanism {
        Mechanism::Cgroup2 => match &cage.leaf {
            Some(leaf) => end_leaf(leaf, deadline, &mut killed),
            None => true,
        },
        Mechanism::PidNamespace => end_namespace(cage, attempt, main, deadline, &mut killed),
        Mechanism::Freezer => {
            // A job of our own user may have left its group.
            let stopped = match &cage.freezer {
                Some(path) => end_frozen(path, deadline, &mut killed),
                None => true,
            };
            end_tree(cage, attempt, main, deadline, &mut killed) && stopped
        }
        Mechanism::Subreaper => end_tree(cage, attempt, main, deadline, &mut killed),
    };
    for path in cage.leaf.iter().chain(&cage.groups) {
        remove(path);
    }
    killed.retain(|process| Some(process.identity()) != cage.warden);
    LeftOver {
        killed: killed.into_iter().map(Into::into).collect(),
        empty,
    }
}

/// Removes a group. The launcher's own groups above it go with the last one of them; see
/// [`Cages::clear`](super::Cages::clear) for what is left of them.
fn remove(path: &Path) {
    // What is in use stays, and is told of as not empty.
    let _ = group::remove(path);
}

fn end_leaf(path: &Path, deadline: Deadline, killed: &mut Vec<Process>) -> bool {
    let leaf = match Leaf::open(path.to_path_buf(), Way::Birth) {
        Ok(leaf) => leaf,
        // Only an empty one can have been removed.
        Err(problem) => return group::is_gone(&problem),
    };
    killed.extend(leaf.members());
    // If not all could be killed, it does not become empty either.
    let _ = leaf.kill();
    leaf.wait_empty(deadline).unwrap_or(false)
}

fn end_frozen(path: &Path, deadline: Deadline, killed: &mut Vec<Process>) -> bool {
    loop {
        let Ok(mut now) = freezer::kill(path, None) else {
            return false;
        };
        let gone = now.iter().all(|process| process.wait_gone(deadline));
        now.retain(|it| !killed.iter().any(|known| known.identity() == it.identity()));
        killed.append(&mut now);
        match group::is_occupied(path) {
            Ok(false) => return true,
            Ok(true) if gone && !deadline.is_over() => {}
            _ => return false,
        }
    }
}

/// Nothing outlives the first process of a PID namespace.
fn end_namespace(
    cage: &CageName,
    attempt: AttemptId,
    main: Option<(u32, u64)>,
    deadline: Deadline,
    killed: &mut Vec<Process>,
) -> bool {
    let Some(warden) = cage.warden else {
        // The launcher died before it could write down whom it had forked.
        return end_tree(cage, attempt, main, deadline, killed);
    };
    let Some(warden) = Process::started_at(warden) else {
        return true;
    };
    killed.extend(processes::all().descendants(warden.pid).processes);
    warden.kill();
    warden.wait_gone(deadline)
}

/// What descends from the warden and from the main process, and what carries the marks of the attempt.
fn end_tree(
    cage: &CageName,
    attempt: AttemptId,
    main: Option<(u32, u64)>,
    deadline: Deadline,
    killed: &mut Vec<Process>,
) -> bool {
    let warden = || cage.warden.and_then(Process::started_at);
    let tree = || {
        let all = processes::all();
        let main = main.and_then(Process::started_at);
        let marked = processes::marked(attempt);
        let in_part = all.in_part || marked.in_part;
        let mut found = marked.processes;
        if let Some(main) = main.filter(|main| !main.dead) {
            found.extend(processes::descendants(&all.processes, main.pid));
            found.push(main);
        }
        if let Some(warden) = warden() {
            found.extend(processes::descendants(&all.processes, warden.pid));
            found.retain(|process| process.pid != warden.pid);
        }
        found.sort_by_key(Process::identity);
        found.dedup_by_key(|process| process.identity());
        Seen {
            processes: found,
            in_part,
        }
    };
    let empty = end_all(tree, deadline, killed);
    // Last, so that nothing loses its way to it meanwhile.
    match warden() {
        Some(warden) => {
            warden.kill();
            warden.wait_gone(deadline) && end_all(tree, deadline, killed) && empty
        }
        None => empty,
    }
}
