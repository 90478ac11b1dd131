//! Where the binaries are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The programs of a cluster. The launcher lies beside the worker, which finds it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// `jobyard-master`.
    pub master: PathBuf,
    /// `jobyard-worker`.
    pub worker: PathBuf,
}

impl Programs {
    /// Those in this directory.
    pub fn in_directory(dir: &Path) -> Result<Self> {
        let find = |name: &str| {
            let path = dir.join(name);
            ensure!(path.is_file(), "there is no {}", path.display());
            Ok(path)
        };
        Ok(Self {
            master: find(MASTER)?,
            worker: find(WORKER)?,
        })
    }

    /// Builds them with the cargo that runs this benchmark: optimised if the benchmark is. Blocks.
    pub fn build() -> Result<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--bin", MASTER, "--bin", WORKER, "--bin", LAUNCHER])
            .args(["--package", MASTER_PACKAGE, "--package", WORKER_PACKAGE])
            .args(["--package", LAUNCHER])
            .args(["--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit());
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let built = build.output().context("cargo could not be started")?;
        ensure!(built.status.success(), "cargo could not build the binaries");
        let messages = String::from_utf8_lossy(&built.stdout);
        let find = |name: &str| {
            messages
                .lines()
                .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
                .find(|artifact| artifact.target.name == name)
                .and_then(|artifact| artifact.executable)
                .with_context(|| format!("cargo did not say where it put {name}"))
        };
        Ok(Self {
            master: find(MASTER)?,
            worker: find(WORKER)?,
        })
    }
}

const MASTER: &str = "jobyard-master";
const WORKER: &str = "jobyard-worker";
/// Also the name of its package.
const LAUNCHER: &str = "jobyard-launcher";
const MASTER_PACKAGE: &str = "jobyard-master-bin";
const WORKER_PACKAGE: &str = "jobyard-worker-bin";

/// The part of cargo's message about something that it built that we use.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    /// Libraries have none.
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}
