//! The environment of a job: built from a short list, never inherited.

use std::collections::BTreeMap;
use std::path::Path;

use jobyard_core::{ConfigError, SecretText};

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
    /// The whole environment: this baseline, then `worker`, then the job's own and its secrets. Later ones win.
    pub(super) fn build(
        &self,
        worker: &BTreeMap<String, String>,
        config: &ProcessConfig,
        secrets: &BTreeMap<String, SecretText>,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut all = BTreeMap::new();
        let tmp = self.tmp.to_string_lossy();
        let home = self.home.to_string_lossy();
        set(&mut all, "CI", "true");
        set(&mut all, "HOME", &home);
        set(&mut all, "LANG", "C.UTF-8");
        set(&mut all, "PATH", self.path);
        set(&mut all, "TMPDIR", &tmp);
        if cfg!(windows) {
            set(&mut all, "USERPROFILE", &home);
            set(&mut all, "TEMP", &tmp);
            set(&mut all, "TMP", &tmp);
            for (name, usual) in OF_WINDOWS {
                let of_machine = std::env::var(name);
                set(&mut all, name, of_machine.as_deref().unwrap_or(usual));
            }
        }
        if let Some(user) = self.user {
            for name in ["USER", "LOGNAME"] {
                set(&mut all, name, user);
            }
        }
        for (name, value) in worker {
            check_env(name, value)?;
            set(&mut all, name, value);
        }
        for (name, value) in &config.env {
            set(&mut all, name, value);
        }
        for (name, value) in secrets {
            set(&mut all, name, value.expose());
        }
        Ok(all)
    }
}

/// Without these, many a program of Windows does not even start. They are the machine's and say nothing of who started
/// us.
const OF_WINDOWS: [(&str, &str); 5] = [
    ("ComSpec", r"C:\Windows\System32\cmd.exe"),
    ("PATHEXT", ".COM;.EXE;.BAT;.CMD"),
    ("SystemDrive", "C:"),
    ("SystemRoot", r"C:\Windows"),
    ("windir", r"C:\Windows"),
];

/// Sets a variable in the place of an earlier one. Windows does not tell `Path` from `PATH`.
fn set(all: &mut BTreeMap<String, String>, name: &str, value: &str) {
    if cfg!(windows) {
        all.retain(|known, _| !known.eq_ignore_ascii_case(name));
    }
    all.insert(name.to_owned(), value.to_owned());
}
