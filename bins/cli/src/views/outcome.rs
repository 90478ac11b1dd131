//! How jobs end.

use jobyard_core::{Exit, Outcome};
use serde::Serialize;

/// How a job or an attempt ended.
#[derive(Debug, Serialize)]
pub(crate) struct OutcomeView {
    kind: &'static str,
    exit_code: Option<i32>,
    signal: Option<i32>,
    reason: Option<&'static str>,
}

impl From<&Outcome> for OutcomeView {
    fn from(outcome: &Outcome) -> Self {
        let rule = outcome.rule();
        let (exit_code, signal) = match outcome.exit() {
            Some(Exit::Exited(code)) => (Some(code), None),
            Some(Exit::Signaled(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Self {
            kind: rule.kind,
            exit_code,
            signal,
            reason: Some(rule.reason).filter(|reason| !reason.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jobyard_core::{InfraReason, StartFailure};

    #[test]
    fn outcomes_keep_exit_codes_and_signals_apart() {
        let view =
            |outcome: Outcome| serde_json::to_string(&OutcomeView::from(&outcome)).expect("JSON");
        let lines = [
            view(Outcome::Succeeded),
            view(Outcome::of_exit(Exit::Exited(7))),
            view(Outcome::of_exit(Exit::Signaled(15))),
            view(Outcome::OutOfMemory {
                exit: Exit::Signaled(9),
            }),
            view(Outcome::ProcessLimit {
                exit: Exit::Exited(254),
            }),
            view(Outcome::Infra {
                reason: InfraReason::LimitNotEnforceable,
            }),
            view(Outcome::TimedOut {
                exit: Some(Exit::Signaled(9)),
            }),
            view(Outcome::Cancelled { exit: None }),
            view(Outcome::StartFailed {
                cause: StartFailure::NotFound,
            }),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }
}
