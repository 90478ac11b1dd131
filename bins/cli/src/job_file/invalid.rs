//! Why a draft is no job.

use std::fmt;

use jobyard_core::{ConfigError, InvalidResources, InvalidSpec};

/// Why a draft is no job. Shown by `Display` as a sentence that begins with the key to mend, if there is one.
#[derive(Debug)]
pub(crate) enum InvalidDraft {
    /// Nothing to run.
    Nothing,
    /// The executor has its configuration, and this key would belong into another one.
    TwoConfigs { key: &'static str },
    /// The executor's part is wrong.
    Config(ConfigError),
    /// A secret has no value, or two.
    Secret { name: String, problem: String },
    /// Another part is wrong.
    Spec(InvalidSpec),
}

impl InvalidDraft {
    /// The same for somebody who wrote options: each has the name of its key, but those that are repeated.
    pub(crate) fn in_options(&self) -> String {
        let said = self.to_string();
        let end = said.find([':', ' ']).unwrap_or(said.len());
        let (key, rest) = said.split_at(end);
        if let Some(limit) = key.strip_prefix("limits.") {
            return format!("--limit {limit}{rest}");
        }
        let option = match key {
            "tags" => "tag".to_owned(),
            "labels" => "label".to_owned(),
            "resources" => "resource".to_owned(),
            "name" | "worker" | "queue" | "priority" | "group" | "prefer" | "slots" | "cpu"
            | "memory" | "queue_timeout" | "timeout" | "grace" | "infra_retries" | "retries"
            | "retry_on" | "on_disconnect" | "log_limit" | "executor" | "env" | "secret_env"
            | "dir" | "stdin" => key.replace('_', "-"),
            // The command has no option, and what has no key is said in other words.
            _ => return said,
        };
        format!("--{option}{rest}")
    }
}

impl fmt::Display for InvalidDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("there is neither `command` nor `script`: give one"),
            Self::TwoConfigs { key } => write!(
                f,
                "{key}: the executor has its own `config`: put it there or leave that out"
            ),
            Self::Config(problem) => problem.fmt(f),
            Self::Secret { name, problem } => write!(f, "secret_env: {name}: {problem}"),
            // These have keys of their own.
            Self::Spec(InvalidSpec::Resources(problem @ InvalidResources::TooMuch { name }))
                if matches!(name.as_str(), "cpu" | "memory") =>
            {
                problem.fmt(f)
            }
            Self::Spec(problem) => problem.fmt(f),
        }
    }
}

impl From<ConfigError> for InvalidDraft {
    fn from(problem: ConfigError) -> Self {
        Self::Config(problem)
    }
}

impl From<InvalidSpec> for InvalidDraft {
    fn from(problem: InvalidSpec) -> Self {
        Self::Spec(problem)
    }
}
