//! A small job, from its start to its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jobyard_core::{Exit, Usage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Resource};

use crate::protocol::{Isolation, LaunchFailure, Namespaces, User};
use crate::sys::{Child, Entry, Report, Spawn, Starter, WardenKind, spawn};

/// What is started.
pub(super) struct Job {
    pub(super) program: PathBuf,
    pub(super) argv: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) dir: PathBuf,
    pub(super) user: Option<User>,
    pub(super) warden: Option<WardenKind>,
    pub(super) rlimits: Vec<(Resource, u64, u64)>,
    pub(super) isolation: Isolation,
}

impl Job {
    /// A script for the shell.
    pub(super) fn script(text: &str) -> Self {
        Self::program("/bin/sh", &["sh", "-c", text])
    }

    pub(super) fn program(program: impl AsRef<Path>, argv: &[&str]) -> Self {
        let path = ("PATH".to_owned(), "/usr/bin:/bin:/usr/sbin".to_owned());
        Self {
            program: program.as_ref().to_path_buf(),
            argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
            env: BTreeMap::from([path]),
            dir: PathBuf::from("/"),
            user: None,
            warden: None,
            rlimits: Vec::new(),
            isolation: Isolation::default(),
        }
    }

    pub(super) fn warden(self, warden: Option<WardenKind>) -> Self {
        Self { warden, ..self }
    }

    pub(super) fn user(self, user: User) -> Self {
        let user = Some(user);
        Self { user, ..self }
    }

    pub(super) fn namespaces(mut self, namespaces: Namespaces) -> Self {
        self.isolation.namespaces = namespaces;
        self
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts it, with standard output and standard error in one pipe.
    pub(super) fn start(&self) -> Result<Started, LaunchFailure> {
        self.start_by(&mut Starter::new().another())
    }

    /// The same by one that is there.
    pub(super) fn start_by(&self, starter: &mut Starter) -> Result<Started, LaunchFailure> {
        let (output, write) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let stdin = File::open("/dev/null").expect("there is one");
        let dir = File::open(&self.dir).expect("the directory");
        let how = Spawn {
            program: &self.program,
            argv: &self.argv,
            env: &self.env,
            dir: dir.as_fd(),
            stdin: Some(stdin.as_fd()),
            stdout: write.as_fd(),
            stderr: write.as_fd(),
            entry: Entry {
                cgroup2: None,
                join: Vec::new(),
                warden: self.warden,
            },
            user: self.user.as_ref(),
            rlimits: &self.rlimits,
            isolation: &self.isolation,
        };
        let child = spawn(&how, starter)?;
        let mut started = Started {
            child,
            output: Some(output),
            text: String::new(),
            reports: Vec::new(),
        };
        if started.child.has_news() {
            started.child.read_report(&mut started.reports);
        }
        Ok(started)
    }

    /// Runs it to its end.
    pub(super) fn run(&self) -> Ran {
        let mut started = self.start().expect("forked");
        started.end();
        started.ran()
    }
}

/// A job that was started.
pub(super) struct Started {
    pub(super) child: Child,
    output: Option<OwnedFd>,
    pub(super) text: String,
    pub(super) reports: Vec<Report>,
}

impl Started {
    /// Goes on until it is reaped and its output is closed.
    pub(super) fn end(&mut self) {
        let mut reaped = false;
        while !reaped || self.output.is_some() {
            reaped = self.step(reaped);
        }
    }

    /// Goes on until it has said this.
    pub(super) fn until_said(&mut self, words: &str) {
        while !self.text.contains(words) {
            assert!(self.output.is_some(), "it ended and said {:?}", self.text);
            self.step(true);
        }
    }

    /// Goes on until it has reported something like this.
    pub(super) fn until_reported(&mut self, wanted: impl Fn(&Report) -> bool) {
        while !self.reports.iter().any(&wanted) {
            self.step(true);
        }
    }

    pub(super) fn main(&mut self) -> Pid {
        self.until_reported(|report| matches!(report, Report::Running { .. }));
        match &self.reports[0] {
            Report::Running { main, .. } => *main,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for one event. Says whether the child is reaped.
    fn step(&mut self, reaped: bool) -> bool {
        let watched = [
            self.output.as_ref().map(AsFd::as_fd),
            self.child.report_fd(),
            self.child.pidfd().filter(|_| !reaped),
        ];
        let ready = wait_for(watched);
        if ready[0] {
            self.read_output();
        }
        if ready[1] {
            self.child.read_report(&mut self.reports);
        }
        if ready[2] {
            return self.child.reap(&mut self.reports);
        }
        reaped
    }

    fn read_output(&mut self) {
        let mut buffer = [0; 4096];
        let pipe = self.output.as_ref().expect("it was ready");
        match rustix::io::read(pipe, &mut buffer).expect("readable") {
            0 => self.output = None,
            length => self.text += &String::from_utf8_lossy(&buffer[..length]),
        }
    }

    pub(super) fn ran(self) -> Ran {
        let exit = self.reports.iter().find_map(|report| match report {
            Report::Exited { exit, usage } => Some((*exit, *usage)),
            _ => None,
        });
        Ran {
            exit: exit.map(|(exit, _)| exit),
            usage: exit.map(|(_, usage)| usage).unwrap_or_default(),
            text: self.text,
            reports: self.reports,
        }
    }
}

/// A job that has ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) exit: Option<Exit>,
    pub(super) usage: Usage,
    pub(super) text: String,
    pub(super) reports: Vec<Report>,
}

impl Ran {
    /// What a job said that succeeded.
    pub(super) fn said(self) -> String {
        assert_eq!(self.exit, Some(Exit::Exited(0)), "{self:?}");
        self.text.trim().to_owned()
    }

    /// Why it did not start.
    pub(super) fn failure(self) -> LaunchFailure {
        match self.reports.as_slice() {
            [Report::Failed(failure)] => failure.clone(),
            other => panic!("{other:?}"),
        }
    }
}

/// Waits until one of these can be read or is closed at its other end; says which.
pub(super) fn wait_for<const N: usize>(fds: [Option<BorrowedFd<'_>>; N]) -> [bool; N] {
    let ready = wait_until(fds, Instant::now() + GUARD);
    assert!(ready.contains(&true), "nothing happened");
    ready
}

/// The same, at most until then.
pub(super) fn wait_until<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    end: Instant,
) -> [bool; N] {
    let mut polled: Vec<_> = fds
        .iter()
        .flatten()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    let left = end.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).expect("short");
    poll(&mut polled, Some(&left)).expect("poll");
    let mut polled = polled.iter();
    fds.map(|fd| fd.is_some() && !polled.next().expect("one each").revents().is_empty())
}

/// Far longer than anything here takes.
const GUARD: Duration = Duration::from_secs(30);

/// A user that owns nothing.
pub(super) fn nobody() -> User {
    User::new(65_534, 65_534, Vec::new())
}
