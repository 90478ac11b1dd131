//! The configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jobyard_service::LogFormat;
use serde::Deserialize;

use crate::cores::Cores;
use crate::job_options::{Containment, MissingLimits, Namespace};
use crate::named_resource;
use crate::options::OnTerm;
use crate::protection_options::FreeDisk;
use crate::size::Size;

/// The options of the command line, as far as they make sense in a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct ConfigFile {
    pub(crate) data: Option<PathBuf>,
    pub(crate) master: Vec<String>,
    pub(crate) join_file: Option<PathBuf>,
    pub(crate) name: Option<String>,
    pub(crate) slots: Option<u32>,
    pub(crate) cpu: Option<Cores>,
    pub(crate) memory: Option<Size>,
    #[serde(deserialize_with = "named_resource::table")]
    pub(crate) resource: BTreeMap<String, u64>,
    pub(crate) tag: Vec<String>,
    pub(crate) exclusive_tag: Vec<String>,
    pub(crate) no_auto_tags: bool,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) pass_env: Vec<String>,
    pub(crate) on_term: Option<OnTerm>,
    pub(crate) drain_timeout: Option<String>,
    pub(crate) job_user: Option<String>,
    pub(crate) allow_root_jobs: bool,
    pub(crate) allow_dir: Vec<PathBuf>,
    pub(crate) missing_limits: Option<MissingLimits>,
    pub(crate) isolate: Vec<Namespace>,
    pub(crate) launcher: Option<PathBuf>,
    pub(crate) containment: Option<Containment>,
    pub(crate) spool_budget: Option<Size>,
    pub(crate) min_free_disk: Option<FreeDisk>,
    pub(crate) min_free_memory: Option<Size>,
    pub(crate) max_memory_pressure: Option<u8>,
    pub(crate) max_load: Option<Cores>,
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

    fn read(text: &str) -> anyhow::Result<ConfigFile> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.toml");
        std::fs::write(&path, text).unwrap();
        ConfigFile::read(&path)
    }

    #[test]
    fn refuse_unknown_keys_with_file_and_line() {
        let error = read("slots = 4\n\nslot = 5\n").unwrap_err().to_string();
        assert!(
            error.contains("worker.toml:3:") && error.contains("slot"),
            "{error}"
        );
    }

    #[test]
    fn cores_are_a_number_or_a_text() {
        for text in ["cpu = 1.5", "cpu = \"1.5\""] {
            assert_eq!(read(text).unwrap().cpu, Some(Cores { millis: 1500 }));
        }
        assert_eq!(read("cpu = 4").unwrap().cpu, Some(Cores { millis: 4000 }));
    }

    #[test]
    fn refuse_what_cannot_be_offered_with_file_and_line() {
        let cases = [
            ("cpu = -1", "such as 4 or 1.5"),
            ("cpu = true", "as in 4 or 1.5"),
            ("cpu = nan", "such as 4 or 1.5"),
            ("memory = \"8\"", "as in 8GiB"),
            ("memory = 8", "8GiB"),
            ("min-free-disk = \"100%\"", "as in 5%"),
            ("isolate = [\"user\"]", "unknown variant"),
            ("containment = \"chroot\"", "pid-namespace"),
            ("resource = { gpu = -1 }", "-1"),
            ("resource = { GPU = 1 }", "lower case"),
            ("[resource]\ngpu = 1\ngpu = 2", "duplicate"),
        ];
        for (text, said) in cases {
            let error = read(&format!("slots = 1\n{text}\n"))
                .unwrap_err()
                .to_string();
            assert!(error.contains("worker.toml:"), "{text}: {error}");
            assert!(!error.contains("worker.toml:1:"), "{text}: {error}");
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
