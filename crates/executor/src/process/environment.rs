//! The environment of a job: built from a short list, never inherited.

use std::collections::BTreeMap;
use std::path::Path;

use jobyard_core::ConfigError;

use super::ProcessConfig;
use super::config::check_env;

/// What every job finds, before the worker's and the job's own environment.
pub(super) struct Baseline<'a> {
    pub(super) path: &'a str,
    pub(super) home: &'a Path,
    /// The private directory for temporary files.
    pub(super) tmp: &'a Path,
    /// Who it runs as, where that is not the user of the host.
    pub(super) user: Option<&'a str>,
}

impl Baseline<'_> {
    /// The whole environment: this baseline, then `worker`, then the job's own. Later ones win.
    pub(super) fn build(
        &self,
        worker: &BTreeMap<String, String>,
        config: &ProcessConfig,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut all: BTreeMap<String, String> = [
            ("CI", "true".to_owned()),
            ("HOME", self.home.to_string_lossy().into_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("PATH", self.path.to_owned()),
            ("TMPDIR", self.tmp.to_string_lossy().into_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Some(user) = self.user {
            for name in ["USER", "LOGNAME"] {
                all.insert(name.to_owned(), user.to_owned());
            }
        }
        for (name, value) in worker {
            check_env(name, value)?;
            all.insert(name.clone(), value.clone());
        }
        all.extend(
            config
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        Ok(all)
    }
}
