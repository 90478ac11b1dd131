//! What went wrong, in one sentence that says what to do, and the exit code that goes with it.

use std::fmt;
use std::io;
use std::process::ExitCode;

use jobyard_core::{ControlError, InfraReason, JobId, Outcome};
use jobyard_pki::ProfileError;
use serde::Serialize;

/// The caller made a mistake.
pub(crate) const EXIT_USAGE: u8 = 2;
/// Jobyard or the infrastructure failed.
pub(crate) const EXIT_JOBYARD: u8 = 125;
/// Somebody stopped it.
pub(crate) const EXIT_CANCELLED: u8 = 130;
/// Nobody reads the output any more: what shells show for a program that `SIGPIPE` ended.
const EXIT_PIPE: u8 = 141;

/// Why a command ends without having done what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// A machine-readable name.
    code: &'static str,
    /// What is wrong; empty if there is nothing to say.
    message: String,
    /// What to do about it.
    hint: Option<String>,
    /// What was written, with a mark under the mistake.
    pointer: Option<String>,
    exit: u8,
}

/// A failure as `--json` shows it.
#[derive(Serialize)]
struct FailureView<'a> {
    code: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
}

impl Failure {
    /// The caller has to write something else.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", message, EXIT_USAGE)
    }

    /// Jobyard could not do it.
    pub(crate) fn jobyard(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, message, EXIT_JOBYARD)
    }

    /// Stopped by the person at the keyboard.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new("interrupted", message, EXIT_CANCELLED)
    }

    fn new(code: &'static str, message: impl Into<String>, exit: u8) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            pointer: None,
            exit,
        }
    }

    /// Says what to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Shows people where the mistake is.
    pub(crate) fn with_pointer(mut self, pointer: Option<String>) -> Self {
        self.pointer = pointer;
        self
    }

    /// Lines for a terminal that show where the mistake is.
    pub(crate) fn pointer(&self) -> Option<&str> {
        self.pointer.as_deref()
    }

    /// Says first what was being done.
    pub(crate) fn with_context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Whether nobody reads the output any more.
    pub(crate) const fn is_closed_pipe(&self) -> bool {
        self.exit == EXIT_PIPE
    }

    /// A machine-readable name of what is wrong.
    #[cfg(test)]
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }

    /// With what to exit.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }

    /// What to print to standard error, without a line end; `None` for a failure that is not worth a word.
    pub(crate) fn shown(&self, json: bool) -> Option<String> {
        if self.message.is_empty() {
            return None;
        }
        if json {
            let view = FailureView {
                code: self.code,
                message: &self.message,
                hint: self.hint.as_deref(),
            };
            return serde_json::to_string(&view).ok();
        }
        Some(format!("jobyard: {self}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let exit = match error {
            ControlError::Invalid { .. } => EXIT_USAGE,
            _ => EXIT_JOBYARD,
        };
        let failure = Self::new(error.code(), error.to_string(), exit);
        match hint(&error) {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        let failure = Self::new("profile", error.to_string(), EXIT_USAGE);
        match error {
            ProfileError::Missing { .. } => {
                failure.with_hint("check --profile and JOBYARD_PROFILE")
            }
            ProfileError::Credentials { .. } => failure.with_hint(
                "get a new one: `jobyard-master admin reissue` on the master's machine makes it",
            ),
            _ => failure,
        }
    }
}

impl From<io::Error> for Failure {
    /// Of writing to standard output or standard error.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new("closed", "", EXIT_PIPE);
        }
        Self::jobyard("output", format!("cannot write the output: {error}"))
    }
}

fn hint(error: &ControlError) -> Option<&'static str> {
    Some(match error {
        ControlError::NotFound { what: "job", .. } => "`jobyard jobs` lists all that you may see",
        ControlError::NotFound { what: "worker", .. } => "`jobyard workers` lists them",
        ControlError::NotFound { what: "token", .. } => "`jobyard token list` lists them",
        ControlError::AlreadyExists { .. } => "leave out the id or choose another one",
        ControlError::Forbidden { .. } => "use the profile of somebody who has it",
        ControlError::Exhausted { .. } => "try again in a moment",
        ControlError::Unavailable { .. } => {
            "check that it runs and that the address in the profile is right, then try again"
        }
        ControlError::OutputAway { .. } => {
            "the master is there, and nothing is lost: see that it reaches what it keeps output in (--log-archive, its \
             disk), then read again"
        }
        ControlError::Untrusted { .. } => {
            "use the profile that this master wrote, or get a new one"
        }
        ControlError::Internal { .. } => "its log says more",
        _ => return None,
    })
}

/// With what `run` and `wait` exit for a job that ended like this.
pub(crate) fn exit_of(outcome: &Outcome) -> u8 {
    // Only the low byte of an exit status reaches a parent process.
    u8::try_from(outcome.rule().cli_exit & 0xff).unwrap_or(EXIT_JOBYARD)
}

/// What a person wants to know about an ending that the job did not tell itself; `None` if its exit code says all.
pub(crate) fn sentence(id: JobId, outcome: &Outcome, command: Option<&str>) -> Option<String> {
    let rule = outcome.rule();
    let what = command.map_or_else(
        || "the command".to_owned(),
        |command| format!("`{command}`"),
    );
    Some(match outcome {
        Outcome::StartFailed { .. } => match rule.reason {
            "not_found" => format!(
                "{what} was not found on the worker: check its name, and the PATH that the job has (job {id})"
            ),
            "not_executable" => {
                format!("{what} cannot be executed on the worker: check its rights (job {id})")
            }
            "bad_directory" => format!(
                "the directory of job {id} does not exist on the worker or is not allowed there: check --dir"
            ),
            "arguments_too_long" => format!(
                "arguments and environment of job {id} are larger than the worker's system takes: pass them through --stdin"
            ),
            _ => format!(
                "job {id} could not be started ({}): see `jobyard show {id}`",
                rule.reason
            ),
        },
        // It never ran: nothing stopped it but the wait.
        Outcome::TimedOut { exit: None } => {
            format!("job {id} did not start within the time that it was given")
        }
        Outcome::TimedOut { .. } => {
            format!("job {id} ran longer than its timeout allows and was stopped")
        }
        Outcome::Cancelled { .. } => format!("job {id} was stopped"),
        Outcome::Infra {
            reason: InfraReason::NoWorker,
        } => format!(
            "job {id} was given up: there was no worker that could ever run it, see `jobyard show {id}`"
        ),
        Outcome::Infra {
            reason: InfraReason::LimitNotEnforceable,
        } => format!(
            "job {id} was not run: its worker cannot enforce a limit that it asks for, and was told not to do without"
        ),
        Outcome::Infra { .. } => format!(
            "job {id} was lost by the infrastructure ({}): `jobyard show {id}` tells its attempts",
            rule.reason
        ),
        Outcome::OutOfMemory { exit } => format!(
            "out of memory: job {id} used up its memory limit, and ended by {exit}: give it more with --limit memory=SIZE, \
             or with --memory if it reserves some"
        ),
        Outcome::ProcessLimit { exit } => format!(
            "too many processes: job {id} was refused one beyond its limit, and ended by {exit}: allow more with \
             --limit processes=N"
        ),
        Outcome::Failed { exit } if rule.cli_exit > 128 => format!("job {id} ended by {exit}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jobyard_core::{Exit, Role, StartFailure};

    fn id() -> JobId {
        "0190a0b0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id")
    }

    #[test]
    fn exit_like_the_job_and_with_the_documented_codes() {
        let of = |outcome: Outcome| exit_of(&outcome);
        assert_eq!(of(Outcome::Succeeded), 0);
        assert_eq!(of(Outcome::of_exit(Exit::Exited(7))), 7);
        assert_eq!(of(Outcome::of_exit(Exit::Exited(255))), 255);
        assert_eq!(of(Outcome::of_exit(Exit::Signaled(9))), 137);
        assert_eq!(of(Outcome::TimedOut { exit: None }), 124);
        assert_eq!(of(Outcome::Cancelled { exit: None }), EXIT_CANCELLED);
        let start = |cause| Outcome::StartFailed { cause };
        assert_eq!(of(start(StartFailure::NotFound)), 127);
        assert_eq!(of(start(StartFailure::NotExecutable)), 126);
        let infra = Outcome::Infra {
            reason: InfraReason::WorkerLost,
        };
        assert_eq!(of(infra), EXIT_JOBYARD);
        let exit = Exit::Signaled(9);
        assert_eq!(of(Outcome::OutOfMemory { exit }), 137);
        let exit = Exit::Exited(3);
        assert_eq!(of(Outcome::ProcessLimit { exit }), 3);
        let infra = Outcome::Infra {
            reason: InfraReason::LimitNotEnforceable,
        };
        assert_eq!(of(infra), EXIT_JOBYARD);
        assert_eq!(EXIT_JOBYARD, 125);
    }

    #[test]
    fn every_error_of_control_says_what_to_do() {
        let errors = [
            ControlError::no_job(id()),
            ControlError::AlreadyExists {
                what: "job",
                id: "x".to_owned(),
            },
            ControlError::Forbidden {
                name: "ada".to_owned(),
                role: Role::Viewer,
                needed: "submitter".to_owned(),
            },
            ControlError::unavailable("connection refused"),
            ControlError::Untrusted {
                problem: "unknown issuer".to_owned(),
            },
            ControlError::Internal {
                problem: "damaged".to_owned(),
            },
        ];
        for error in errors {
            let failure = Failure::from(error);
            assert!(failure.hint.is_some(), "{failure}");
            assert_eq!(failure.exit, EXIT_JOBYARD);
            let shown = failure.shown(false).expect("a sentence");
            assert!(
                shown.starts_with("jobyard: ") && !shown.contains('\n'),
                "{shown}"
            );
        }
        let invalid = Failure::from(ControlError::invalid("slots", "0 is too few"));
        assert_eq!(invalid.exit, EXIT_USAGE);
    }

    #[test]
    fn json_failure_has_code_message_and_hint() {
        let shown = Failure::from(ControlError::no_job(id())).shown(true);
        let value: serde_json::Value =
            serde_json::from_str(&shown.expect("an object")).expect("JSON");
        assert_eq!(value["code"], "not_found");
        assert!(
            value["message"]
                .as_str()
                .is_some_and(|text| text.contains("0190a0b0"))
        );
        assert!(value["hint"].is_string());
    }

    #[test]
    fn closed_pipe_is_not_worth_a_word() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.is_closed_pipe());
        assert_eq!(failure.shown(false), None);
    }

    #[test]
    fn endings_that_the_job_did_not_tell_are_sentences() {
        let outcome = Outcome::StartFailed {
            cause: StartFailure::NotFound,
        };
        let text = sentence(id(), &outcome, Some("nope")).expect("a sentence");
        assert!(text.contains("`nope` was not found"), "{text}");
        let waited = sentence(id(), &Outcome::TimedOut { exit: None }, None).expect("a sentence");
        assert!(waited.contains("did not start"), "{waited}");
        let reason = InfraReason::NoWorker;
        let given_up = sentence(id(), &Outcome::Infra { reason }, None).expect("a sentence");
        assert!(given_up.contains("no worker that could ever"), "{given_up}");
        let exit = Exit::Signaled(9);
        let memory = sentence(id(), &Outcome::OutOfMemory { exit }, None).expect("a sentence");
        assert!(memory.starts_with("out of memory: job"), "{memory}");
        assert!(!memory.contains('\n'), "{memory}");
        let exit = Exit::Exited(1);
        let many = sentence(id(), &Outcome::ProcessLimit { exit }, None).expect("a sentence");
        assert!(many.starts_with("too many processes: job"), "{many}");
        let reason = InfraReason::LimitNotEnforceable;
        let refused = sentence(id(), &Outcome::Infra { reason }, None).expect("a sentence");
        assert!(refused.contains("cannot enforce a limit"), "{refused}");
        let failed = Outcome::of_exit(Exit::Exited(3));
        assert_eq!(sentence(id(), &failed, None), None);
    }
}
