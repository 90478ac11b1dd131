//! A launcher that a test has started, and a plain client of it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::BytesMut;
use jobyard_core::{AttemptId, AttemptNumber, Exit, JobId, OutputStream};
use jobyard_launcher::cage::{CageOptions, Cages};
use jobyard_launcher::protocol::{
    Decoder, End, Launch, LaunchFailure, PROTOCOL_VERSION, Reply, Request, SOCKET, Welcome,
    WorkDir, encode,
};
use jobyard_launcher::spool::frame;
use tempfile::TempDir;
use uuid::Uuid;

/// How long a test waits for anything before it fails.
const GUARD: Duration = Duration::from_secs(30);

/// A launcher in a directory of its own. Ended with all that it holds when the test is over.
pub(crate) struct Launcher {
    dir: TempDir,
    process: Child,
    was_killed: bool,
}

impl Launcher {
    /// One as the machine gives it.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more on its command line.
    pub(crate) fn start_with(args: &[&str]) -> Self {
        Self::start_by(|home| command(home, args))
    }

    /// By a command that is given the launcher's directory.
    pub(crate) fn start_by(command: impl FnOnce(&Path) -> Command) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("work")).expect("a directory");
        let process = spawn(&mut command(&dir.path().join("launcher")));
        Self {
            dir,
            process,
            was_killed: false,
        }
    }

    /// How many descriptors it has.
    pub(crate) fn descriptors(&self) -> usize {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid()));
        entries.expect("it lives").count()
    }

    /// How much memory it has, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .expect("a number")
    }

    /// How many of its children are dead and were not waited for.
    pub(crate) fn zombies(&self) -> usize {
        let parent = format!(" Z {} ", self.pid());
        processes()
            .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok())
            .filter(|stat| stat.contains(&parent))
            .count()
    }

    /// Asks it to end, as the system does.
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
    }

    /// A named pipe.
    pub(crate) fn fifo(&self, beneath: &str) -> PathBuf {
        let path = self.path(beneath);
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a pipe");
        path
    }

    /// The directory of the test, in which the launcher's is one.
    pub(crate) fn path(&self, beneath: &str) -> PathBuf {
        self.dir.path().join(beneath)
    }

    /// The launcher's own directory.
    pub(crate) fn home(&self) -> PathBuf {
        self.path("launcher")
    }

    /// How its control groups are named.
    pub(crate) fn name(&self) -> String {
        name(&self.home())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn connect(&self) -> Client {
        self.try_connect().expect("a launcher that listens").hello()
    }

    pub(crate) fn try_connect(&self) -> std::io::Result<Client> {
        Client::connect(&self.home().join(SOCKET))
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> i32 {
        // The guard of the test runner is guard enough.
        let status = self.process.wait().expect("it was not waited for");
        status.code().expect("it was not killed")
    }

    /// Kills it, and it alone.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it lives");
        self.process.wait().expect("it was not waited for");
        self.was_killed = true;
    }

    /// A launch of a shell script.
    pub(crate) fn sh(&self, script: &str) -> Launch {
        self.program("/bin/sh", &["sh", "-c", script])
    }

    /// A launch of a program.
    pub(crate) fn program(&self, program: &str, argv: &[&str]) -> Launch {
        let attempt = attempt();
        let argv = argv.iter().map(|&arg| arg.to_owned()).collect();
        let output = self.path("output").join(attempt.to_string());
        let dir = WorkDir::at(self.path("work"));
        let mut launch = Launch::new(attempt, program.into(), argv, dir, output);
        let path = "/usr/local/bin:/usr/bin:/bin".to_owned();
        launch.env.insert("PATH".to_owned(), path);
        launch
    }

    /// Everything that an attempt has written.
    pub(crate) fn output(&self, attempt: AttemptId) -> Output {
        Output::read(&self.path("output").join(attempt.to_string()))
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if self.was_killed {
            Cages::clear(&CageOptions::new(name(&self.home())));
        }
        if self.process.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        let ended = self.try_connect().map(|client| {
            let mut client = client.hello();
            for known in client.welcome().attempts {
                let attempt = known.attempt;
                client.say(&Request::Kill { attempt });
                client.say(&Request::Forget { attempt });
            }
            client.say(&Request::Retire);
        });
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home().join("log"));
            eprintln!("the launcher's log: {}", log.unwrap_or_default());
        }
        if ended.is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// The command of a launcher in this directory.
pub(crate) fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobyard-launcher"));
    command.arg("--dir").arg(home);
    command.arg("--name").arg(name(home)).args(args);
    command
}

/// The name of the launcher in this directory: that of the test's directory, which is unique.
fn name(home: &Path) -> String {
    let dir = home.parent().and_then(Path::file_name);
    let dir = dir.expect("it is in one").to_string_lossy();
    format!("test{}", dir.replace('.', "-"))
}

/// Starts it, and returns once it is ready.
fn spawn(command: &mut Command) -> Child {
    let mut process = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let mut line = String::new();
    let stdout = process.stdout.take().expect("it is piped");
    let mut stdout = BufReader::new(stdout);
    stdout.read_line(&mut line).expect("it says something");
    assert_eq!(line, "ready\n");
    line.clear();
    stdout.read_line(&mut line).expect("it closes its output");
    assert_eq!(line, "", "nothing more");
    process
}

pub(crate) fn attempt() -> AttemptId {
    let job = JobId::from_uuid(Uuid::now_v7());
    AttemptId::new(job, AttemptNumber::new(1).expect("not zero"))
}

/// A connection, which waits for every reply.
pub(crate) struct Client {
    socket: UnixStream,
    decoder: Decoder,
}

impl Client {
    pub(crate) fn connect(path: &Path) -> std::io::Result<Self> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(GUARD)).expect("a guard");
        socket.set_write_timeout(Some(GUARD)).expect("a guard");
        Ok(Self {
            socket,
            decoder: Decoder::default(),
        })
    }

    /// Says the hello.
    pub(crate) fn hello(mut self) -> Self {
        let version = PROTOCOL_VERSION;
        self.say(&Request::Hello { version });
        self
    }

    pub(crate) fn say(&mut self, request: &Request) {
        let mut bytes = BytesMut::new();
        encode(request, &mut bytes).expect("short enough");
        self.write(&bytes);
    }

    /// Says something to somebody who may have gone.
    pub(crate) fn say_perhaps(&mut self, request: &Request) {
        let mut bytes = BytesMut::new();
        encode(request, &mut bytes).expect("short enough");
        let _ = self.socket.write_all(&bytes);
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("somebody listens");
    }

    /// The next reply; `None`: the launcher has closed the connection.
    pub(crate) fn try_next(&mut self) -> Option<Reply> {
        loop {
            if let Some(reply) = self.decoder.decode().expect("a reply") {
                return Some(reply);
            }
            let mut buffer = [0; 16384];
            match self.socket.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.decoder.push(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no reply: {error}"),
            }
        }
    }

    pub(crate) fn next(&mut self) -> Reply {
        self.try_next().expect("the launcher is there")
    }

    /// The first reply of which something is wanted; those before it are skipped.
    pub(crate) fn find<T>(&mut self, wanted: impl Fn(&Reply) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(&self.next()) {
                return found;
            }
        }
    }

    /// The answer to the hello, which was said already.
    pub(crate) fn welcome(&mut self) -> Welcome {
        match self.next() {
            Reply::Welcome(welcome) => *welcome,
            other => panic!("no welcome: {other:?}"),
        }
    }

    /// Starts something that can be started. Returns its main process.
    pub(crate) fn start(&mut self, launch: &Launch) -> u32 {
        self.say(&Request::Start(Box::new(launch.clone())));
        self.started(launch.attempt)
    }

    pub(crate) fn started(&mut self, wanted: AttemptId) -> u32 {
        self.start_result(wanted).expect("it can be started")
    }

    /// What becomes of a start.
    pub(crate) fn start_result(&mut self, wanted: AttemptId) -> Result<u32, LaunchFailure> {
        self.find(|reply| match reply {
            Reply::Started { attempt, pid, .. } if *attempt == wanted => Some(Ok(*pid)),
            Reply::NotStarted {
                attempt,
                failure,
                unconfirmed: false,
            } if *attempt == wanted => Some(Err(failure.clone())),
            _ => None,
        })
    }

    /// Starts something that cannot be started.
    pub(crate) fn start_in_vain(&mut self, launch: &Launch) -> LaunchFailure {
        self.say(&Request::Start(Box::new(launch.clone())));
        self.start_result(launch.attempt)
            .expect_err("it was started")
    }

    pub(crate) fn exited(&mut self, wanted: AttemptId) -> Exit {
        self.find(|reply| match reply {
            Reply::Exited { attempt, exit, .. } if *attempt == wanted => Some(*exit),
            _ => None,
        })
    }

    pub(crate) fn ended(&mut self, wanted: AttemptId) -> End {
        self.find(|reply| match reply {
            Reply::Ended { attempt, end } if *attempt == wanted => Some(end.clone()),
            _ => None,
        })
    }

    /// Runs something to its end.
    pub(crate) fn run(&mut self, launch: &Launch) -> End {
        self.start(launch);
        self.ended(launch.attempt)
    }

    /// Waits until an attempt has written so much.
    pub(crate) fn written(&mut self, wanted: AttemptId, bytes: u64) {
        self.find(|reply| match reply {
            Reply::Output { attempt, progress } if *attempt == wanted => {
                (progress.end >= bytes).then_some(())
            }
            _ => None,
        });
    }
}

/// An argument that no other process has.
pub(crate) fn unique() -> String {
    format!("1000.{}", Uuid::now_v7().as_u128())
}

/// No living process has this argument.
pub(crate) fn assert_nobody(argument: &str) {
    let has_it = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|one| one == argument.as_bytes())
    };
    let alive: Vec<u32> = processes().filter(has_it).collect();
    assert!(alive.is_empty(), "{alive:?} live");
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("a list of processes");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// What was written, by streams and all together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) all: Vec<u8>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Output {
    fn read(dir: &Path) -> Self {
        let mut output = Self::default();
        let Ok(entries) = fs::read_dir(dir) else {
            return output;
        };
        let mut segments: Vec<_> = entries.map(|entry| entry.expect("one").path()).collect();
        segments.sort();
        for segment in segments {
            let mut file = BufReader::new(File::open(segment).expect("a segment"));
            while let Some(chunk) = frame::read(&mut file).expect("readable") {
                assert_eq!(chunk.offset, output.all.len() as u64, "no holes");
                output.all.extend_from_slice(&chunk.bytes);
                match chunk.stream {
                    OutputStream::Stdout => output.stdout.extend_from_slice(&chunk.bytes),
                    OutputStream::Stderr => output.stderr.extend_from_slice(&chunk.bytes),
                }
            }
        }
        output
    }
}
