//! Process groups: who is in one, and how to end all of them.
//!
//! A process group cannot be held on to, and its number is used again once it is empty. Three facts keep us from
//! killing a stranger's: while the leader was not reaped, even dead, the number is taken; while the group has a member,
//! the number is not given to a new process; and a number that was given to a new process shows as one.

use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use jobyard_core::ExecutionTrace;
#[cfg(target_os = "linux")]
use jobyard_launcher::ProcessStat;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::death_watch::DeathWatch;

/// What ending a group came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// How many processes were alive and had to be killed.
    pub(super) killed: u32,
    /// Whether one of them would not die in time.
    pub(super) unconfirmed: bool,
}

/// Delivers a signal to a group whose leader was not reaped yet. A group that is gone is no error.
pub(super) fn signal(group: Pid, signal: Signal) -> io::Result<()> {
    match kill_process_group(group, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// How many processes of the group are alive beside its leader.
pub(super) fn count_followers(group: Pid) -> u32 {
    let followers = members(group)
        .into_iter()
        .filter(|member| member.pid != group)
        .count();
    u32::try_from(followers).unwrap_or(u32::MAX)
}

/// Ends what is left of a group after its leader was reaped, and waits until it is dead.
pub(super) async fn sweep(group: Pid) -> Swept {
    // The usual case, at the price of one call.
    if test_kill_process_group(group) == Err(Errno::SRCH) {
        return Swept::default();
    }
    let Ok(left) = spawn_blocking(move || members(group)).await else {
        return Swept::default();
    };
    if left.iter().any(|member| member.pid == group) {
        // The number leads another group by now; ours is gone.
        return Swept::default();
    }
    end(group, &left).await
}

/// Ends a group that an earlier life of this program started, if its leader is provably the same process still.
pub(super) async fn end_left_over(trace: &ExecutionTrace) -> Swept {
    let Some(group) = i32::try_from(trace.pid).ok().and_then(Pid::from_raw) else {
        return Swept::default();
    };
    if start_time(group) != Some(trace.start_time) {
        return Swept::default();
    }
    end(group, &members(group)).await
}

async fn end(group: Pid, members: &[Member]) -> Swept {
    let killed = u32::try_from(members.len()).unwrap_or(u32::MAX);
    if let Err(error) = signal(group, Signal::KILL) {
        tracing::warn!(group = group.as_raw_nonzero(), %error, "a process group could not be killed");
    }
    let dead = timeout(DEATH_PATIENCE, all_dead(group))
        .await
        .unwrap_or(false);
    Swept {
        killed,
        unconfirmed: !dead,
    }
}

/// Returns when no member is alive, or when that cannot be watched, and answers which. Woken by deaths; nobody is born
/// into a group that was killed.
async fn all_dead(group: Pid) -> bool {
    loop {
        let alive = members(group);
        if alive.is_empty() {
            return true;
        }
        let mut watches = Vec::new();
        for member in alive.into_iter().take(WATCHED_AT_ONCE) {
            match DeathWatch::new(member.pid) {
                Ok(watch) => watches.push(watch),
                // It died since.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {}
                Err(_) => return false,
            }
        }
        join_all(watches.iter().map(DeathWatch::dead)).await;
    }
}

/// How long a killed process may take to die before it counts as unconfirmed: it can hang in the kernel for longer.
const DEATH_PATIENCE: Duration = Duration::from_secs(5);
/// How many deaths are watched at once: each takes a descriptor.
const WATCHED_AT_ONCE: usize = 64;

/// A living process of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    pid: Pid,
}

/// The living processes of a group, the leader included. Walks all processes of the machine.
#[cfg(target_os = "linux")]
fn members(group: Pid) -> Vec<Member> {
    let Ok(all) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|id| *id > 0)
        .filter_map(Pid::from_raw)
        .filter(|pid| stat(*pid).is_some_and(|stat| is_living_member(&stat, group)))
        .map(|pid| Member { pid })
        .collect()
}

/// Other systems keep no directory of processes: the group is killed unseen, and counts as nobody.
#[cfg(not(target_os = "linux"))]
fn members(_group: Pid) -> Vec<Member> {
    Vec::new()
}

/// When the kernel says that a process started, in its ticks since boot. Dead processes that were not reaped have one.
#[cfg(target_os = "linux")]
pub(super) fn start_time(pid: Pid) -> Option<u64> {
    stat(pid).map(|stat| stat.start_time)
}

/// Unknown on other systems, so that nothing is ever found again there.
#[cfg(not(target_os = "linux"))]
pub(super) fn start_time(_pid: Pid) -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
fn is_living_member(stat: &ProcessStat, group: Pid) -> bool {
    !stat.is_dead && stat.group == group.as_raw_nonzero().get()
}

#[cfg(target_os = "linux")]
fn stat(pid: Pid) -> Option<ProcessStat> {
    ProcessStat::of(pid.as_raw_nonzero().get().unsigned_abs()).ok()?
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn group(id: i32) -> Pid {
        Pid::from_raw(id).expect("a number of a group")
    }

    #[test]
    fn read_stat_of_a_process_with_a_misleading_name() {
        let line = "77 (a) Z (b) S 1 70 60 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9";
        let stat = ProcessStat::parse(line.as_bytes()).expect("a stat line");
        assert!(is_living_member(&stat, group(70)));
        assert_eq!(stat.start_time, 123_456);
    }

    #[test]
    fn process_lives_as_long_as_one_of_its_threads() {
        let line = "77 (a) Z 1 70 60 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9";
        let lives = |line: &str| {
            let stat = ProcessStat::parse(line.as_bytes()).expect("a stat line");
            is_living_member(&stat, group(70))
        };
        assert!(!lives(line));
        let line = line.replace(" 20 0 1 0 ", " 20 0 3 0 ");
        assert!(lives(&line));
    }

    #[test]
    fn process_that_is_torn_down_is_in_no_group() {
        let line = "77 (a) X 0 -1 -1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9";
        let stat = ProcessStat::parse(line.as_bytes()).expect("a stat line");
        assert!(!is_living_member(&stat, group(1)));
        assert_eq!(stat.group, -1);
    }

    #[test]
    fn find_ourselves_in_our_group() {
        let group = rustix::process::getpgrp();
        let me = rustix::process::getpid();
        assert!(members(group).contains(&Member { pid: me }));
    }
}
