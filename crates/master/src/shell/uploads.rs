//! Output on its way from a worker into the log store. The engine learns only that a log is settled.

use jobyard_core::{
    AppendError, Appended, AttemptId, Link, LinkError, LinkSender, LogEnd, LogStatus, Refusal,
    RefusalReason, UploadAnswer, UploadFrame, WorkerId,
};
use tracing::{debug, warn};

use super::shared::Shared;
use crate::engine::Input;

/// Serves one upload link until its log is sealed or the link is over.
pub(super) async fn serve(
    shared: &Shared,
    worker: WorkerId,
    attempt: AttemptId,
    link: Link<UploadAnswer, UploadFrame>,
) -> Result<(), Refusal> {
    if !shared.gate.may_upload(worker, attempt) {
        return Err(stale());
    }
    let logs = &shared.config.logs;
    let status = logs
        .status(attempt)
        .await
        .map_err(|problem| unavailable(&problem))?;
    let Link {
        mut sender,
        mut receiver,
    } = link;
    if say(&mut sender, UploadAnswer::ResumeAt(status.end))
        .await
        .is_err()
    {
        return Ok(());
    }
    loop {
        let frames = match receiver.receive().await {
            Ok(frames) => frames,
            Err(problem) => {
                debug!(%problem, "upload link over");
                return Ok(());
            }
        };
        for frame in frames {
            if !shared.gate.may_upload(worker, attempt) {
                return Err(stale());
            }
            let answer = match frame {
                UploadFrame::Chunks(chunks) => {
                    match logs.append(shared.epoch(), attempt, chunks).await {
                        Ok(Appended::Durable { to }) => UploadAnswer::Durable(to),
                        Ok(Appended::Gap { expected }) => return Err(gap(expected)),
                        Err(problem) => appending(shared, attempt, problem).await?,
                    }
                }
                UploadFrame::End(end) => {
                    settle(shared, attempt, end).await?;
                    UploadAnswer::Sealed
                }
                _ => continue,
            };
            let said = say(&mut sender, answer).await;
            if answer == UploadAnswer::Sealed || said.is_err() {
                return Ok(());
            }
        }
    }
}

async fn say(
    sender: &mut Box<dyn LinkSender<UploadAnswer>>,
    answer: UploadAnswer,
) -> Result<(), LinkError> {
    sender.send(vec![answer]).await
}

/// Seals the log where the worker says that it ends, and tells the engine.
async fn settle(shared: &Shared, attempt: AttemptId, end: LogEnd) -> Result<(), Refusal> {
    let logs = &shared.config.logs;
    let before = logs
        .status(attempt)
        .await
        .map_err(|problem| unavailable(&problem))?;
    let status = if before.is_sealed() {
        before
    } else {
        let sealed = logs.seal(shared.epoch(), attempt, end).await;
        sealed.map_err(|problem| unavailable(&problem))?
    };
    tell_settled(shared, attempt, status).await
}

/// What an append that failed means for the link.
async fn appending(
    shared: &Shared,
    attempt: AttemptId,
    problem: AppendError,
) -> Result<UploadAnswer, Refusal> {
    match problem {
        AppendError::Storage { .. } => Err(unavailable(&problem)),
        AppendError::Fenced { .. } => Err(stale()),
        // The two sides hold different bytes; no repeat mends that. What is held stays, the rest is lost.
        problem => {
            warn!(%attempt, %problem, "the worker's output does not fit what is held");
            settle(
                shared,
                attempt,
                LogEnd {
                    bytes: u64::MAX,
                    dropped: 0,
                },
            )
            .await?;
            Ok(UploadAnswer::Sealed)
        }
    }
}

async fn tell_settled(
    shared: &Shared,
    attempt: AttemptId,
    status: LogStatus,
) -> Result<(), Refusal> {
    let told = shared
        .inbox
        .tell(Input::LogSettled { attempt, status })
        .await;
    told.map_err(|problem| unavailable(&problem))
}

fn stale() -> Refusal {
    Refusal::new(
        RefusalReason::Stale,
        "the attempt is not this worker's, or is over: its output is not wanted",
    )
}

fn gap(expected: u64) -> Refusal {
    let message = format!("bytes are missing: the log goes on at offset {expected}");
    Refusal::new(RefusalReason::Invalid, message)
}

fn unavailable(problem: &dyn ToString) -> Refusal {
    Refusal::new(RefusalReason::Unavailable, problem.to_string())
}
