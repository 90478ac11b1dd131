//! What the process executor is told of a job.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path};

use jobyard_core::{ConfigError, MAX_CONFIG_BYTES};
use serde::{Deserialize, Serialize};

/// The longest single argument or environment entry, in bytes: Linux takes 128 KiB with the final zero. A script and
/// the standard input may be longer.
pub const MAX_ARGUMENT_BYTES: usize = 128 * 1024 - 1;

/// The configuration of the `process` executor: a command or a script, and what it finds around itself. In a spec it
/// is JSON with these names.
///
/// ```
/// use jobyard_executor::ProcessConfig;
///
/// let config = ProcessConfig::parse(r#"{"command": ["make", "-j4"], "env": {"CC": "clang"}}"#)?;
/// assert_eq!(config.command, ["make", "-j4"]);
/// assert!(ProcessConfig::parse(r#"{"command": []}"#).is_err());
/// # Ok::<(), jobyard_core::ConfigError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ProcessConfig {
    /// The program and its arguments. A name without a slash (on Windows: nor a backslash or colon) is looked up in the `PATH` of the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Instead of a command: text that `/bin/sh` runs with `-eu`. Refused on Windows, which has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The job's own environment. Wins over all others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Where it runs. By default a fresh directory of its own, removed afterwards; a relative path lies beneath that
    /// and is created, an absolute one has to exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// What it reads from its standard input; by default nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// As whom it runs: a name or a number. Refused by an executor that does not let jobs choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl ProcessConfig {
    /// Runs a program with arguments.
    pub fn command<I: IntoIterator<Item: Into<String>>>(command: I) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Runs a script with `/bin/sh -eu`.
    pub fn script(script: impl Into<String>) -> Self {
        Self {
            script: Some(script.into()),
            ..Self::default()
        }
    }

    /// Sets one variable of the job's own environment.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Says where it runs.
    #[must_use]
    pub fn with_dir(mut self, dir: impl Into<String>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Says what it reads from its standard input.
    #[must_use]
    pub fn with_stdin(mut self, stdin: impl Into<String>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Reads a configuration and checks it. Unknown names are an error, so that a misspelt one is not ignored.
    pub fn parse(config: &str) -> Result<Self, ConfigError> {
        if config.len() > MAX_CONFIG_BYTES {
            return Err(ConfigError::new(
                "config",
                format!(
                    "it has {} bytes, at most {MAX_CONFIG_BYTES} are allowed",
                    config.len()
                ),
            ));
        }
        let parsed: Self = serde_json::from_str(config)
            // Only what serde says of names and places: values may be secret.
            .map_err(|error| ConfigError::new("config", describe(&error)))?;
        parsed.check()?;
        Ok(parsed)
    }

    /// The text for [`ExecutorSpec::config`](jobyard_core::ExecutorSpec).
    pub fn to_config_string(&self) -> String {
        serde_json::to_string(self).expect("texts and maps of texts always have a JSON form")
    }

    /// Checks every field. A relative `dir` that passes stays beneath the directory of the job.
    pub fn check(&self) -> Result<(), ConfigError> {
        match (&self.script, self.command.as_slice()) {
            (Some(_), [_, ..]) => {
                return Err(ConfigError::new(
                    "script",
                    "give either a command or a script, not both",
                ));
            }
            (None, []) => return Err(ConfigError::new("command", "it is empty")),
            (None, [program, ..]) if program.is_empty() => {
                return Err(ConfigError::new("command", "the program is empty"));
            }
            _ => {}
        }
        for argument in &self.command {
            check_text("command", argument)?;
        }
        for (name, value) in &self.env {
            check_env(name, value)?;
        }
        if let Some(dir) = &self.dir {
            check_dir(dir)?;
        }
        if let Some(user) = &self.user {
            check_text("user", user)?;
        }
        Ok(())
    }
}

impl fmt::Debug for ProcessConfig {
    /// Leaves out what may be secret: the values of the environment and the standard input.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.env.keys().collect();
        f.debug_struct("ProcessConfig")
            .field("command", &self.command)
            .field("script_bytes", &self.script.as_ref().map(String::len))
            .field("env", &names)
            .field("dir", &self.dir)
            .field("stdin_bytes", &self.stdin.as_ref().map(String::len))
            .finish_non_exhaustive()
    }
}

fn describe(error: &serde_json::Error) -> String {
    if error.is_data() && error.to_string().starts_with("unknown field") {
        error.to_string()
    } else {
        format!(
            "it is no JSON object of the right shape (line {}, column {})",
            error.line(),
            error.column()
        )
    }
}

fn check_text(field: &str, text: &str) -> Result<(), ConfigError> {
    if text.contains('\0') {
        return Err(ConfigError::new(field, "a NUL character is not allowed"));
    }
    if text.len() > MAX_ARGUMENT_BYTES {
        return Err(ConfigError::new(
            field,
            format!(
                "one text has {} bytes, the system takes at most {MAX_ARGUMENT_BYTES}",
                text.len()
            ),
        ));
    }
    Ok(())
}

/// Checks one environment entry: a name without `=`, neither with NUL, and together not too long.
pub(super) fn check_env(name: &str, value: &str) -> Result<(), ConfigError> {
    if name.is_empty() {
        return Err(ConfigError::new("env", "a name is empty"));
    }
    if name.contains('=') {
        return Err(ConfigError::new(
            "env",
            format!("the name {name:?} contains `=`"),
        ));
    }
    check_text("env", name)?;
    check_text("env", value)?;
    let bytes = name.len() + 1 + value.len();
    if bytes > MAX_ARGUMENT_BYTES {
        return Err(ConfigError::new(
            "env",
            format!("{name:?} has {bytes} bytes, the system takes at most {MAX_ARGUMENT_BYTES}"),
        ));
    }
    Ok(())
}

fn check_dir(dir: &str) -> Result<(), ConfigError> {
    check_text("dir", dir)?;
    if dir.is_empty() {
        return Err(ConfigError::new("dir", "it is empty"));
    }
    let path = Path::new(dir);
    let climbs = path.components().any(|part| part == Component::ParentDir);
    if path.is_relative() && climbs {
        return Err(ConfigError::new(
            "dir",
            "a relative path may not contain `..`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(config: &str) -> String {
        ProcessConfig::parse(config).expect_err(config).to_string()
    }

    #[test]
    fn config_reads_back_what_it_writes() {
        let config = ProcessConfig::command(["sh", "-c", "true"])
            .with_env("A", "1")
            .with_dir("sub/dir")
            .with_stdin("text");
        assert_eq!(ProcessConfig::parse(&config.to_config_string()), Ok(config));
    }

    #[test]
    fn refuse_commands_that_no_system_takes_xj1() {
        assert!(problem("{}").starts_with("command:"));
        assert!(problem(r#"{"command":[""]}"#).starts_with("command:"));
        assert!(problem(r#"{"command":["a\u0000b"]}"#).contains("NUL"));
        let long = ProcessConfig::command(["true", &"x".repeat(MAX_ARGUMENT_BYTES + 1)]);
        assert!(problem(&long.to_config_string()).contains("bytes"));
        let huge = ProcessConfig::command(["x".repeat(3 * 1024 * 1024)]);
        assert!(problem(&huge.to_config_string()).starts_with("config:"));
    }

    #[test]
    fn refuse_environments_that_mean_something_else() {
        assert!(problem(r#"{"command":["a"],"env":{"":"x"}}"#).starts_with("env:"));
        assert!(problem(r#"{"command":["a"],"env":{"A=B":"x"}}"#).starts_with("env:"));
        assert!(problem(r#"{"command":["a"],"env":{"A":"\u0000"}}"#).contains("NUL"));
    }

    #[test]
    fn refuse_directories_that_climb_out() {
        assert!(problem(r#"{"command":["a"],"dir":"a/../../b"}"#).starts_with("dir:"));
        assert!(problem(r#"{"command":["a"],"dir":""}"#).starts_with("dir:"));
    }

    #[test]
    fn refuse_unknown_names_and_both_kinds() {
        assert!(problem(r#"{"comand":["a"]}"#).contains("unknown field `comand`"));
        assert!(problem(r#"{"command":["a"],"script":"b"}"#).starts_with("script:"));
        assert!(problem("[1").starts_with("config:"));
    }

    #[test]
    fn neither_debug_nor_errors_print_values() {
        let config = ProcessConfig::command(["a"]).with_env("KEY", "hunter2");
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!problem(r#"{"command":"hunter2"}"#).contains("hunter2"));
    }
}
