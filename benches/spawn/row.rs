//! What is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use jobyard_benches::PROGRAM;
use jobyard_benches::raw::RawSpawn;
use jobyard_benches::supervised::Supervised;
use jobyard_core::{LimitKind, Limits};
use jobyard_executor::launcher::{Launcher, LauncherCommand, LauncherOptions, Mechanism};
use jobyard_executor::{JobUser, ProcessExecutor, Unenforceable};

use crate::options::Options;
use crate::place::{Places, open_to_all};

/// One way to run one program.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What it is called.
    pub(crate) name: String,
    /// Which way.
    pub(crate) way: Way,
    program: PathBuf,
    /// `None`: on the disk.
    dir: Option<PathBuf>,
    is_limited: bool,
    is_of_other_user: bool,
}

/// A way to run programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The standard library alone, with a copy of this process for each start.
    Forked,
    /// The supervisor, with an executor without a launcher.
    InProcess,
    /// The supervisor, with a launcher that holds jobs by this; `None`: by the strongest that the machine has.
    Launched(Option<Mechanism>),
}

impl Row {
    /// The rows that are measured while this program is small.
    pub(crate) fn small(places: &Places) -> Vec<Self> {
        let mut rows = vec![
            Self::new("raw, forked (as with pre_exec)", Way::Forked),
            Self::new("in-process", Way::InProcess),
            Self::new(LAUNCHED, Way::Launched(None)),
        ];
        for mechanism in [
            Mechanism::Cgroup2,
            Mechanism::PidNamespace,
            Mechanism::Freezer,
            Mechanism::Subreaper,
        ] {
            let name = format!("launched, {}", mechanism.as_str());
            rows.push(Self::new(name, Way::Launched(Some(mechanism))));
        }
        let launched = |name: &str| Self::new(name, Way::Launched(None));
        rows.push(Self {
            is_limited: true,
            ..launched("launched, limits on memory and processes")
        });
        rows.push(Self {
            is_of_other_user: true,
            ..launched("launched, another user")
        });
        if let Some(dir) = places.memory() {
            let dir = Some(dir.to_owned());
            rows.push(Self {
                dir: dir.clone(),
                ..Self::new("in-process, on tmpfs", Way::InProcess)
            });
            rows.push(Self {
                dir,
                ..launched("launched, on tmpfs")
            });
        }
        if let Some(tiny) = places.tiny() {
            rows.push(Self {
                program: tiny.to_owned(),
                ..Self::new("in-process, tiny static program", Way::InProcess)
            });
            rows.push(Self {
                program: tiny.to_owned(),
                ..launched("launched, tiny static program")
            });
        }
        rows
    }

    /// The rows that are measured while this program is large.
    pub(crate) fn large() -> Vec<Self> {
        vec![
            Self::new("raw, forked, with ballast", Way::Forked),
            Self::new("in-process, with ballast", Way::InProcess),
            Self::new(LAUNCHED_LARGE, Way::Launched(None)),
        ]
    }

    fn new(name: impl Into<String>, way: Way) -> Self {
        Self {
            name: name.into(),
            way,
            program: PathBuf::from(PROGRAM),
            dir: None,
            is_limited: false,
            is_of_other_user: false,
        }
    }
}

/// The row that has to reach the goals, and the one that has to reach them in a large program.
pub(crate) const LAUNCHED: &str = "launched";
/// See [`LAUNCHED`].
pub(crate) const LAUNCHED_LARGE: &str = "launched, with ballast";

/// A row that is ready to be measured, and its yardstick.
pub(crate) struct Contender {
    pub(crate) yardstick: RawSpawn,
    pub(crate) runs: Runs,
    pub(crate) launcher: Option<Launcher>,
}

/// What runs the program.
pub(crate) enum Runs {
    Raw(RawSpawn),
    /// Shared with the task that has it run.
    Supervised(Arc<Supervised>),
}

impl Contender {
    /// Starts what the row needs. The inner error says why this machine does not have that.
    pub(crate) async fn prepare(
        row: &Row,
        options: &Options,
        places: &Places,
    ) -> Result<Result<Self, String>> {
        let yardstick = RawSpawn::new(&row.program);
        let dir = row.dir.as_deref().unwrap_or_else(|| places.disk());
        let dir = dir.join(row.name.replace([' ', ','], "-"));
        open_to_all(&dir)?;
        let (executor, launcher) = match row.way {
            Way::Forked => {
                return Ok(Ok(Self {
                    yardstick,
                    runs: Runs::Raw(RawSpawn::forked(&row.program)),
                    launcher: None,
                }));
            }
            Way::InProcess => (ProcessExecutor::new(), None),
            Way::Launched(mechanism) => {
                let launcher = open(mechanism, &dir, options).await?;
                let has = launcher.facts().mechanism;
                if mechanism.is_some_and(|wanted| wanted != has) {
                    return Ok(Err(format!("this machine gives {}", has.as_str())));
                }
                (ProcessExecutor::launched(launcher.clone()), Some(launcher))
            }
        };
        let executor = match configure(executor, row) {
            Ok(executor) => Arc::new(executor),
            Err(reason) => return Ok(Err(reason)),
        };
        let mut supervised = Supervised::new(executor, &row.program, &dir)?;
        if row.is_limited {
            supervised = supervised.with_limits(LIMITS)?;
        }
        Ok(Ok(Self {
            yardstick,
            runs: Runs::Supervised(Arc::new(supervised)),
            launcher,
        }))
    }
}

async fn open(mechanism: Option<Mechanism>, dir: &Path, options: &Options) -> Result<Launcher> {
    let command = match &options.launcher {
        Some(program) => LauncherCommand::Program(program.clone()),
        None => LauncherCommand::CurrentExe,
    };
    let mut launchers = LauncherOptions::new(dir.join("launcher"), command);
    if let Some(mechanism) = mechanism {
        launchers = launchers.with_mechanism(mechanism);
    }
    Ok(Launcher::open_with(launchers).await?)
}

fn configure(executor: ProcessExecutor, row: &Row) -> Result<ProcessExecutor, String> {
    let executor = executor.with_unenforceable(Unenforceable::Refuse);
    let facts = executor.launcher().map(|launcher| launcher.facts().clone());
    let holds = |kind| {
        facts
            .as_ref()
            .is_some_and(|facts| facts.tree_limits.contains(&kind))
    };
    if row.is_limited && !LIMITED.into_iter().all(holds) {
        return Err("this machine cannot hold jobs to these limits".to_owned());
    }
    if !row.is_of_other_user {
        return Ok(executor);
    }
    let user = JobUser::find(OTHER_USER).map_err(|error| error.to_string())?;
    executor.with_user(user).map_err(|error| error.to_string())
}

/// What a small job is held to.
const LIMITS: Limits = {
    let mut limits = Limits::NONE;
    limits.memory = Some(256 << 20);
    limits.processes = Some(64);
    limits
};
const LIMITED: [LimitKind; 2] = [LimitKind::Memory, LimitKind::Processes];

/// A number that no user has.
const OTHER_USER: &str = "54321";
