//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde::Deserialize;

use crate::duration::parse_duration;

/// Runs jobs for a Jobyard master. Flags win over the environment, and both over the configuration file.
#[derive(Debug, Parser)]
#[command(name = "jobyard-worker", version, after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Where it keeps its identity, its journal and output on its way to the master [default: .jobyard-worker]
    #[arg(long, env = "JOBYARD_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Address of the master; may be repeated, the first that answers is taken
    #[arg(
        long,
        env = "JOBYARD_MASTER",
        value_name = "HOST:PORT",
        value_delimiter = ','
    )]
    pub(crate) master: Vec<String>,

    /// The file of a join token, `-` for standard input; JOBYARD_JOIN can hold the token itself. Not used once this
    /// machine has joined
    #[arg(long, env = "JOBYARD_JOIN_FILE", value_name = "FILE")]
    pub(crate) join_file: Option<PathBuf>,

    /// The join token itself. Everybody on this machine can see it in the list of processes: prefer --join-file
    #[arg(long, value_name = "TOKEN", conflicts_with = "join_file")]
    pub(crate) join: Option<String>,

    /// What the worker is called when it joins [default: the host name]
    #[arg(long, env = "JOBYARD_NAME")]
    pub(crate) name: Option<String>,

    /// How many slots it offers [default: one for each processor]
    #[arg(long, env = "JOBYARD_SLOTS", value_name = "N")]
    pub(crate) slots: Option<u32>,

    /// A tag that it offers, KEY or KEY=VALUE; may be repeated
    #[arg(long, env = "JOBYARD_TAG", value_delimiter = ',')]
    pub(crate) tag: Vec<String>,

    /// Offer only the tags given here and those of the executors, none that describe the machine
    #[arg(long)]
    pub(crate) no_auto_tags: bool,

    /// A variable for the environment of every job; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,

    /// A variable of this program's environment to pass to every job; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) pass_env: Vec<String>,

    /// What SIGTERM and SIGINT do [default: drain]
    #[arg(long, env = "JOBYARD_ON_TERM", value_enum)]
    pub(crate) on_term: Option<OnTerm>,

    /// How long a drain waits for jobs before it stops them [default: 10m]
    #[arg(long, env = "JOBYARD_DRAIN_TIMEOUT", value_parser = parse_duration)]
    pub(crate) drain_timeout: Option<Duration>,

    /// Run jobs as root, if this program does
    #[arg(long)]
    pub(crate) allow_root_jobs: bool,

    /// A TOML file with any of these options
    #[arg(long, env = "JOBYARD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// How the log on standard error looks [default: text]
    #[arg(long, env = "JOBYARD_LOG_FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,

    /// How much is logged: error, warn, info, debug, trace [default: info]
    #[arg(long, env = "JOBYARD_LOG_LEVEL", value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

const EXAMPLES: &str = "Example:\n  \
    jobyard-worker --join-file join.token --master ci.example.org:7411 --data /var/lib/jobyard-worker --tag rust --slots 8";

/// What a signal to end does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnTerm {
    /// Take nothing new, wait for the jobs, then stop what is left.
    Drain,
    /// Leave the jobs running for the next worker on the same data. Not available in this version.
    Detach,
    /// Stop the jobs.
    Stop,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
