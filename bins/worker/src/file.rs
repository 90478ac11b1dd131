//! The configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use crate::options::{LogFormat, OnTerm};

/// The options of the command line, as far as they make sense in a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct ConfigFile {
    pub(crate) data: Option<PathBuf>,
    pub(crate) master: Vec<String>,
    pub(crate) join_file: Option<PathBuf>,
    pub(crate) name: Option<String>,
    pub(crate) slots: Option<u32>,
    pub(crate) tag: Vec<String>,
    pub(crate) no_auto_tags: bool,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) pass_env: Vec<String>,
    pub(crate) on_term: Option<OnTerm>,
    pub(crate) drain_timeout: Option<String>,
    pub(crate) allow_root_jobs: bool,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) log_level: Option<String>,
}

impl ConfigFile {
    /// Reads a file. Unknown keys are refused, with the line in which they stand.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("--config: {} cannot be read", path.display()))?;
        toml::from_str(&text).map_err(|problem| {
            let line = problem
                .span()
                .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            anyhow::anyhow!("{}:{line}: {}", path.display(), problem.message())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuse_unknown_keys_with_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.toml");
        std::fs::write(&path, "slots = 4\n\nslot = 5\n").unwrap();
        let error = ConfigFile::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("worker.toml:3:") && error.contains("slot"),
            "{error}"
        );
    }
}
