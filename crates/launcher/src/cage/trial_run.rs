//! A small program in a cage, to see that the cage holds it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use jobyard_core::{Exit, LimitKind, Usage};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use super::processes::Deadline;
use super::{Cage, Cages};
use crate::protocol::{Isolation, Launch, LaunchFailure, Stage};
use crate::sys::{Child, Entry, Report, Spawn, Starter, spawn};

/// A shell with a script, in a cage.
pub(super) struct TrialRun {
    pub(super) cage: Cage,
    child: Child,
    output: OwnedFd,
    reports: Vec<Report>,
    is_reaped: bool,
    deadline: Deadline,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct TrialEnd {
    /// How the shell ended, if it began.
    pub(super) exit: Option<Exit>,
    /// Whether nothing is left, proven.
    pub(super) empty: bool,
    pub(super) limit_hit: Option<LimitKind>,
    pub(super) usage: Option<Usage>,
}

impl TrialRun {
    /// Starts what the launch says in a new cage. Of the launch, only the limits, the program and its arguments count.
    pub(super) fn start(cages: &mut Cages, launch: &Launch) -> Result<Self, LaunchFailure> {
        let mut cage = cages.take(launch.attempt, launch)?;
        match Self::spawn(&cage, launch) {
            Ok((child, output)) => {
                cage.entered(child.pid());
                Ok(Self {
                    cage,
                    child,
                    output,
                    reports: Vec::new(),
                    is_reaped: false,
                    deadline: Deadline::after(PATIENCE),
                })
            }
            Err(problem) => {
                cages.give_back(cage);
                Err(problem)
            }
        }
    }

    fn spawn(cage: &Cage, launch: &Launch) -> Result<(Child, OwnedFd), LaunchFailure> {
        let open = |path: &str, flags| {
            rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| no_resources(path, errno))
        };
        let null = open("/dev/null", OFlags::RDWR)?;
        let dir = open("/", OFlags::PATH | OFlags::DIRECTORY)?;
        let (output, stdout) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|errno| no_resources("a pipe", errno))?;
        let entry = cage.entry();
        let env = environment(launch);
        let how = Spawn {
            program: &launch.program,
            argv: &launch.argv,
            env: &env,
            dir: dir.as_fd(),
            stdin: Some(null.as_fd()),
            stdout: stdout.as_fd(),
            stderr: null.as_fd(),
            entry: entry.borrow(),
            user: launch.user.as_ref(),
            rlimits: &cage.rlimits(),
            isolation: &launch.isolation,
        };
        let child = spawn(&how, &mut Starter::new())?;
        Ok((child, output))
    }

    /// The process that was forked.
    #[cfg(test)]
    pub(super) fn forked(&self) -> Pid {
        self.child.pid()
    }

    /// Waits until the shell has written something. `false`: it never will.
    pub(super) fn wait_output(&self) -> bool {
        let mut buffer = [0; 64];
        self.deadline.wait(&self.output, PollFlags::IN)
            && rustix::io::read(&self.output, &mut buffer).is_ok_and(|length| length > 0)
    }

    /// Waits until the shell has ended, or the kernel says that its memory is used up.
    pub(super) fn wait_exit(&mut self) {
        while !self.has_ended() {
            let fds = [
                self.child.report_fd(),
                self.child.pidfd(),
                self.cage.oom_fd(),
            ];
            let fds = fds.iter().flatten();
            let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            if !self.deadline.wait_any(&mut fds) {
                return;
            }
            let is_out_of_memory = self.cage.oom_fd().is_some() && {
                let oom = fds.last();
                oom.is_some_and(|fd| !fd.revents().is_empty())
            };
            drop(fds);
            self.hear();
            if is_out_of_memory {
                return;
            }
        }
    }

    /// Kills all of it and waits for the proof that nothing is left.
    pub(super) fn end(mut self, cages: &mut Cages) -> TrialEnd {
        let gone = self.is_reaped && self.cage.is_empty().is_ok_and(|it| it != Some(false));
        // A leaf that has killed is not used again.
        let killed = gone || self.cage.kill(self.forked_now()).is_ok();
        let empty = killed && self.wait_dead() && self.wait_empty();
        let end = TrialEnd {
            exit: self.exit(),
            empty,
            limit_hit: self.cage.limit_hit(),
            usage: self.cage.usage(),
        };
        if empty {
            cages.give_back(self.cage);
        } else {
            cages.abandon(self.cage);
        }
        end
    }

    fn hear(&mut self) {
        self.child.read_report(&mut self.reports);
        self.is_reaped = self.child.reap(&mut self.reports);
    }

    fn forked_now(&self) -> Option<Pid> {
        (!self.is_reaped).then(|| self.child.pid())
    }

    fn has_ended(&self) -> bool {
        let is_end = |it: &Report| matches!(it, Report::Exited { .. } | Report::Failed(_));
        self.reports.iter().any(is_end)
    }

    fn exit(&self) -> Option<Exit> {
        self.reports.iter().find_map(|report| match report {
            Report::Exited { exit, .. } => Some(*exit),
            _ => None,
        })
    }

    /// Waits for the end of the process that was forked.
    fn wait_dead(&mut self) -> bool {
        let dead = wait_dead(&self.child, self.deadline);
        self.hear();
        dead
    }

    fn wait_empty(&self) -> bool {
        loop {
            match (self.cage.is_empty(), self.cage.emptied_fd()) {
                (Ok(Some(true)), _) => return true,
                (Ok(_), Some(fd)) if self.deadline.wait(fd, PollFlags::PRI) => {}
                (Ok(None), _) => return self.reports.contains(&Report::Empty),
                _ => return false,
            }
        }
    }
}

/// Whether a child that has a descriptor ends in time.
fn wait_dead(child: &Child, deadline: Deadline) -> bool {
    child
        .pidfd()
        .is_some_and(|pidfd| deadline.wait(pidfd, PollFlags::IN))
}

/// Sees whether a process gets in this way: one that then finds no program to execute.
pub(super) fn try_entry(entry: Entry<'_>) -> io::Result<()> {
    let open = |path: &str, flags| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
    let null = open("/dev/null", OFlags::RDWR)?;
    let dir = open("/", OFlags::PATH | OFlags::DIRECTORY)?;
    let refused = |failure: LaunchFailure| io::Error::other(failure.problem);
    let how = Spawn {
        program: Path::new("/proc/self/no program"),
        argv: &["none".to_owned()],
        env: &BTreeMap::new(),
        dir: dir.as_fd(),
        stdin: Some(null.as_fd()),
        stdout: null.as_fd(),
        stderr: null.as_fd(),
        entry,
        user: None,
        rlimits: &[],
        isolation: &Isolation::default(),
    };
    let mut child = spawn(&how, &mut Starter::new()).map_err(refused)?;
    wait_dead(&child, Deadline::after(PATIENCE));
    let mut reports = Vec::new();
    child.reap(&mut reports);
    match reports.into_iter().next() {
        Some(Report::Failed(failure)) if failure.stage == Stage::Program => Ok(()),
        Some(Report::Failed(failure)) => Err(refused(failure)),
        _ => Err(io::Error::other("nothing was heard of a process in it")),
    }
}

fn environment(launch: &Launch) -> BTreeMap<String, String> {
    let mut env = launch.env.clone();
    env.entry("PATH".to_owned())
        .or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
    env
}

fn no_resources(what: &str, errno: rustix::io::Errno) -> LaunchFailure {
    LaunchFailure::new(
        Stage::Resources,
        errno.raw_os_error(),
        format!("{what}: {errno}"),
    )
}

/// Whether there is a shell to try with.
pub(super) fn has_shell() -> bool {
    Path::new(SHELL).exists()
}

/// The shell that every system has.
pub(super) const SHELL: &str = "/bin/sh";

/// Far longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
