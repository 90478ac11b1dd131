//! Refusals and errors of control, as the details of a gRPC status.

use std::time::Duration;

use jobyard_core::{ControlError, Refusal, RefusalReason, Role};

use super::field::millis;
use crate::generated::v1;

impl From<&Refusal> for v1::ErrorDetail {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.reason.as_str().to_owned(),
            problem: refusal.message.clone(),
            retry_after_ms: refusal.retry_after.map(millis),
            expected: refusal.expected,
            ..Self::default()
        }
    }
}

/// The refusal that the details of a status tell of.
pub(crate) fn refusal(detail: v1::ErrorDetail) -> Option<Refusal> {
    let reason = REASONS
        .into_iter()
        .find(|reason| reason.as_str() == detail.code)?;
    let mut refusal = Refusal::new(reason, detail.problem);
    refusal.retry_after = detail.retry_after_ms.map(Duration::from_millis);
    refusal.expected = detail.expected;
    Some(refusal)
}

const REASONS: [RefusalReason; 10] = [
    RefusalReason::Unauthenticated,
    RefusalReason::Forbidden,
    RefusalReason::Removed,
    RefusalReason::Invalid,
    RefusalReason::AlreadyExists,
    RefusalReason::Stale,
    RefusalReason::Incompatible,
    RefusalReason::Exhausted,
    RefusalReason::Unavailable,
    RefusalReason::OutOfRange,
];

impl From<&ControlError> for v1::ErrorDetail {
    fn from(error: &ControlError) -> Self {
        let mut detail = Self {
            code: error.code().to_owned(),
            ..Self::default()
        };
        match error {
            ControlError::NotFound { what, id } | ControlError::AlreadyExists { what, id } => {
                (*what).clone_into(&mut detail.what);
                detail.id.clone_from(id);
            }
            ControlError::Forbidden { name, role, needed } => {
                detail.name.clone_from(name);
                role.as_str().clone_into(&mut detail.role);
                detail.needed.clone_from(needed);
            }
            ControlError::Invalid { field, problem } => {
                detail.field.clone_from(field);
                detail.problem.clone_from(problem);
            }
            ControlError::Conflict { problem }
            | ControlError::Exhausted { problem }
            | ControlError::Unavailable { problem }
            | ControlError::Untrusted { problem }
            | ControlError::Internal { problem } => detail.problem.clone_from(problem),
            // Whoever does not know of it reads that something is unavailable, and what that is.
            ControlError::OutputAway { attempt, problem } => {
                ATTEMPT.clone_into(&mut detail.what);
                detail.id = attempt.to_string();
                detail.problem.clone_from(problem);
            }
            ControlError::Gone { oldest } => detail.oldest = *oldest,
            _ => detail.problem = error.to_string(),
        }
        detail
    }
}

/// The error that the details of a status tell of.
pub(crate) fn control_error(detail: v1::ErrorDetail) -> Option<ControlError> {
    let problem = detail.problem;
    Some(match detail.code.as_str() {
        "not_found" => ControlError::NotFound {
            what: thing(&detail.what),
            id: detail.id,
        },
        "already_exists" => ControlError::AlreadyExists {
            what: thing(&detail.what),
            id: detail.id,
        },
        // Without a role it comes from the door: a certificate that is not for this.
        "forbidden" => match detail.role.parse::<Role>() {
            Ok(role) => ControlError::Forbidden {
                name: detail.name,
                role,
                needed: detail.needed,
            },
            Err(_) => ControlError::Untrusted { problem },
        },
        "unauthenticated" | "removed" | "untrusted" => ControlError::Untrusted { problem },
        "invalid" => ControlError::Invalid {
            field: detail.field,
            problem,
        },
        "conflict" | "stale" => ControlError::Conflict { problem },
        "gone" => ControlError::Gone {
            oldest: detail.oldest,
        },
        "exhausted" => ControlError::Exhausted { problem },
        "unavailable" => match detail.id.parse() {
            Ok(attempt) if detail.what == ATTEMPT => ControlError::OutputAway { attempt, problem },
            _ => ControlError::Unavailable { problem },
        },
        "internal" | "incompatible" => ControlError::Internal { problem },
        _ => return None,
    })
}

/// What is unavailable where the master itself is not.
const ATTEMPT: &str = "attempt";

/// The kinds of things that errors speak of; what a later master adds is shown as a "thing".
fn thing(what: &str) -> &'static str {
    const THINGS: [&str; 9] = [
        "job", "attempt", "worker", "token", "queue", "log", "user", "secret", "file",
    ];
    THINGS
        .into_iter()
        .find(|known| *known == what)
        .unwrap_or("thing")
}
