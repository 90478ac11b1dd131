//! What a person types.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::commands;

/// Submit jobs, follow them, see why they wait, and look after workers.
#[derive(Debug, Parser)]
#[command(
    name = "jobyard",
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        jobyard dev -- sh -c 'echo hello from $JOBYARD_JOB_ID'   a master, a worker and a job, here\n  \
        jobyard run --tag os=linux -- cargo test                 submit, follow, exit like the job\n  \
        jobyard submit -f jobs.toml                              many at once, prints their ids\n  \
        jobyard explain JOB                                      why it waits"
)]
pub(crate) struct Cli {
    /// The client profile to use [default: ~/.config/jobyard/profile.toml, then .jobyard/admin.toml]
    #[arg(long, global = true, env = "JOBYARD_PROFILE", value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,

    /// Print JSON: one document, or one object a line for streams; errors, too
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub(crate) enum Command {
    /// Start a master and a worker here, and run a command if one is given
    Dev(commands::dev::DevArgs),
    #[command(flatten)]
    Ask(Ask),
    /// Say how long jobs would wait: a load on a fleet that is only described
    Simulate(commands::simulate::SimulateArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// What is asked of a master.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// Submit a job, follow its output, and exit like it
    Run(commands::run::RunArgs),
    /// Submit one job or a file of them, print their ids, and return
    Submit(commands::submit::SubmitArgs),
    /// List jobs, newest first
    Jobs(commands::jobs::JobsArgs),
    /// Show one job with its attempts
    Show(commands::show::ShowArgs),
    /// Wait for jobs, and exit like the first one that failed
    Wait(commands::wait::WaitArgs),
    /// Stop jobs
    Stop(commands::stop::StopArgs),
    /// Run a job once more, as a new job
    Retry(commands::retry::RetryArgs),
    /// Print the output of a job
    Logs(commands::logs::LogsArgs),
    /// Say why a job waits, and what would help
    Explain(commands::explain::ExplainArgs),
    /// List workers
    Workers(commands::workers::WorkersArgs),
    /// Show, suspend, resume, drain or remove one worker
    #[command(subcommand)]
    Worker(commands::worker::WorkerCommand),
    /// List queues: how they share workers, and how they stand
    Queues,
    /// Change how a queue shares workers with the others
    #[command(subcommand)]
    Queue(commands::queue::QueueCommand),
    /// Create, list and revoke join tokens
    #[command(subcommand)]
    Token(commands::token::TokenCommand),
    /// Say how the master is
    Status,
    /// Print what happened to jobs and workers, oldest first
    Events(commands::events::EventsArgs),
    /// List who did what, newest first
    Audit(commands::audit::AuditArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn refuse_options_that_this_version_does_not_have() {
        let later = [
            "--retry-on=0",
            "--on-disconnect=maybe",
            "--secret=a",
            "--user=a",
        ];
        for option in later {
            for command in ["run", "submit"] {
                let error = Cli::try_parse_from(["jobyard", command, option, "--", "true"])
                    .expect_err(option);
                assert_eq!(error.exit_code(), 2, "{option}");
            }
        }
        for command in ["secret", "user"] {
            assert!(
                Cli::try_parse_from(["jobyard", command]).is_err(),
                "{command}"
            );
        }
    }

    #[test]
    fn numbers_may_be_negative_and_options_may_be_repeated() {
        let line = [
            "jobyard",
            "submit",
            "--priority",
            "-5",
            "--tag",
            "!gpu",
            "--tag",
            "cores>=8",
            "--prefer",
            "os=linux=10",
            "--prefer",
            "ssd=1",
            "--resource",
            "gpu=1",
            "--resource",
            "license=2",
            "--cpu",
            "1.5",
            "--memory",
            "2GiB",
            "--group",
            "deploy=1",
            "--queue-timeout",
            "1h",
            "--retries",
            "2",
            "--retry-on",
            "1,75",
            "--retry-on",
            "143",
            "--on-disconnect",
            "stop",
            "--",
            "true",
        ];
        assert!(Cli::try_parse_from(line).is_ok());
        let line = [
            "jobyard",
            "queue",
            "set",
            "team",
            "--class",
            "-1",
            "--max-running",
            "none",
        ];
        assert!(Cli::try_parse_from(line).is_ok());
    }

    #[test]
    fn a_file_of_jobs_takes_no_options_of_one_job() {
        for option in [
            "--priority=1",
            "--group=a=1",
            "--prefer=a=1",
            "--queue-timeout=1h",
            "--cpu=1",
            "--memory=1",
            "--resource=a=1",
        ] {
            let error = Cli::try_parse_from(["jobyard", "submit", "-f", "jobs.toml", option])
                .expect_err(option);
            assert_eq!(
                error.kind(),
                clap::error::ErrorKind::ArgumentConflict,
                "{option}"
            );
        }
    }

    #[test]
    fn what_follows_two_dashes_belongs_to_the_job() {
        let line = [
            "jobyard",
            "run",
            "--tag",
            "os=linux|darwin",
            "--",
            "ls",
            "--json",
            "-f",
        ];
        let cli = Cli::try_parse_from(line).expect("a command line");
        assert!(!cli.json);
        let Command::Ask(Ask::Run(run)) = cli.command else {
            panic!("not run: {:?}", cli.command);
        };
        assert_eq!(run.job.command, ["ls", "--json", "-f"]);
    }
}
