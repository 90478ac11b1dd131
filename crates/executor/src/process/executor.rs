//! The executor itself.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jobyard_core::{
    AttemptContext, AttemptId, Capabilities, ConfigError, Containment, Execution, ExecutionTrace,
    Executor, ExecutorFacts, Gone, InfraReason, LimitKind, Limits, Output, PROCESS_EXECUTOR,
    StartError, StartFailure, ValidSpec,
};
use jobyard_launcher::spool::Masks;

use super::{IsolationError, JobUser, ProcessConfig, Unenforceable};
use crate::launcher::{CageFacts, Isolation, Launcher};

/// Where jobs look for programs, unless the worker or the job says otherwise.
#[cfg(not(windows))]
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where jobs look for programs, unless the worker or the job says otherwise.
#[cfg(windows)]
pub const DEFAULT_PATH: &str = r"C:\Windows\System32;C:\Windows;C:\Windows\System32\Wbem;C:\Windows\System32\WindowsPowerShell\v1.0";

/// How long the output of a job without launcher may stay open after the main process and its group (on Windows: its
/// job object) are gone: what is in the pipes arrives at once, so that whoever keeps them open for longer has escaped.
pub const OUTPUT_DRAIN: Duration = Duration::from_secs(2);

/// Runs programs. Its configuration is [`ProcessConfig`].
///
/// [`new`](Self::new) gives the in-process way, [`launched`](Self::launched) the full one; what the second alone can do is
/// refused by the first. The `with_` methods say how all of its jobs run.
///
/// # Other systems than Linux
///
/// There are no launchers, so that the in-process way is all there is. The code for them is checked by the compiler only: no
/// test runs there.
///
/// On macOS, the members of a process group are not counted before they are killed, and a later life of this program does
/// not recognise the group of an earlier one.
///
/// On Windows, each attempt is in a job object that allows no breakaway, from before its first instruction on. What is still
/// in it when the main process has ended is ended as well, uncounted. If this program dies, the system closes the job object,
/// and everything in it ends. The facts say `best-effort` all the same: a process that means to get out can have a process
/// outside, of the same user, pass for the parent of what it starts. There are no signals; a stop goes straight to the
/// kill, after which the exit code is 1. There is no `/bin/sh`: scripts are refused. A program's name without a separator is
/// looked up in the `PATH` of the job, with `.exe` behind it where it has no extension, whatever `PATHEXT` says.
/// Directories have the access rights of the one above them, which has to be private to the user of this program.
#[derive(Clone, Debug)]
pub struct ProcessExecutor(Arc<Settings>);

/// How all jobs of an executor run.
#[derive(Clone, Debug)]
struct Settings {
    way: Way,
    path: String,
    /// `None`: that of the user as whom a job runs.
    home: Option<PathBuf>,
    drain: Option<Duration>,
    unenforceable: Unenforceable,
    user: Option<JobUser>,
    allowed_users: Vec<JobUser>,
    /// `None`: see [`ProcessExecutor::with_allowed_dirs`].
    allowed_dirs: Option<Vec<PathBuf>>,
    isolation: Isolation,
    /// Where launched jobs get their directories.
    #[cfg(target_os = "linux")]
    pool: Option<super::unix::Pool>,
}

/// How jobs are started.
#[derive(Clone, Debug)]
enum Way {
    InProcess,
    Launched(Launcher),
}

impl ProcessExecutor {
    /// Starts jobs from within this program: the weaker level. With [`DEFAULT_PATH`], the home directory of the host's
    /// user, and [`OUTPUT_DRAIN`].
    pub fn new() -> Self {
        Self::by(Way::InProcess)
    }

    /// Starts jobs by a launcher. With [`DEFAULT_PATH`], the home directory of the job's user, and 500 ms for output
    /// that is held open after the main process has ended.
    ///
    /// The end of each attempt is kept by the launcher, a few hundred bytes, until [`Executor::forget`] is called.
    pub fn launched(launcher: Launcher) -> Self {
        Self::by(Way::Launched(launcher))
    }

    fn by(way: Way) -> Self {
        #[cfg(target_os = "linux")]
        let pool = match &way {
            Way::InProcess => None,
            Way::Launched(launcher) => Some(pool_of(launcher)),
        };
        Self(Arc::new(Settings {
            way,
            path: DEFAULT_PATH.to_owned(),
            home: None,
            drain: None,
            unenforceable: Unenforceable::default(),
            user: None,
            allowed_users: Vec::new(),
            allowed_dirs: None,
            isolation: Isolation::default(),
            #[cfg(target_os = "linux")]
            pool,
        }))
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.0)
    }

    /// With another `PATH` for jobs.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.set().path = path.into();
        self
    }

    /// With another `HOME` for jobs, whoever's they are.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.set().home = Some(home.into());
        self
    }

    /// With another time for which the output may stay open after the main process has ended.
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.set().drain = Some(drain);
        self
    }

    /// Says what becomes of jobs with limits that cannot be enforced. By default they run.
    #[must_use]
    pub fn with_unenforceable(mut self, unenforceable: Unenforceable) -> Self {
        self.set().unenforceable = unenforceable;
        self
    }

    /// Has jobs run only in these directories and beneath them, where they name an absolute one. By default they may name
    /// any if they run as the host's own user, and none if as another: the way to a directory is walked with the rights
    /// of the launcher.
    #[must_use]
    pub fn with_allowed_dirs<I: IntoIterator<Item: Into<PathBuf>>>(mut self, dirs: I) -> Self {
        self.set().allowed_dirs = Some(dirs.into_iter().map(Into::into).collect());
        self
    }

    /// Has all jobs run as this user, unless they ask for another that is allowed. Their directories then belong to that
    /// user; those above have to let it through.
    pub fn with_user(mut self, user: JobUser) -> Result<Self, IsolationError> {
        self.require(
            |facts| facts.other_user.is_some(),
            IsolationError::OtherUser,
        )?;
        self.set().user = Some(user);
        Ok(self)
    }

    /// Lets jobs choose among these users. Without, a job that names any is refused.
    pub fn with_allowed_users<I: IntoIterator<Item = JobUser>>(
        mut self,
        users: I,
    ) -> Result<Self, IsolationError> {
        self.require(
            |facts| facts.other_user.is_some(),
            IsolationError::OtherUser,
        )?;
        self.set().allowed_users = users.into_iter().collect();
        Ok(self)
    }

    /// Keeps all jobs apart from the machine by this as well.
    pub fn with_isolation(mut self, isolation: Isolation) -> Result<Self, IsolationError> {
        if isolation.namespaces.any() {
            self.require(|facts| facts.namespaces, IsolationError::Namespaces)?;
        }
        if isolation.landlock.is_some() {
            self.require(|facts| facts.landlock, IsolationError::Landlock)?;
        }
        self.set().isolation = isolation;
        Ok(self)
    }

    /// The launcher that starts its jobs, if there is one.
    pub fn launcher(&self) -> Option<&Launcher> {
        match &self.0.way {
            Way::Launched(launcher) => Some(launcher),
            Way::InProcess => None,
        }
    }

    fn require(
        &self,
        can: impl FnOnce(&CageFacts) -> bool,
        or: IsolationError,
    ) -> Result<(), IsolationError> {
        let launcher = self.launcher().ok_or(IsolationError::NoLauncher)?;
        if can(launcher.facts()) {
            Ok(())
        } else {
            Err(or)
        }
    }

    /// How well a job of the executor's usual user is held.
    fn containment(&self) -> Containment {
        let Some(launcher) = self.launcher() else {
            return Containment::BestEffort;
        };
        let facts = launcher.facts();
        let by_cage = match (&self.0.user, facts.other_user) {
            (Some(_), Some(other)) => other,
            _ => facts.own_user,
        };
        if self.0.isolation.namespaces.pid {
            by_cage.max(Containment::Namespace)
        } else {
            by_cage
        }
    }

    /// The limits that hold an attempt as they are meant: those of all processes together for all of them, those of each
    /// process for each.
    fn enforceable(&self) -> BTreeSet<LimitKind> {
        let Some(launcher) = self.launcher() else {
            return BTreeSet::new();
        };
        let facts = launcher.facts();
        let per_process = [LimitKind::OpenFiles, LimitKind::FileSize];
        let of_each = per_process
            .into_iter()
            .filter(|kind| facts.process_limits.contains(kind));
        facts.tree_limits.iter().copied().chain(of_each).collect()
    }

    /// Which of these limits nothing enforces as it is meant; an error if that is no way to run.
    fn unenforced(&self, limits: &Limits) -> Result<Vec<LimitKind>, StartError> {
        if limits.kinds().next().is_none() {
            return Ok(Vec::new());
        }
        let enforceable = self.enforceable();
        let missing: Vec<LimitKind> = limits
            .kinds()
            .filter(|kind| !enforceable.contains(kind))
            .collect();
        if missing.is_empty() || self.0.unenforceable == Unenforceable::Warn {
            return Ok(missing);
        }
        let names: Vec<&str> = missing.iter().map(|kind| kind.as_str()).collect();
        Err(StartError::Worker {
            reason: InfraReason::LimitNotEnforceable,
            problem: format!(
                "this worker cannot enforce the limit on {}, and is told not to run jobs without",
                names.join(", ")
            ),
        })
    }

    /// The user that a configuration asks for, or that of all jobs.
    fn user_of(&self, config: &ProcessConfig) -> Result<Option<&JobUser>, ConfigError> {
        let Some(wanted) = &config.user else {
            return Ok(self.0.user.as_ref());
        };
        let is_it = |user: &&JobUser| user.name == *wanted || user.ids.uid.to_string() == *wanted;
        let allowed = self.0.allowed_users.iter().chain(&self.0.user).find(is_it);
        allowed.map(Some).ok_or_else(|| {
            let problem = if self.0.allowed_users.is_empty() {
                "jobs may not choose their user here; leave it out".to_owned()
            } else {
                format!("{wanted:?} is not among the users that jobs may choose here")
            };
            ConfigError::new("user", problem)
        })
    }

    fn read(&self, config: &str) -> Result<ProcessConfig, ConfigError> {
        let config = ProcessConfig::parse(config)?;
        self.user_of(&config)?;
        if cfg!(windows) && config.script.is_some() {
            let problem = "there is no /bin/sh on Windows to run it; give a command";
            return Err(ConfigError::new("script", problem));
        }
        Ok(config)
    }
}

impl Default for ProcessExecutor {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Executor for ProcessExecutor {
    fn facts(&self) -> ExecutorFacts {
        let mut capabilities = Capabilities::NONE.with_process_tree().with_two_streams();
        if cfg!(unix) {
            capabilities = capabilities.with_signal();
        }
        if self.launcher().is_some() {
            capabilities = capabilities.with_adopt();
        }
        let mut facts = ExecutorFacts::new(PROCESS_EXECUTOR, self.containment(), capabilities);
        facts.limits = self.enforceable();
        facts
    }

    fn check(&self, config: &str) -> Result<(), ConfigError> {
        self.read(config).map(drop)
    }

    /// Starts the program. Dropping the future lets a start that is under way come to its end, and ends what it
    /// started.
    async fn start(
        &self,
        context: AttemptContext,
        output: Output,
    ) -> Result<Box<dyn Execution>, StartError> {
        let bad = |error: ConfigError| StartError::Job {
            cause: StartFailure::BadConfig,
            problem: error.to_string(),
        };
        let config = self.read(&context.spec.executor.config).map_err(bad)?;
        check_secrets(&context.spec, &config)?;
        let user = self.user_of(&config).map_err(bad)?.cloned();
        let unenforced = self.unenforced(&context.spec.effective_limits())?;
        // Each function that hands it on would have room for one of its own.
        let job = Box::new(Job {
            executor: self.clone(),
            config,
            user,
            unenforced,
            context,
            output,
        });
        job.start().await
    }

    /// With a launcher: finds what still runs, and what has ended and was not forgotten. Output that the launcher does
    /// not write to its [place](jobyard_core::OutputSink::place) itself is delivered again from the first byte that is
    /// still there.
    ///
    /// Without: never finds anything, since the output of what an earlier life started is lost with that life. It kills
    /// what is left of the process group, if the trace proves that the group is still the same, and removes the files. On
    /// Windows nothing is left to kill.
    async fn adopt(
        &self,
        context: AttemptContext,
        trace: Option<ExecutionTrace>,
        output: Output,
    ) -> Result<Box<dyn Execution>, Gone> {
        #[cfg(target_os = "linux")]
        if let Some(launcher) = self.launcher() {
            let unenforced = self.unenforced(&context.spec.effective_limits());
            let found = super::launched::adopt(
                launcher,
                self.0.pool.as_ref(),
                &context,
                output,
                unenforced.unwrap_or_default(),
            );
            return match found.await {
                Ok(execution) => Ok(execution),
                Err(super::launched::NotFound::Gone(gone)) => Err(gone),
                Err(super::launched::NotFound::Unknown) => Err(end_left_over(context, trace).await),
            };
        }
        drop(output);
        Err(end_left_over(context, trace).await)
    }

    async fn forget(&self, attempt: AttemptId) {
        #[cfg(target_os = "linux")]
        if let Some(launcher) = self.launcher() {
            launcher.keeper().forget(attempt).await;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = attempt;
    }
}

/// An attempt that is about to start.
pub(super) struct Job {
    pub(super) executor: ProcessExecutor,
    pub(super) config: ProcessConfig,
    /// `None`: the host's own.
    pub(super) user: Option<JobUser>,
    /// Limits that it has and that nothing enforces.
    pub(super) unenforced: Vec<LimitKind>,
    pub(super) context: AttemptContext,
    pub(super) output: Output,
}

impl Job {
    async fn start(self: Box<Self>) -> Result<Box<dyn Execution>, StartError> {
        #[cfg(target_os = "linux")]
        if let Some(launcher) = self.executor.launcher() {
            let launcher = launcher.clone();
            return super::launched::start(launcher, self).await;
        }
        super::system::start(*self).await
    }

    /// What must not be seen in its output, where nobody else masks it.
    pub(super) fn masks(&self) -> Masks {
        Masks::new(self.context.spec.secret_env.values())
    }

    pub(super) fn path(&self) -> &str {
        &self.executor.0.path
    }

    pub(super) fn home(&self) -> PathBuf {
        let users = || self.user.as_ref().map(|user| user.home.clone());
        let own = || std::env::home_dir().unwrap_or_else(|| PathBuf::from(ROOT));
        let given = self.executor.0.home.clone();
        given.or_else(users).unwrap_or_else(own)
    }

    pub(super) fn drain(&self, usual: Duration) -> Duration {
        self.executor.0.drain.unwrap_or(usual)
    }

    /// The directories in and beneath which an absolute one may lie; `None`: anywhere.
    pub(super) fn allowed_dirs(&self) -> Option<&[PathBuf]> {
        match &self.executor.0.allowed_dirs {
            Some(dirs) => Some(dirs),
            None if self.user.is_none() => None,
            None => Some(&[]),
        }
    }

    /// As whom it runs, if not as we do.
    #[cfg(unix)]
    pub(super) fn owner(&self) -> Option<(u32, u32)> {
        self.user.as_ref().map(|user| (user.ids.uid, user.ids.gid))
    }

    #[cfg(target_os = "linux")]
    pub(super) fn isolation(&self) -> &Isolation {
        &self.executor.0.isolation
    }

    #[cfg(target_os = "linux")]
    pub(super) fn pool(&self) -> Option<&super::unix::Pool> {
        self.executor.0.pool.as_ref()
    }
}

/// A variable has one value, and a secret that is known.
fn check_secrets(spec: &ValidSpec, config: &ProcessConfig) -> Result<(), StartError> {
    if spec.has_hidden_secrets() {
        return Err(StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: "the values of its secrets are not known any more".to_owned(),
        });
    }
    let twice = spec
        .secret_env
        .keys()
        .find(|name| config.env.contains_key(*name));
    twice.map_or(Ok(()), |name| {
        let problem = format!("{name:?} is a variable of `env` as well: leave one out");
        Err(StartError::Job {
            cause: StartFailure::BadConfig,
            problem: ConfigError::new("secret_env", problem).to_string(),
        })
    })
}

/// Directories for the jobs of a launcher.
#[cfg(target_os = "linux")]
fn pool_of(launcher: &Launcher) -> super::unix::Pool {
    let known = launcher.clone();
    let dir = launcher.keeper().dir().to_owned();
    super::unix::Pool::new(dir, move |attempt| known.keeper().runs(attempt))
}

/// The home of a user who has none.
const ROOT: &str = if cfg!(windows) { r"C:\" } else { "/" };

async fn end_left_over(context: AttemptContext, trace: Option<ExecutionTrace>) -> Gone {
    super::system::end_left_over(&context.scratch, trace).await
}
