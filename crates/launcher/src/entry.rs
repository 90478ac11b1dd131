//! A launcher as a process.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, flock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid, umask};

use crate::cage::{CageOptions, Cages};
use crate::journal::{self, Journal};
use crate::protocol::{LOCK, Mechanism};
use crate::server::{EventLoop, Listener, Log, Setup};
use crate::sys::{LowNumbers, Signals, protect_self};

/// The first argument that makes a host program a launcher, see [`run_if_asked`].
pub const ASKED: &str = "__jobyard-launcher";

/// How long a launcher lives without an agent and without attempts that run, if nothing else is said: long enough for
/// the start of the next agent.
const IDLE: Duration = Duration::from_secs(30);

/// What a launcher is told when it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LauncherOptions {
    /// Its directory, of this launcher alone. Made if it is not there.
    pub dir: PathBuf,
    /// Its name, by which its control groups are named; `None`: after its directory and its process.
    pub name: Option<String>,
    /// No stronger mechanism than this; `None`: the strongest that there is.
    pub mechanism: Option<Mechanism>,
    /// Where control groups are mounted; `None`: as the system says.
    pub cgroup_root: Option<PathBuf>,
    /// How long it lives without an agent and without attempts that run.
    pub idle: Duration,
}

impl LauncherOptions {
    /// A launcher in this directory.
    pub const fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            name: None,
            mechanism: None,
            cgroup_root: None,
            idle: IDLE,
        }
    }

    /// From a command line, without the name of the program:
    /// `--dir DIR [--name NAME] [--mechanism MECHANISM] [--cgroup-root DIR] [--idle-ms N]`.
    ///
    /// # Errors
    ///
    /// It is not like that.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        let mut options = Self::new(PathBuf::new());
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || {
                args.next().ok_or_else(|| UsageError {
                    problem: format!("{} needs a value", arg.display()),
                })
            };
            match arg.to_str() {
                Some("--dir") => options.dir = value()?.into(),
                Some("--name") => options.name = Some(parse_name(value()?)?),
                Some("--mechanism") => options.mechanism = Some(parse_mechanism(&value()?)?),
                Some("--cgroup-root") => options.cgroup_root = Some(value()?.into()),
                Some("--idle-ms") => options.idle = parse_millis(&value()?)?,
                _ => return Err(UsageError::new(format!("unknown: {}", arg.display()))),
            }
        }
        if options.dir.as_os_str().is_empty() {
            return Err(UsageError::new("--dir is missing"));
        }
        Ok(options)
    }
}

fn parse_name(value: OsString) -> Result<String, UsageError> {
    value
        .into_string()
        .ok()
        .filter(|name| is_name(name))
        .ok_or_else(|| {
            UsageError::new("a name is 1 to 64 letters, digits, dots, hyphens, underscores")
        })
}

/// Becomes part of the name of a directory.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

fn parse_mechanism(value: &OsString) -> Result<Mechanism, UsageError> {
    [
        Mechanism::Cgroup2,
        Mechanism::PidNamespace,
        Mechanism::Freezer,
        Mechanism::Subreaper,
    ]
    .into_iter()
    .find(|mechanism| value == mechanism.as_str())
    .ok_or_else(|| UsageError::new(format!("no mechanism: {}", value.display())))
}

fn parse_millis(value: &OsString) -> Result<Duration, UsageError> {
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .map(Duration::from_millis)
        .ok_or_else(|| UsageError::new(format!("no number: {}", value.display())))
}

/// A command line that a launcher does not understand. The caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem}; expected --dir DIR [--name NAME] [--mechanism MECHANISM] [--cgroup-root DIR] [--idle-ms N]"
)]
#[non_exhaustive]
pub struct UsageError {
    /// What is wrong with it.
    pub problem: String,
}

impl UsageError {
    fn new(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
        }
    }
}

/// Why a launcher did not start, or ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LauncherError {
    /// Its directory is not to be used. The machine's fault, or the caller's.
    #[error("{}: {error}", dir.display())]
    Directory {
        /// Which directory.
        dir: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another launcher lives in this directory. The caller's fault: each has its own.
    #[error("the directory belongs to the launcher with process id {holder}")]
    Held {
        /// Its process id, as it has written it down.
        holder: String,
    },
    /// A launcher that is dead has left attempts in this directory, which nobody has asked for yet. The caller's fault.
    #[error(
        "the journal of a dead launcher tells of {attempts} attempts that nobody has dealt with"
    )]
    LeftOver {
        /// How many.
        attempts: usize,
    },
    /// The system does not give what a launcher needs, or a later call failed that never should. Another try may help.
    #[error("{what}: {error}")]
    System {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// What turns an error of the system into one of a launcher.
fn doing(what: &'static str) -> impl Fn(io::Error) -> LauncherError {
    move |error| LauncherError::System { what, error }
}

/// Becomes a launcher if the first argument of this process is [`ASKED`], and never returns then. A host program begins
/// its `main` with it, before there are threads; the arguments after the first are those of [`LauncherOptions::parse`].
pub fn run_if_asked() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == ASKED) {
        std::process::exit(run_with(args));
    }
}

/// The `main` of the program: runs a launcher with the arguments of this process. Exits with 0 once it has nothing more to
/// do, with 1 for an error and with 2 for arguments that are not understood. Errors are written to standard error, which
/// is the file `log` once the launcher has its directory.
pub fn main() -> ExitCode {
    let code = run_with(std::env::args_os().skip(1));
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn run_with(args: impl IntoIterator<Item = OsString>) -> i32 {
    let (code, problem) = match LauncherOptions::parse(args) {
        Err(error) => (2, error.to_string()),
        Ok(options) => match run(&options) {
            Ok(()) => return 0,
            Err(error) => (1, error.to_string()),
        },
    };
    // There is nobody else to tell if nobody hears this.
    let _ = writeln!(io::stderr(), "jobyard-launcher: {problem}");
    code
}

/// Makes this process a launcher, and returns once that has nothing more to do.
///
/// It takes over the whole process, which has to have a single thread and no children: the working directory, standard
/// streams, session, umask, signals, limits. As soon as its socket listens it writes a line `ready` to standard output and
/// closes it; standard error becomes the file `log` in its directory.
///
/// # Errors
///
/// It did not start, or the system failed it later. Jobs that ran then are found by the journal.
pub fn run(options: &LauncherOptions) -> Result<(), LauncherError> {
    let in_dir = |error| LauncherError::Directory {
        dir: options.dir.clone(),
        error,
    };
    umask(Mode::RWXG | Mode::RWXO);
    let low = LowNumbers::occupy();
    enter(&options.dir).map_err(in_dir)?;
    let _lock = lock()?;
    let here = Path::new(".");
    let attempts = journal::read(here).map_err(in_dir)?.len();
    if attempts > 0 {
        return Err(LauncherError::LeftOver { attempts });
    }
    protect_self().map_err(doing("to become a launcher"))?;
    // It fails for the leader of a group, which has a session of its own then, or a terminal of somebody who tries it.
    let _ = setsid();
    let log = Log::open().map_err(in_dir)?;
    let nothing = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(doing("to open /dev/null"))?;
    // Jobs have it too, and are not to write to it.
    let no_input = File::open("/dev/null").map_err(doing("to open /dev/null"))?;
    rustix::stdio::dup2_stdin(&no_input).map_err(|errno| doing("to close stdin")(errno.into()))?;
    rustix::stdio::dup2_stderr(&log).map_err(|errno| doing("to write a log")(errno.into()))?;
    let descriptors = raise_descriptors();
    let cages = Cages::probe(&cage_options(options));
    let signals = Signals::new().map_err(doing("to hear signals"))?;
    let journal = Journal::create(here).map_err(in_dir)?;
    let listener = Listener::bind().map_err(doing("to listen"))?;
    let event_loop = EventLoop::new(Setup {
        listener,
        signals,
        cages,
        journal,
        log,
        descriptors,
        idle: options.idle,
    })
    .map_err(doing("to begin"))?;
    be_ready(&nothing).map_err(doing("to say that it is ready"))?;
    drop(low);
    event_loop.run().map_err(doing("to wait for events"))
}

fn cage_options(options: &LauncherOptions) -> CageOptions {
    let name = options.name.clone().unwrap_or_else(|| {
        let dir = options.dir.file_name().and_then(|name| name.to_str());
        let dir = dir.filter(|name| is_name(name)).unwrap_or("launcher");
        format!("{dir}-{}", std::process::id())
    });
    let mut cages = CageOptions::new(name);
    cages.mechanism = options.mechanism;
    cages.root.clone_from(&options.cgroup_root);
    cages
}

/// Makes the directory, for its own user alone, and makes it the working directory: all paths are short from there.
fn enter(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    std::env::set_current_dir(dir)
}

/// Holds the directory for as long as the file lives.
fn lock() -> Result<File, LauncherError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    let mut file = options.open(LOCK).map_err(doing("to open the lock"))?;
    match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim().to_owned();
            return Err(LauncherError::Held { holder });
        }
        Err(errno) => return Err(doing("to take the lock")(errno.into())),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(doing("to write the lock"))?;
    Ok(file)
}

/// As many descriptors as may be had. Says how many that are.
fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.unwrap_or(u64::MAX)
}

fn be_ready(nothing: &File) -> io::Result<()> {
    let mut stdout = io::stdout();
    // Whoever started it may have gone away; that is no reason not to serve the next.
    let _ = stdout.write_all(b"ready\n").and_then(|()| stdout.flush());
    rustix::stdio::dup2_stdout(nothing)?;
    Ok(())
}

/// Whether a launcher lives in this directory: it holds its lock then. Nothing else is known of it by that.
///
/// # Errors
///
/// The lock cannot be opened. That there is none is no error: nobody lives there.
pub fn is_alive(dir: &Path) -> io::Result<bool> {
    let file = match File::open(dir.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    match flock(file.as_fd(), FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}
