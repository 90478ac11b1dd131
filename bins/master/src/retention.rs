//! How long what is over is kept.

use std::str::FromStr;

use bytesize::ByteSize;
use clap::Args;
use jobyard::master::Retention;
use serde::Deserialize;

use crate::patience::Patience;

/// What was said, if anything.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Retention")]
pub(crate) struct RetentionOptions {
    /// How long a finished job is kept, with its output; `off`: for ever [default: 30d]
    #[arg(long, env = "JOBYARD_RETAIN_JOBS", value_name = "DURATION|off")]
    pub(crate) retain_jobs: Option<Patience>,

    /// How many finished jobs are kept, the last that finished; `off`: any number [default: 1000000]
    #[arg(long, env = "JOBYARD_RETAIN_COUNT", value_name = "N|off")]
    pub(crate) retain_count: Option<Count>,

    /// How many events are kept for `jobyard events --from`; `off`: any number [default: 1000000]
    #[arg(long, env = "JOBYARD_RETAIN_EVENTS", value_name = "N|off")]
    pub(crate) retain_events: Option<Count>,

    /// How long the output of a finished job is kept, wherever it is; `off`: as long as the job [default: off]
    #[arg(long, env = "JOBYARD_RETAIN_LOGS", value_name = "DURATION|off")]
    pub(crate) retain_logs: Option<Patience>,

    /// How much output is kept in the data directory, as in 50GiB; what finished first is removed first, and if that is
    /// not enough output waits at its workers; `off`: any amount [default: off]
    #[arg(long, env = "JOBYARD_LOG_BUDGET", value_name = "SIZE|off")]
    pub(crate) log_budget: Option<Size>,

    /// How long an event is kept; `off`: for ever [default: 30d]
    #[arg(long, env = "JOBYARD_RETAIN_EVENTS_FOR", value_name = "DURATION|off")]
    pub(crate) retain_events_for: Option<Patience>,
}

/// A number, or `off`: any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Count(Option<u64>);

/// A size, or `off`: any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Size(Option<u64>);

impl FromStr for Size {
    type Err = String;

    /// Reads `off`, or a size as in `512MiB`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        match text.parse::<ByteSize>().map(|size| size.as_u64()) {
            Ok(bytes) if bytes >= LEAST_BUDGET_BYTES => Ok(Self(Some(bytes))),
            Ok(_) => Err("a budget for output is 64KiB at least; or write off".to_owned()),
            Err(_) => Err(format!(
                "`{text}` is no size: write it as in 512MiB or 50GiB; or write off"
            )),
        }
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Below that hardly one message of output fits.
const LEAST_BUDGET_BYTES: u64 = 64 * 1_024;

/// As it may stand in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl FromStr for Count {
    type Err = String;

    /// Reads a whole number from 1 on, or `off`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        match text.parse() {
            Ok(number) if number > 0 => Ok(Self(Some(number))),
            _ => Err(format!(
                "`{text}` is no whole number from 1 on; or write off"
            )),
        }
    }
}

impl TryFrom<Written> for Count {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => number.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl RetentionOptions {
    /// What is said here, else there, and else the defaults.
    pub(crate) fn or(self, other: Self) -> Retention {
        let mut retention = Retention::default();
        if let Some(Patience(jobs_for)) = self.retain_jobs.or(other.retain_jobs) {
            retention.jobs_for = jobs_for;
        }
        if let Some(Count(jobs)) = self.retain_count.or(other.retain_count) {
            retention.jobs = jobs;
        }
        if let Some(Count(events)) = self.retain_events.or(other.retain_events) {
            retention.events = events;
        }
        if let Some(Patience(logs_for)) = self.retain_logs.or(other.retain_logs) {
            retention.logs_for = logs_for;
        }
        if let Some(Size(log_budget)) = self.log_budget.or(other.log_budget) {
            retention.log_budget = log_budget;
        }
        if let Some(Patience(events_for)) = self.retain_events_for.or(other.retain_events_for) {
            retention.events_for = events_for;
        }
        retention
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn flags_win_over_the_file_and_the_rest_stays() {
        let flags = RetentionOptions {
            retain_jobs: Some("7d".parse().expect("a duration")),
            retain_count: Some("off".parse().expect("a word")),
            ..RetentionOptions::default()
        };
        let filed = RetentionOptions {
            retain_jobs: Some("9d".parse().expect("a duration")),
            retain_events: Some("5".parse().expect("a number")),
            ..RetentionOptions::default()
        };
        let retention = flags.or(filed);
        assert_eq!(retention.jobs_for, Some(Duration::from_hours(7 * 24)));
        assert_eq!((retention.jobs, retention.events), (None, Some(5)));
        assert_eq!(retention.events_for, Retention::default().events_for);
    }

    #[test]
    fn a_size_or_off() {
        assert_eq!("1MiB".parse(), Ok(Size(Some(1 << 20))));
        assert_eq!("off".parse(), Ok(Size(None)));
        for wrong in ["", "12", "1KiB", "much"] {
            let problem = wrong.parse::<Size>().expect_err(wrong);
            assert!(problem.contains("or write off"), "{problem}");
        }
    }

    #[test]
    fn a_number_from_1_on_or_off() {
        assert_eq!("12".parse(), Ok(Count(Some(12))));
        assert_eq!("off".parse(), Ok(Count(None)));
        for wrong in ["", "0", "-1", "many", "1.5"] {
            let problem = wrong.parse::<Count>().expect_err(wrong);
            assert!(problem.contains("or write off"), "{problem}");
        }
    }
}
