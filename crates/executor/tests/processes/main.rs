//! Real processes under the supervisor, started from within this program; one group of behaviours per file.
#![cfg(target_os = "linux")]

mod workbench;

/// How jobs are started here.
mod way {
    use std::path::Path;

    use jobyard_executor::ProcessExecutor;

    pub(crate) fn executor(_base: &Path) -> ProcessExecutor {
        ProcessExecutor::new()
    }
}

mod adopt;
mod busy;
mod contract;
mod directory;
mod environment;
mod exit;
mod output;
mod start;
mod stop;
mod tree;
