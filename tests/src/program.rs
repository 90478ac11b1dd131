//! One program that runs, or has run.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long any single event is waited for: far longer than it takes on a busy machine with a debug build. Where tests are
/// to fail, most by waiting in vain, it is shorter.
pub const GUARD: Duration = Duration::from_secs(if cfg!(jobyard_mutants) { 40 } else { 100 });

/// Where to look for programs instead: those of a release build, for example.
const PROGRAMS: &str = "JOBYARD_TEST_PROGRAMS";

/// The path of a program of this workspace. The variable `JOBYARD_TEST_PROGRAMS` names another directory with programs.
///
/// # Panics
///
/// When it was not built.
pub fn program(name: &str) -> PathBuf {
    let dir = match std::env::var_os(PROGRAMS) {
        Some(dir) => PathBuf::from(dir),
        None => beside_the_test(),
    };
    let path = dir.join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --workspace` first",
        path.display()
    );
    path
}

fn beside_the_test() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let dir = test.parent().expect("a program lies in a directory");
    // Tests lie in target/*/deps, programs beside the others.
    match (dir.ends_with("deps"), dir.parent()) {
        (true, Some(parent)) => parent.to_owned(),
        _ => dir.to_owned(),
    }
}

/// The same command, started by another one, which executes it.
///
/// ```
/// use std::process::Command;
///
/// let mut command = Command::new("echo");
/// command.arg("here").env("A", "1");
/// let nice = jobyard_tests::within(&["nice".to_owned()], &command);
/// assert_eq!(nice.get_args().collect::<Vec<_>>(), ["echo", "here"]);
/// ```
pub fn within(prefix: &[String], command: &Command) -> Command {
    let mut words = prefix.iter().map(OsString::from);
    let mut outer = match words.next() {
        Some(first) => {
            let mut outer = Command::new(first);
            outer.args(words).arg(command.get_program());
            outer
        }
        None => Command::new(command.get_program()),
    };
    outer.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// A program that runs in the background. Killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    /// Starts it; its standard error is kept, line by line.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stderr = child.stderr.take().expect("standard error is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of its log that holds this text.
    ///
    /// # Panics
    ///
    /// When it ends or the guard runs out before.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + GUARD;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in time: {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {text:?}: {:#?}", self.seen)
                }
            }
        }
    }

    /// Waits for its end and gives its status and the whole of its log.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + GUARD;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("does not end: {:#?}", self.seen),
            }
        }
        (
            self.child.wait().expect("a child can be waited for"),
            self.seen.join("\n"),
        )
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn kill_9(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Sends a signal by name, as `kill -NAME` does.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(pid)
            .status();
        assert!(sent.expect("`kill` runs").success(), "kill -{name}");
    }

    /// All of its log so far.
    pub fn log(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program that has ended left.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: String,
}

impl Ran {
    /// Runs a program to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started, or the guard runs out.
    pub fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = drain(child.stdout.take().expect("standard output is piped"));
        let stderr = drain(child.stderr.take().expect("standard error is piped"));
        let (done, ended) = channel();
        let waiter = thread::spawn(move || {
            // The other end hangs up when this thread has finished, or says nothing until the guard runs out.
            let status = child.wait();
            let _ = done.send(());
            status
        });
        let hung = ended.recv_timeout(GUARD) == Err(RecvTimeoutError::Timeout);
        assert!(!hung, "{command:?} does not end");
        let status = waiter
            .join()
            .expect("the waiting thread ends")
            .expect("it was waited for");
        let stdout = stdout.join().expect("standard output was read");
        let stderr = stderr.join().expect("standard error was read");
        Self {
            code: status.code(),
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// What it printed, as text without the last line break.
    ///
    /// # Panics
    ///
    /// When it is not UTF-8.
    pub fn text(&self) -> String {
        let text = String::from_utf8(self.stdout.clone()).expect("UTF-8");
        text.trim_end_matches('\n').to_owned()
    }

    /// What it printed, as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.text(), self.stderr))
    }

    /// The same, once its exit code is zero.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[must_use]
    pub fn ok(self) -> Self {
        assert_eq!(
            self.code,
            Some(0),
            "{} {}",
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        self
    }
}

fn drain(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends the output.
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}
