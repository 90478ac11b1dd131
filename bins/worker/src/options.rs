//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use jobyard_core::parse_duration;
use jobyard_service::LogFormat;
use serde::Deserialize;

use crate::cores::Cores;
use crate::job_options::JobOptions;
use crate::named_resource::NamedResource;
use crate::protection_options::ProtectionOptions;
use crate::size::Size;

/// Runs jobs for a Jobyard master. Flags win over the environment, and both over the configuration file.
#[derive(Debug, Parser)]
#[command(name = "jobyard-worker", version, after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Where it keeps its identity, its journal and output on its way to the master [default: .jobyard-worker]
    #[arg(long, env = "JOBYARD_DATA", value_name = "DIR", global = true)]
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

    /// How many cores it has for jobs that say how much processor time they take, as in 4 or 1.5 [default: those that
    /// this program may use]
    #[arg(long, env = "JOBYARD_CPU", value_name = "CORES")]
    pub(crate) cpu: Option<Cores>,

    /// How much memory it has for jobs that say how much they take, as in 8GiB [default: that of the machine, or of
    /// this program's control group if it has less]
    #[arg(long, env = "JOBYARD_MEMORY", value_name = "SIZE")]
    pub(crate) memory: Option<Size>,

    /// Something else that can be counted, and how much of it there is, as in gpu=2; may be repeated
    #[arg(
        long,
        env = "JOBYARD_RESOURCE",
        value_name = "NAME=N",
        value_delimiter = ','
    )]
    pub(crate) resource: Vec<NamedResource>,

    /// A tag that it offers, KEY or KEY=VALUE; may be repeated
    #[arg(long, env = "JOBYARD_TAG", value_delimiter = ',')]
    pub(crate) tag: Vec<String>,

    /// A tag that a job has to ask for to run here: no other job is taken. Shown as +TAG; may be repeated
    #[arg(
        long,
        env = "JOBYARD_EXCLUSIVE_TAG",
        value_name = "TAG",
        value_delimiter = ','
    )]
    pub(crate) exclusive_tag: Vec<String>,

    /// Offer only the tags given here, none that describe the machine. The tags of the executors, as in
    /// executor=process, stay: every job asks for its executor
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

    /// How much room output may take here that the master does not have yet, as in 10GiB; 0: as much as there is. Beyond it,
    /// the output of which the master lacks most is given up, and its job goes on [default: 10GiB]
    #[arg(long, env = "JOBYARD_SPOOL_BUDGET", value_name = "SIZE")]
    pub(crate) spool_budget: Option<Size>,

    #[command(flatten, next_help_heading = "How jobs run")]
    pub(crate) jobs: JobOptions,

    #[command(flatten, next_help_heading = "When no jobs are taken")]
    pub(crate) protection: ProtectionOptions,

    /// A TOML file with any of these options
    #[arg(
        long,
        env = "JOBYARD_CONFIG",
        value_name = "FILE",
        global = true,
        help_heading = "Options"
    )]
    pub(crate) config: Option<PathBuf>,

    /// How the log on standard error looks [default: text]
    #[arg(long, env = "JOBYARD_LOG_FORMAT", value_enum, help_heading = "Options")]
    pub(crate) log_format: Option<LogFormat>,

    /// How much is logged: error, warn, info, debug, trace [default: info]
    #[arg(
        long,
        env = "JOBYARD_LOG_LEVEL",
        value_name = "LEVEL",
        help_heading = "Options"
    )]
    pub(crate) log_level: Option<String>,
}

const EXAMPLES: &str = "Examples:\n  \
    jobyard-worker --join-file join.token --master ci.example.org:7411 --data /var/lib/jobyard-worker --tag rust --slots 8\n  \
    jobyard-worker doctor --data /var/lib/jobyard-worker   what this machine can do to hold jobs";

/// Something else than serving.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what this machine can do to hold jobs, and try it. Exits with 1 if something does not do what it says
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What a signal to end does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnTerm {
    /// Take nothing new, wait for the jobs, then stop what is left.
    Drain,
    /// Leave the jobs running for the next worker on the same data.
    Detach,
    /// Stop the jobs.
    Stop,
}
