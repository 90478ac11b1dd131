//! Refusals and errors as gRPC statuses, and back.

use std::error::Error;

use bytes::Bytes;
use jobyard_core::{ConnectError, ControlError, LinkError, Refusal, RefusalReason};
use prost::Message;
use tonic::{Code, Status};

use crate::generated::v1;
use crate::wire::{self, InvalidMessage};

/// A refusal, whole in the details.
pub(crate) fn of_refusal(refusal: &Refusal) -> Status {
    let code = match refusal.reason {
        RefusalReason::Unauthenticated => Code::Unauthenticated,
        RefusalReason::Forbidden | RefusalReason::Removed => Code::PermissionDenied,
        RefusalReason::Invalid => Code::InvalidArgument,
        RefusalReason::AlreadyExists => Code::AlreadyExists,
        RefusalReason::Stale | RefusalReason::Incompatible => Code::FailedPrecondition,
        RefusalReason::Exhausted => Code::ResourceExhausted,
        RefusalReason::Unavailable => Code::Unavailable,
        RefusalReason::OutOfRange => Code::OutOfRange,
        _ => Code::Unknown,
    };
    with_detail(code, &refusal.message, &refusal.into())
}

/// An error of control, whole in the details.
pub(crate) fn of_control_error(error: &ControlError) -> Status {
    let code = match error {
        ControlError::NotFound { .. } => Code::NotFound,
        ControlError::AlreadyExists { .. } => Code::AlreadyExists,
        ControlError::Forbidden { .. } => Code::PermissionDenied,
        ControlError::Invalid { .. } => Code::InvalidArgument,
        ControlError::Conflict { .. } => Code::FailedPrecondition,
        ControlError::Gone { .. } => Code::OutOfRange,
        ControlError::Exhausted { .. } => Code::ResourceExhausted,
        ControlError::Unavailable { .. } | ControlError::OutputAway { .. } => Code::Unavailable,
        ControlError::Untrusted { .. } => Code::Unauthenticated,
        ControlError::Internal { .. } => Code::Internal,
        _ => Code::Unknown,
    };
    with_detail(code, &error.to_string(), &error.into())
}

/// A request that does not fit.
pub(crate) fn of_invalid(error: InvalidMessage) -> Status {
    of_control_error(&ControlError::invalid(error.field, error.problem))
}

/// A message of a session that does not fit.
pub(crate) fn invalid_refusal(error: &InvalidMessage) -> Refusal {
    Refusal::new(RefusalReason::Invalid, error.to_string())
}

fn with_detail(code: Code, message: &str, detail: &v1::ErrorDetail) -> Status {
    Status::with_details(code, message, Bytes::from(detail.encode_to_vec()))
}

/// Why a session did not come about.
pub(crate) fn connect_error(status: &Status) -> ConnectError {
    if let Some(error) = dial_error(status) {
        return error;
    }
    match refusal(status) {
        Some(refusal) => ConnectError::Refused(refusal),
        None => ConnectError::Unreachable {
            problem: describe(status),
        },
    }
}

/// Why a link is over.
pub(crate) fn link_error(status: &Status) -> LinkError {
    match refusal(status) {
        Some(refusal) => LinkError::Refused(refusal),
        None => LinkError::Lost {
            problem: describe(status),
        },
    }
}

/// Why a call of control was not done.
pub(crate) fn control_error(status: &Status) -> ControlError {
    if let Some(error) = dial_error(status) {
        return match error {
            ConnectError::Untrusted { problem } => ControlError::Untrusted { problem },
            other => ControlError::unavailable(other.to_string()),
        };
    }
    if let Some(error) = detail(status).and_then(wire::control_error) {
        return error;
    }
    let problem = describe(status);
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => ControlError::Untrusted { problem },
        Code::ResourceExhausted => ControlError::Exhausted { problem },
        Code::OutOfRange => ControlError::invalid("message", problem),
        Code::Unimplemented => ControlError::Internal {
            problem: format!("the master does not know this call, it may be older: {problem}"),
        },
        _ => ControlError::Unavailable { problem },
    }
}

/// What the other side meant by a status without our details depends on its code.
fn refusal(status: &Status) -> Option<Refusal> {
    if let Some(refusal) = detail(status).and_then(wire::refusal) {
        return Some(refusal);
    }
    let reason = match status.code() {
        Code::Unauthenticated => RefusalReason::Unauthenticated,
        Code::PermissionDenied => RefusalReason::Forbidden,
        Code::ResourceExhausted => RefusalReason::Exhausted,
        // A message above the limit.
        Code::OutOfRange => RefusalReason::Invalid,
        Code::Unimplemented => RefusalReason::Incompatible,
        _ => return None,
    };
    Some(Refusal::new(reason, status.message()))
}

fn detail(status: &Status) -> Option<v1::ErrorDetail> {
    if status.details().is_empty() {
        return None;
    }
    v1::ErrorDetail::decode(status.details()).ok()
}

/// The error of our own connector, which tonic hands on inside of its own errors.
fn dial_error(status: &Status) -> Option<ConnectError> {
    let mut source = status.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<ConnectError>() {
            return Some(error.clone());
        }
        source = error.source();
    }
    None
}

/// The status and what lies beneath it, in one line.
fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.contains(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        source = error.source();
    }
    if text.is_empty() {
        status.code().description().clone_into(&mut text);
    }
    text
}
