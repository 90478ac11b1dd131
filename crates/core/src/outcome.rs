//! How an attempt ends, and the one table that says what each ending means.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a process ended. Exit codes and signals are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It returned this code, 0 to 255 on Unix.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

impl Exit {
    /// Returned zero.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Exited(0))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signaled(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What became of an attempt, and in the end of its job. User failures and infrastructure failures are different
/// variants, never a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It ended by itself with code 0.
    Succeeded,
    /// It ended by itself in any other way.
    Failed {
        /// How.
        exit: Exit,
    },
    /// It used up its memory limit, and the kernel killed it for that.
    OutOfMemory {
        /// How it ended.
        exit: Exit,
    },
    /// It wanted more processes than its limit allows, and failed after the kernel had refused one.
    ProcessLimit {
        /// How it ended.
        exit: Exit,
    },
    /// It ran longer than its spec allows and was stopped.
    TimedOut {
        /// How it ended after it was told to stop; `None` if it never ran on a worker.
        exit: Option<Exit>,
    },
    /// Somebody stopped it.
    Cancelled {
        /// How it ended after it was told to stop; `None` if it had not started.
        exit: Option<Exit>,
    },
    /// Nothing of it ever ran, because of what its spec asks.
    StartFailed {
        /// What was wrong.
        cause: StartFailure,
    },
    /// Jobyard or a machine failed, not the job.
    Infra {
        /// In which way.
        reason: InfraReason,
    },
}

/// Why an attempt could not be started although the worker was able to start attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StartFailure {
    /// The program does not exist there.
    NotFound,
    /// The program exists but may not be executed, or is no program.
    NotExecutable,
    /// The working directory does not exist, is no directory, or is not allowed.
    BadDirectory,
    /// Arguments and environment are larger than the system takes.
    ArgumentsTooLong,
    /// The worker has no executor of that name, or the executor cannot read its configuration.
    BadConfig,
}

/// In which way the infrastructure failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InfraReason {
    /// The worker stayed silent for longer than the job waits for it.
    WorkerLost,
    /// The worker came back without having the attempt: its machine or its agent started anew.
    WorkerRestarted,
    /// The assignment never reached the worker, so nothing of it ran.
    NeverStarted,
    /// An operator removed the worker.
    WorkerRemoved,
    /// For as long as its master waits, there was no worker that could ever run it.
    NoWorker,
    /// The worker had no resources to start it (processes, memory, descriptors, disk).
    NoResources,
    /// The worker could not prepare or supervise it for a reason of its own.
    WorkerFault,
    /// The worker cannot enforce a limit that the job asks for, and was told not to run it without.
    LimitNotEnforceable,
    /// An operator ended it by force; what it left behind is unknown.
    Forced,
    /// It had to end because its worker and the master lost each other, as the job asks for.
    LeaseExpired,
    /// Its worker was drained, and did not wait for it any longer.
    WorkerDrained,
}

/// Which budget pays for another attempt after an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryBudget {
    /// None: the ending is final.
    Final,
    /// The job's own: only as its spec asks.
    User,
    /// That for infrastructure failures.
    Infra,
    /// Costs nothing, since nothing ran.
    Free,
}

/// One row of the outcome table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeRule {
    /// The kind as JSON and messages name it.
    pub kind: &'static str,
    /// The reason as JSON and messages name it; empty where the kind says all.
    pub reason: &'static str,
    /// Who pays for another attempt.
    pub budget: RetryBudget,
    /// The code with which the CLI exits.
    pub cli_exit: i32,
}

impl Outcome {
    /// The outcome table: what this ending is called, who pays for another attempt, and how the CLI exits.
    pub const fn rule(&self) -> OutcomeRule {
        let (kind, reason, budget, cli_exit) = match *self {
            Self::Succeeded => ("succeeded", "", RetryBudget::Final, 0),
            Self::Failed { exit } => ("failed", "", RetryBudget::User, exit_code(exit)),
            Self::OutOfMemory { exit } => (
                "failed",
                "out_of_memory",
                RetryBudget::User,
                exit_code(exit),
            ),
            Self::ProcessLimit { exit } => (
                "failed",
                "process_limit",
                RetryBudget::User,
                exit_code(exit),
            ),
            Self::TimedOut { .. } => ("timed_out", "timeout", RetryBudget::User, 124),
            Self::Cancelled { .. } => ("cancelled", "stopped", RetryBudget::Final, 130),
            Self::StartFailed { cause } => {
                let (reason, cli_exit) = match cause {
                    StartFailure::NotFound => ("not_found", 127),
                    StartFailure::NotExecutable => ("not_executable", 126),
                    StartFailure::BadDirectory => ("bad_directory", 126),
                    StartFailure::ArgumentsTooLong => ("arguments_too_long", 126),
                    StartFailure::BadConfig => ("bad_config", 126),
                };
                ("start_failed", reason, RetryBudget::User, cli_exit)
            }
            Self::Infra { reason } => {
                let (reason, budget) = match reason {
                    InfraReason::WorkerLost => ("worker_lost", RetryBudget::Infra),
                    InfraReason::WorkerRestarted => ("worker_restarted", RetryBudget::Infra),
                    InfraReason::NeverStarted => ("never_started", RetryBudget::Free),
                    InfraReason::WorkerRemoved => ("worker_removed", RetryBudget::Infra),
                    InfraReason::NoWorker => ("no_worker", RetryBudget::Final),
                    InfraReason::NoResources => ("no_resources", RetryBudget::Infra),
                    InfraReason::WorkerFault => ("worker_fault", RetryBudget::Infra),
                    InfraReason::LimitNotEnforceable => {
                        ("limit_not_enforceable", RetryBudget::Infra)
                    }
                    InfraReason::Forced => ("forced", RetryBudget::Final),
                    InfraReason::LeaseExpired => ("lease_expired", RetryBudget::Infra),
                    InfraReason::WorkerDrained => ("worker_drained", RetryBudget::Infra),
                };
                ("infra", reason, budget, 125)
            }
        };
        OutcomeRule {
            kind,
            reason,
            budget,
            cli_exit,
        }
    }

    /// How the process ended, where there was one.
    pub const fn exit(&self) -> Option<Exit> {
        match *self {
            Self::Succeeded => Some(Exit::Exited(0)),
            Self::Failed { exit } | Self::OutOfMemory { exit } | Self::ProcessLimit { exit } => {
                Some(exit)
            }
            Self::TimedOut { exit } | Self::Cancelled { exit } => exit,
            Self::StartFailed { .. } | Self::Infra { .. } => None,
        }
    }

    /// What a process that ended by itself amounts to.
    pub const fn of_exit(exit: Exit) -> Self {
        if exit.is_success() {
            Self::Succeeded
        } else {
            Self::Failed { exit }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule();
        match self {
            Self::Failed { exit } => write!(f, "failed with {exit}"),
            Self::OutOfMemory { exit } => write!(f, "failed with {exit}: out of memory"),
            Self::ProcessLimit { exit } => write!(f, "failed with {exit}: too many processes"),
            _ if rule.reason.is_empty() => f.write_str(rule.kind),
            _ => write!(f, "{} ({})", rule.kind, rule.reason),
        }
    }
}

/// How shells show an exit: the code, or 128 and the signal.
const fn exit_code(exit: Exit) -> i32 {
    match exit {
        Exit::Exited(code) => code,
        Exit::Signaled(signal) => 128 + signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cli_exits_like_the_job() {
        let exit = |outcome: Outcome| outcome.rule().cli_exit;
        assert_eq!(exit(Outcome::of_exit(Exit::Exited(0))), 0);
        assert_eq!(exit(Outcome::of_exit(Exit::Exited(7))), 7);
        assert_eq!(exit(Outcome::of_exit(Exit::Signaled(9))), 137);
        assert_eq!(
            exit(Outcome::TimedOut {
                exit: Some(Exit::Signaled(15))
            }),
            124
        );
        assert_eq!(exit(Outcome::Cancelled { exit: None }), 130);
        assert_eq!(
            exit(Outcome::StartFailed {
                cause: StartFailure::NotFound
            }),
            127
        );
        assert_eq!(
            exit(Outcome::StartFailed {
                cause: StartFailure::NotExecutable
            }),
            126
        );
        assert_eq!(
            exit(Outcome::Infra {
                reason: InfraReason::WorkerLost
            }),
            125
        );
    }

    #[test]
    fn only_infrastructure_failures_are_paid_by_the_infrastructure() {
        assert_eq!(
            Outcome::of_exit(Exit::Exited(1)).rule().budget,
            RetryBudget::User
        );
        assert_eq!(
            Outcome::Cancelled { exit: None }.rule().budget,
            RetryBudget::Final
        );
        let lost = Outcome::Infra {
            reason: InfraReason::WorkerLost,
        };
        assert_eq!(lost.rule().budget, RetryBudget::Infra);
        let never = Outcome::Infra {
            reason: InfraReason::NeverStarted,
        };
        assert_eq!(never.rule().budget, RetryBudget::Free);
    }
}
