//! How jobs run: as whom, where, and what holds them.

use std::path::PathBuf;

use anyhow::{Context, ensure};
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
    #[arg(long)]
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
        let launcher = command(self.launcher.or(file.launcher.clone()));
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
    /// Whoever can submit jobs to a worker of root can do everything on its machine, so somebody has to want that.
    pub(crate) fn check_root(&self) -> anyhow::Result<()> {
        self.check_root_for(rustix::process::geteuid().as_raw())
    }

    /// The same for a program of this user.
    fn check_root_for(&self, own: u32) -> anyhow::Result<()> {
        let jobs = self.user.as_ref().map_or(own, |user| user.ids.uid);
        ensure!(
            self.allow_root || jobs != 0,
            "jobs would run as root: name another user with --job-user, start the worker as another user, or say \
             --allow-root-jobs"
        );
        Ok(())
    }
}

fn command(launcher: Option<PathBuf>) -> LauncherCommand {
    match launcher {
        Some(path) if path.as_os_str() == "none" => LauncherCommand::None,
        Some(path) => LauncherCommand::Program(path),
        None if cfg!(target_os = "linux") => LauncherCommand::beside(),
        None => LauncherCommand::None,
    }
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
            launcher: Some(PathBuf::from("/some/launcher")),
            ..JobOptions::default()
        };
        options
            .settle(&ConfigFile::default())
            .expect("sensible options")
    }

    #[test]
    fn somebody_has_to_want_jobs_of_root() {
        for (user, allowed, own, fine) in [
            (None, false, 0, false),
            (None, false, 1000, true),
            (None, true, 0, true),
            (Some("65534"), false, 0, true),
            (Some("0"), false, 0, false),
            (Some("0"), true, 0, true),
        ] {
            let checked = settle(user, allowed).check_root_for(own);
            assert_eq!(checked.is_ok(), fine, "{user:?} {allowed} {own}");
        }
    }

    #[test]
    fn file_and_flags_make_the_settings_together() {
        let file = ConfigFile {
            allow_dir: vec![PathBuf::from("/builds")],
            missing_limits: Some(MissingLimits::Refuse),
            isolate: vec![Namespace::Pid],
            containment: Some(Containment::Freezer),
            ..ConfigFile::default()
        };
        let options = JobOptions {
            allow_dir: vec![PathBuf::from("/more")],
            isolate: vec![Namespace::Net],
            containment: Some(Containment::Subreaper),
            launcher: Some(PathBuf::from("/some/launcher")),
            ..JobOptions::default()
        };
        let settings = options.settle(&file).expect("sensible options");
        let dirs = ["/more", "/builds"].map(PathBuf::from).to_vec();
        assert_eq!(settings.allowed_dirs, Some(dirs));
        assert_eq!(settings.unenforceable, Unenforceable::Refuse);
        assert_eq!(settings.mechanism, Some(Mechanism::Subreaper));
        let namespaces = settings.isolation.namespaces;
        assert!(namespaces.pid && namespaces.net && !namespaces.mount);
    }
}
