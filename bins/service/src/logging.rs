//! The log of a program.

use std::io::IsTerminal;

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there is no log. Whoever wrote the level has to mend it; the same again fails again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartLoggingError {
    /// It is not known how much is to be logged.
    #[error("--log-level: `{level}` is no level; use error, warn, info, debug or trace")]
    UnknownLevel {
        /// What stands there.
        level: String,
    },
}

/// Sends what the program and its libraries log to standard error, coloured if that is a terminal.
///
/// The level is `error`, `warn`, `info`, `debug` or `trace`, for all or, separated by commas, for parts, as in
/// `info,refinery_core=warn`.
///
/// # Panics
///
/// If the program has a log already.
pub fn start_logging(format: LogFormat, level: &str) -> Result<(), StartLoggingError> {
    let filter = EnvFilter::try_new(level).map_err(|_| StartLoggingError::UnknownLevel {
        level: level.to_owned(),
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuse_a_level_that_is_none_and_name_those_there_are() {
        let error = start_logging(LogFormat::Text, "info,jobyard=loud").expect_err("no level");
        let error = error.to_string();
        assert!(error.contains("loud") && error.contains("debug"), "{error}");
    }
}
