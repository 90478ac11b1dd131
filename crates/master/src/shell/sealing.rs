//! The end of a log: sealed in the store, or lost with what cannot be read any more.

use std::sync::Arc;
use std::time::Duration;

use jobyard_clock::sleep_until;
use jobyard_core::{AppendError, AttemptId, ControlError, LogEnd, LogReadError, LogStatus};
use tracing::warn;

use super::shared::Shared;
use crate::engine::Input;

/// How often it is tried to seal a log of which nothing more comes: for about five minutes.
const TRIES: u32 = 10;

/// How long to wait before the second try; twice as long before each that follows, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A disk that is full for longer than this is noticed late enough.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Seals a log at this end unless it is sealed already. Repeat it after any error.
///
/// A log that is damaged takes no end, and no repeat mends that: it counts as lost from the end of what is held, or from
/// its beginning if nobody can tell where that is.
pub(super) async fn seal(
    shared: &Shared,
    attempt: AttemptId,
    end: LogEnd,
) -> Result<LogStatus, AppendError> {
    let logs = &shared.config.logs;
    let before = match logs.status(attempt).await {
        Ok(status) if status.is_sealed() => return Ok(status),
        Ok(status) => status,
        Err(problem @ LogReadError::Damaged { .. }) => {
            return Ok(damaged(attempt, 0, end, &problem));
        }
        Err(problem) => {
            return Err(AppendError::Storage {
                problem: problem.to_string(),
            });
        }
    };
    let sealed = match logs.seal(shared.epoch(), attempt, end).await {
        // It ends before what is held, which the same worker has sent.
        Err(problem @ AppendError::Misplaced { .. }) => {
            warn!(%attempt, %problem, "the worker's output does not end where it does");
            logs.seal(shared.epoch(), attempt, LogEnd::CORRUPT).await
        }
        sealed => sealed,
    };
    match sealed {
        Err(problem @ AppendError::Damaged { .. }) => {
            Ok(damaged(attempt, before.end, end, &problem))
        }
        sealed => sealed,
    }
}

/// What is left of a log that is not what was written.
fn damaged(
    attempt: AttemptId,
    held: u64,
    end: LogEnd,
    problem: &dyn std::fmt::Display,
) -> LogStatus {
    warn!(%attempt, %problem, "no more output is taken, and what has not come counts as lost");
    let mut lost = LogEnd::UNKNOWN;
    lost.dropped = end.dropped;
    LogStatus::sealed(held, lost)
}

/// Seals a log of which nothing more comes, and tells the engine.
pub(super) fn abandon(shared: &Arc<Shared>, attempt: AttemptId, end: Option<LogEnd>) {
    let for_task = Arc::clone(shared);
    shared.spawn(async move {
        let shared = for_task;
        // Wherever it would have ended, it lies beyond what is held.
        let end = end.unwrap_or(LogEnd::UNKNOWN);
        tokio::select! {
            status = seal_with_patience(&shared, attempt, end) => {
                // Fails when the master ends; the next one does it again.
                let _ = tell_settled(&shared, attempt, status).await;
            }
            () = shared.stopping.cancelled() => {}
        }
    });
}

/// Seals it as soon as the store lets it, or says what is held when that takes too long.
async fn seal_with_patience(shared: &Shared, attempt: AttemptId, end: LogEnd) -> LogStatus {
    let clock = &*shared.config.clock;
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match seal(shared, attempt, end).await {
            Ok(status) => return status,
            Err(problem) => {
                warn!(%attempt, %problem, retry_in = ?pause, "the log cannot be sealed");
            }
        }
        sleep_until(clock, Some(clock.now().steady + pause)).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
    match seal(shared, attempt, end).await {
        Ok(status) => status,
        Err(problem) => {
            warn!(%attempt, %problem, "the log stays unsealed; what is held of it can be read");
            let held = shared.config.logs.status(attempt).await;
            LogStatus::sealed(held.map_or(0, |status| status.end), end)
        }
    }
}

/// Tells the engine how the log of an attempt ended.
pub(super) async fn tell_settled(
    shared: &Shared,
    attempt: AttemptId,
    status: LogStatus,
) -> Result<(), ControlError> {
    let settled = Input::LogSettled { attempt, status };
    shared.inbox.tell(settled).await
}
