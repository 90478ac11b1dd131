//! Output on its way from a worker into the log store. The engine learns only that a log is settled.

use std::pin::pin;

use jobyard_core::{
    AppendError, Appended, AttemptId, Link, LinkError, LinkReceiver, LinkSender, LogEnd,
    LogReadError, Refusal, RefusalReason, UploadAnswer, UploadFrame, WorkerId,
};
use tracing::{debug, warn};

use super::arrivals::Arrivals;
use super::sealing;
use super::shared::Shared;

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
    let Link {
        mut sender,
        mut receiver,
    } = link;
    let status = match logs.status(attempt).await {
        Ok(status) => status,
        // It takes nothing more, and the worker need not keep what it has.
        Err(LogReadError::Damaged { .. }) => {
            settle(shared, attempt, LogEnd::UNKNOWN).await?;
            let answers = vec![UploadAnswer::ResumeAt(0), UploadAnswer::Sealed];
            let _ = sender.send(answers).await;
            return Ok(());
        }
        Err(problem) => return Err(unavailable(&problem)),
    };
    if say(&mut sender, UploadAnswer::ResumeAt(status.end))
        .await
        .is_err()
    {
        return Ok(());
    }
    let mut arrivals = Arrivals::new(shared.held.clone());
    loop {
        let Some(frame) = arrivals.next()? else {
            match receiver.receive().await {
                Ok(frames) => arrivals.add(frames),
                Err(problem) => {
                    debug!(%problem, "upload link over");
                    return Ok(());
                }
            }
            continue;
        };
        if !shared.gate.may_upload(worker, attempt) {
            return Err(stale());
        }
        let answer = match frame {
            UploadFrame::Chunks(chunks) => {
                let appending = logs.append(shared.epoch(), attempt, chunks);
                match gathering(appending, &mut *receiver, &mut arrivals).await {
                    Ok(Appended::Durable { to }) => UploadAnswer::Durable(to),
                    Ok(Appended::Gap { expected }) => return Err(Refusal::out_of_range(expected)),
                    Err(problem) => refused(shared, attempt, problem).await?,
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

/// Takes in what arrives while something is at the disk, as far as there is room. A link that ends meanwhile is found
/// over again by whoever receives next.
async fn gathering<T>(
    at_disk: impl Future<Output = T>,
    receiver: &mut dyn LinkReceiver<UploadFrame>,
    arrivals: &mut Arrivals,
) -> T {
    let mut at_disk = pin!(at_disk);
    while arrivals.may_grow() {
        tokio::select! {
            biased;
            done = &mut at_disk => return done,
            received = receiver.receive() => match received {
                Ok(frames) => arrivals.add(frames),
                Err(_) => break,
            },
        }
    }
    at_disk.await
}

async fn say(
    sender: &mut Box<dyn LinkSender<UploadAnswer>>,
    answer: UploadAnswer,
) -> Result<(), LinkError> {
    sender.send(vec![answer]).await
}

/// Seals the log where the worker says that it ends, and tells the engine.
async fn settle(shared: &Shared, attempt: AttemptId, end: LogEnd) -> Result<(), Refusal> {
    let sealed = sealing::seal(shared, attempt, end).await;
    let status = sealed.map_err(|problem| unavailable(&problem))?;
    let told = sealing::tell_settled(shared, attempt, status).await;
    told.map_err(|problem| unavailable(&problem))
}

/// What an append that failed means for the link.
async fn refused(
    shared: &Shared,
    attempt: AttemptId,
    problem: AppendError,
) -> Result<UploadAnswer, Refusal> {
    match problem {
        AppendError::Storage { .. } => Err(unavailable(&problem)),
        AppendError::Fenced { .. } => Err(stale()),
        // No repeat mends that. What is held stays, the rest is lost.
        problem => {
            warn!(%attempt, %problem, "the worker's output cannot follow what is held");
            let end = match problem {
                AppendError::Conflict { .. } => LogEnd::CORRUPT,
                _ => LogEnd::UNKNOWN,
            };
            settle(shared, attempt, end).await?;
            Ok(UploadAnswer::Sealed)
        }
    }
}

fn stale() -> Refusal {
    Refusal::new(
        RefusalReason::Stale,
        "the attempt is not this worker's, or is over: its output is not wanted",
    )
}

fn unavailable(problem: &dyn ToString) -> Refusal {
    Refusal::new(RefusalReason::Unavailable, problem.to_string())
}

#[cfg(test)]
mod tests;
