//! Which master a cluster has.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{program, within};

/// How a master is started: which program, with what.
#[derive(Clone, Debug)]
pub struct MasterProgram {
    path: PathBuf,
    listen: String,
    options: Vec<String>,
    environment: Vec<(String, String)>,
    prefix: Vec<String>,
}

impl MasterProgram {
    /// The one that is shipped, on any free port of this machine.
    ///
    /// # Panics
    ///
    /// When it was not built.
    pub fn shipped() -> Self {
        Self::at(program("jobyard-master"))
    }

    /// The same with places at which it dies, or its store fails, as the environment orders: `JOBYARD_FAILPOINT` and
    /// `JOBYARD_STORE_FAILPOINTS`.
    ///
    /// # Panics
    ///
    /// When it was not built.
    pub fn with_failpoints() -> Self {
        Self::at(program("examples/jobyard-master-failpoints"))
    }

    fn at(path: PathBuf) -> Self {
        Self {
            path,
            listen: "127.0.0.1:0".to_owned(),
            options: Vec::new(),
            environment: Vec::new(),
            prefix: Vec::new(),
        }
    }

    /// With these options, too.
    #[must_use]
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options
            .extend(options.iter().copied().map(str::to_owned));
        self
    }

    /// With this variable in its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// On this address.
    #[must_use]
    pub fn listening_on(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Started by this command, which executes it. The CLI is, too.
    #[must_use]
    pub fn started_by(mut self, prefix: &[&str]) -> Self {
        self.prefix = prefix.iter().copied().map(str::to_owned).collect();
        self
    }

    /// The command that starts it on the data of this cluster.
    pub(crate) fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(["--listen", &self.listen, "--data"])
            .arg(dir.join("master"))
            .args(&self.options)
            .envs(
                self.environment
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            );
        within(&self.prefix, &command)
    }

    pub(crate) fn prefix(&self) -> &[String] {
        &self.prefix
    }
}
