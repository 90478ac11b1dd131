//! What errors of the system mean.

use std::io;
use std::path::Path;

use jobyard_core::{InfraReason, StartError, StartFailure};

/// Why an existing program was not started.
pub(super) fn explain_program(program: &Path, error: &io::Error) -> StartError {
    let of_job = |cause: StartFailure| StartError::Job {
        cause,
        problem: format!("{}: {error}", program.display()),
    };
    match error.raw_os_error() {
        // The standard library's own: an argument that no batch file can be given.
        None if error.kind() == io::ErrorKind::InvalidInput => of_job(StartFailure::BadConfig),
        Some(FILENAME_EXCED_RANGE) => of_job(StartFailure::ArgumentsTooLong),
        Some(SHARING_VIOLATION) => StartError::Worker {
            reason: InfraReason::NoResources,
            problem: format!("{}: somebody keeps it open for writing", program.display()),
        },
        Some(code) if code > 0 && !is_shortage(error) => of_job(StartFailure::NotExecutable),
        // What goes wrong with a job object has no code, or a negative one.
        _ => worker_failure("no process could be started", error),
    }
}

/// A failure that is no fault of the job.
pub(super) fn worker_failure(what: &str, error: &io::Error) -> StartError {
    let reason = if is_shortage(error) {
        InfraReason::NoResources
    } else {
        InfraReason::WorkerFault
    };
    StartError::Worker {
        reason,
        problem: format!("{what}: {error}"),
    }
}

fn is_shortage(error: &io::Error) -> bool {
    let of_kind = matches!(
        error.kind(),
        io::ErrorKind::OutOfMemory | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    let of_code = matches!(
        error.raw_os_error(),
        Some(TOO_MANY_OPEN_FILES | NO_SYSTEM_RESOURCES | COMMITMENT_LIMIT)
    );
    of_kind || of_code
}

/// Whether somebody still has the file open, or one beneath it.
pub(super) fn is_held(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(ACCESS_DENIED | SHARING_VIOLATION | DIR_NOT_EMPTY)
    )
}

// The system's error codes, see winerror.h.
const TOO_MANY_OPEN_FILES: i32 = 4;
const ACCESS_DENIED: i32 = 5;
const SHARING_VIOLATION: i32 = 32;
const DIR_NOT_EMPTY: i32 = 145;
const FILENAME_EXCED_RANGE: i32 = 206;
const NO_SYSTEM_RESOURCES: i32 = 1450;
const COMMITMENT_LIMIT: i32 = 1455;
