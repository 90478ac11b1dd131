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
    /// Print the output of a job
    Logs(commands::logs::LogsArgs),
    /// Say why a job waits, and what would help
    Explain(commands::explain::ExplainArgs),
    /// List workers
    Workers(commands::workers::WorkersArgs),
    /// Show, suspend, resume or remove one worker
    #[command(subcommand)]
    Worker(commands::worker::WorkerCommand),
    /// Create, list and revoke join tokens
    #[command(subcommand)]
    Token(commands::token::TokenCommand),
    /// Say how the master is
    Status,
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
            "--priority=1",
            "--cpu=1",
            "--memory=1GiB",
            "--resource=a=1",
            "--retries=1",
            "--retry-on=1",
            "--on-disconnect=stop",
            "--group=a=1",
            "--prefer=a=1",
            "--secret=a",
            "--user=a",
            "--queue-timeout=1h",
        ];
        for option in later {
            for command in ["run", "submit"] {
                let error = Cli::try_parse_from(["jobyard", command, option, "--", "true"])
                    .expect_err(option);
                assert_eq!(error.exit_code(), 2, "{option}");
            }
        }
        for command in ["retry", "queues", "secret", "user", "events", "simulate"] {
            assert!(
                Cli::try_parse_from(["jobyard", command]).is_err(),
                "{command}"
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
