//! What runs the jobs.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use jobyard_core::Executor;
use jobyard_executor::ProcessExecutor;
use jobyard_executor::launcher::{Launcher, LauncherCommand, LauncherOptions};

use crate::job_options::JobSettings;

/// The name of the directory of launchers in the data directory.
const LAUNCHERS: &str = "launcher";

/// The executor for processes. In `data`, which is taken, it finds the launchers of earlier lives.
pub(crate) async fn processes(
    settings: &JobSettings,
    data: &Path,
) -> anyhow::Result<ProcessExecutor> {
    let mut executor = match &settings.launcher {
        LauncherCommand::None => ProcessExecutor::new(),
        command => {
            let dir = std::path::absolute(data)?.join(LAUNCHERS);
            let mut options = LauncherOptions::new(dir, command.clone());
            if let Some(mechanism) = settings.mechanism {
                options = options.with_mechanism(mechanism);
            }
            let opened = Launcher::open_with(options).await;
            ProcessExecutor::launched(opened.context(
                "jobs cannot be started; --launcher none starts them from within this program, and holds them less well",
            )?)
        }
    };
    executor = executor.with_unenforceable(settings.unenforceable);
    if let Some(dirs) = &settings.allowed_dirs {
        executor = executor.with_allowed_dirs(dirs);
    }
    // Who names the own user, or root, gets jobs that are held as loosely as those of the own user, and are called so.
    if let Some(user) = settings.other_user() {
        executor = executor.with_user(user.clone()).context("--job-user")?;
    }
    if settings.isolation.namespaces.any() {
        executor = executor
            .with_isolation(settings.isolation.clone())
            .context("--isolate")?;
    }
    Ok(executor)
}

/// Everything that runs jobs.
pub(crate) async fn executors(
    settings: &JobSettings,
    data: &Path,
) -> anyhow::Result<Vec<Arc<dyn Executor>>> {
    let processes = processes(settings, data).await?;
    let containment = processes.facts().containment.as_str();
    let mechanism = processes
        .launcher()
        .map(|launcher| launcher.facts().mechanism.as_str());
    tracing::info!(containment, mechanism, "jobs are held");
    Ok(vec![Arc::new(processes)])
}
