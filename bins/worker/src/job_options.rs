//! How jobs run: as whom, where, and what holds them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use jobyard_executor::launcher::{Isolation, LauncherCommand, Mechanism, Namespaces};
use jobyard_executor::{JobUser, Unenforceable};
use serde::Deserialize;

use crate::file::ConfigFile;

/// What the command line says about it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct JobOptions {
    /// Run jobs as this user of the system, by name or number. Only root can
    #[arg(long, env = "JOBYARD_JOB_USER", value_name = "NAME", global = true)]
    pub(crate) job_user: Option<String>,

    /// Run jobs as root, if this program does
    #[arg(long, global = true)]
    pub(crate) allow_root_jobs: bool,

    /// A directory in and beneath which jobs may run, if they name one; may be repeated [default: any, and none with
    /// --job-user]
    #[arg(
        long,
        env = "JOBYARD_ALLOW_DIR",
        value_name = "DIR",
        value_delimiter = ','
    )]
    pub(crate) allow_dir: Vec<PathBuf>,

    /// What becomes of jobs with limits that this machine cannot enforce [default: warn]
    #[arg(long, env = "JOBYARD_MISSING_LIMITS", value_enum)]
    pub(crate) missing_limits: Option<MissingLimits>,

    /// Keep jobs apart from the machine by namespaces of their own, as in pid,mount
    #[arg(
        long,
        env = "JOBYARD_ISOLATE",
        value_enum,
        value_name = "NAMESPACES",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) isolate: Vec<Namespace>,

    /// The program that starts jobs and keeps hold of them while this one is away; `none`: this one does, and they end
    /// with it [default: jobyard-launcher beside this program, or this program itself]
    #[arg(
        long,
        env = "JOBYARD_LAUNCHER",
        value_name = "PATH|none",
        global = true
    )]
    pub(crate) launcher: Option<PathBuf>,

    /// Hold jobs by nothing stronger than this [default: the strongest that this machine has]
    #[arg(
        long,
        env = "JOBYARD_CONTAINMENT",
        value_enum,
        value_name = "MECHANISM",
        global = true
    )]
    pub(crate) containment: Option<Containment>,
}

/// What becomes of a job with a limit that cannot be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MissingLimits {
    /// It is not started here.
    Refuse,
    /// It runs, and its result says which limits nothing enforced.
    Warn,
}

/// A namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Namespace {
    /// It sees its own processes only.
    Pid,
    /// What it mounts is gone with it.
    Mount,
    /// It has a loopback interface and no other.
    Net,
}

/// What holds jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Containment {
    /// A control group of version 2
    Cgroup2,
    /// A PID namespace
    PidNamespace,
    /// A freezer of control groups of version 1
    Freezer,
    /// A process that collects what jobs leave
    Subreaper,
}

impl Containment {
    const fn mechanism(self) -> Mechanism {
        match self {
            Self::Cgroup2 => Mechanism::Cgroup2,
            Self::PidNamespace => Mechanism::PidNamespace,
            Self::Freezer => Mechanism::Freezer,
            Self::Subreaper => Mechanism::Subreaper,
        }
    }
}

/// What came out.
#[derive(Clone, Debug)]
pub(crate) struct JobSettings {
    pub(crate) user: Option<JobUser>,
    pub(crate) allow_root: bool,
    /// `None`: what the executor allows by itself.
    pub(crate) allowed_dirs: Option<Vec<PathBuf>>,
    pub(crate) unenforceable: Unenforceable,
    pub(crate) isolation: Isolation,
    pub(crate) launcher: LauncherCommand,
    pub(crate) mechanism: Option<Mechanism>,
}

impl JobOptions {
    /// Puts flags and file together.
    pub(crate) fn settle(self, file: &ConfigFile) -> anyhow::Result<JobSettings> {
        let user = self.job_user.or(file.job_user.clone());
        let user = user.map(|name| JobUser::find(&name)).transpose();
        let user = user.context("--job-user")?;
        let launcher = command(self.launcher.or(file.launcher.clone()))?;
        let isolate = [self.isolate, file.isolate.clone()].concat();
        if launcher == LauncherCommand::None {
            ensure!(user.is_none(), "--job-user needs a launcher");
            ensure!(isolate.is_empty(), "--isolate needs a launcher");
        }
        let dirs = [self.allow_dir, file.allow_dir.clone()].concat();
        for dir in &dirs {
            ensure!(
                dir.is_absolute(),
                "--allow-dir: {} is not absolute",
                dir.display()
            );
            let metadata = std::fs::metadata(dir);
            let metadata = metadata.with_context(|| format!("--allow-dir {}", dir.display()))?;
            ensure!(
                metadata.is_dir(),
                "--allow-dir: {} is no directory",
                dir.display()
            );
        }
        let missing = self.missing_limits.or(file.missing_limits);
        Ok(JobSettings {
            user,
            allow_root: self.allow_root_jobs || file.allow_root_jobs,
            allowed_dirs: (!dirs.is_empty()).then_some(dirs),
            unenforceable: match missing.unwrap_or(MissingLimits::Warn) {
                MissingLimits::Refuse => Unenforceable::Refuse,
                MissingLimits::Warn => Unenforceable::Warn,
            },
            isolation: isolation(&isolate),
            launcher,
            mechanism: self
                .containment
                .or(file.containment)
                .map(Containment::mechanism),
        })
    }
}

impl JobSettings {
    /// The user of jobs that is another than the one of this program. One that is the same keeps nothing apart.
    pub(crate) fn other_user(&self) -> Option<&JobUser> {
        self.other_user_than(own_user())
    }

    fn other_user_than(&self, own: u32) -> Option<&JobUser> {
        let user = self.user.as_ref();
        user.filter(|user| user.ids.uid != 0 && user.ids.uid != own)
    }

    /// Whether jobs can and may run as their user. Whoever can submit jobs to a worker of root can do everything on its
    /// machine, so somebody has to want that.
    pub(crate) fn check_user(&self) -> anyhow::Result<()> {
        self.check_user_for(own_user())
    }

    /// The same for a program of this user.
    fn check_user_for(&self, own: u32) -> anyhow::Result<()> {
        let jobs = self.user.as_ref().map_or(own, |user| user.ids.uid);
        ensure!(
            own == 0 || jobs == own,
            "--job-user: only root can run jobs as another user, and this worker does not run as root"
        );
        if self.allow_root || jobs != 0 {
            return Ok(());
        }
        ensure!(
            self.user.is_none(),
            "--job-user: this user is root: name one that is not, or say --allow-root-jobs"
        );
        bail!(
            "jobs would run as root: name another user with --job-user, start the worker as another user, or say \
             --allow-root-jobs"
        );
    }
}

/// As whom this program runs.
fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn command(launcher: Option<PathBuf>) -> anyhow::Result<LauncherCommand> {
    match launcher {
        Some(path) if path.as_os_str() == "none" => Ok(LauncherCommand::None),
        Some(path) => program(&path).map(LauncherCommand::Program),
        None if cfg!(target_os = "linux") => Ok(LauncherCommand::beside()),
        None => Ok(LauncherCommand::None),
    }
}

/// A program that can be started, wherever from: one that cannot is a wrong option, found before anything is begun.
fn program(path: &Path) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(path).context("--launcher")?;
    let metadata = std::fs::metadata(&path);
    let metadata = metadata.with_context(|| format!("--launcher {}", path.display()))?;
    ensure!(
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0,
        "--launcher: {} is no program that can be started",
        path.display()
    );
    Ok(path)
}

fn isolation(namespaces: &[Namespace]) -> Isolation {
    let mut own = Namespaces::default();
    own.pid = namespaces.contains(&Namespace::Pid);
    own.mount = namespaces.contains(&Namespace::Mount);
    own.net = namespaces.contains(&Namespace::Net);
    let mut isolation = Isolation::default();
    isolation.namespaces = own;
    isolation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(user: Option<&str>, allow_root_jobs: bool) -> JobSettings {
        let options = JobOptions {
            job_user: user.map(str::to_owned),
            allow_root_jobs,
            launcher: Some(PathBuf::from("/bin/sh")),
            ..JobOptions::default()
        };
        options
            .settle(&ConfigFile::default())
            .expect("sensible options")
    }

    #[test]
    fn jobs_of_another_user_take_root_and_jobs_of_root_somebody_who_wants_them() {
        for (user, allowed, own, fine) in [
            (None, false, 0, false),
            (None, false, 1000, true),
            (None, true, 0, true),
            (Some("65534"), false, 0, true),
            (Some("0"), false, 0, false),
            (Some("0"), true, 0, true),
            (Some("0"), true, 1000, false),
            (Some("65534"), false, 1000, false),
            (Some("65534"), false, 65534, true),
        ] {
            let checked = settle(user, allowed).check_user_for(own);
            assert_eq!(checked.is_ok(), fine, "{user:?} {allowed} {own}");
        }
        let refused = settle(Some("0"), false).check_user_for(0).unwrap_err();
        assert!(refused.to_string().contains("is root"), "{refused}");
    }

    #[test]
    fn root_and_the_own_user_are_nobody_else() {
        for (user, own, other) in [
            (None, 1000, false),
            (Some("0"), 0, false),
            (Some("root"), 0, false),
            (Some("65534"), 65534, false),
            (Some("65534"), 0, true),
        ] {
            let settings = settle(user, true);
            let found = settings.other_user_than(own).is_some();
            assert_eq!(found, other, "{user:?} {own}");
        }
    }

    #[test]
    fn file_and_flags_make_the_settings_together() {
        let file = ConfigFile {
            allow_dir: vec![PathBuf::from("/usr")],
            missing_limits: Some(MissingLimits::Refuse),
            isolate: vec![Namespace::Pid],
            containment: Some(Containment::Freezer),
            ..ConfigFile::default()
        };
        let options = JobOptions {
            allow_dir: vec![PathBuf::from("/")],
            isolate: vec![Namespace::Net],
            containment: Some(Containment::Subreaper),
            launcher: Some(PathBuf::from("/bin/sh")),
            ..JobOptions::default()
        };
        let settings = options.settle(&file).expect("sensible options");
        let dirs = ["/", "/usr"].map(PathBuf::from).to_vec();
        assert_eq!(settings.allowed_dirs, Some(dirs));
        assert_eq!(settings.unenforceable, Unenforceable::Refuse);
        assert_eq!(settings.mechanism, Some(Mechanism::Subreaper));
        let namespaces = settings.isolation.namespaces;
        assert!(namespaces.pid && namespaces.net && !namespaces.mount);
    }
}
