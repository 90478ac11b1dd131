//! What a handler sends to its worker, until its link is over.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use jobyard_core::Refusal;
use tokio::sync::oneshot;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{BatchReceiver, Ending};

/// The handler's messages. After the last one comes its refusal, if it has returned one, or the reason for which the
/// link was ended from outside; then nothing.
pub(crate) struct Outgoing<M> {
    messages: BatchReceiver<M>,
    ending: Ending,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    result: oneshot::Receiver<Result<(), Refusal>>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The handler may send.
    Open,
    /// The link was ended; what was sent before still goes out.
    Draining,
    /// Everything was said.
    Over,
}

/// Runs a handler's call in a task of its own. What it sends comes out of the stream.
///
/// A task, and not a future inside of the stream, because a handler shall see how its link ends and return by itself
/// instead of being dropped wherever it waits.
///
/// The guard is dropped after the call has returned and its result is known, so that what ends with it does not hide a
/// refusal.
pub(crate) fn hand_over<M, F, G>(
    messages: BatchReceiver<M>,
    ending: Ending,
    guard: G,
    call: F,
) -> Outgoing<M>
where
    F: Future<Output = Result<(), Refusal>> + Send + 'static,
    G: Send + 'static,
{
    let (report, result) = oneshot::channel();
    tokio::spawn(async move {
        // Nobody listens any more when the worker has gone.
        let _ = report.send(call.await);
        drop(guard);
    });
    Outgoing {
        messages,
        ended: Box::pin(ending.ended_owned()),
        ending,
        result,
        stage: Stage::Open,
    }
}

impl<M: Unpin> Stream for Outgoing<M> {
    type Item = Result<Vec<M>, Refusal>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.stage == Stage::Over {
            return Poll::Ready(None);
        }
        if this.stage == Stage::Open && this.ended.as_mut().poll(context).is_ready() {
            this.messages.close();
            this.stage = Stage::Draining;
        }
        if let Some(messages) = ready!(this.messages.poll_next(context)) {
            return Poll::Ready(Some(Ok(messages)));
        }
        let refusal = match this.stage {
            Stage::Draining => this.ending.cause().or_else(|| refused(&mut this.result)),
            // A handler that died without an answer has closed its link.
            _ => match ready!(Pin::new(&mut this.result).poll(context)) {
                Ok(Err(refusal)) => Some(refusal),
                Ok(Ok(())) | Err(_) => this.ending.cause(),
            },
        };
        this.stage = Stage::Over;
        Poll::Ready(refusal.map(Err))
    }
}

/// The refusal that a handler has returned already.
fn refused(result: &mut oneshot::Receiver<Result<(), Refusal>>) -> Option<Refusal> {
    result.try_recv().ok()?.err()
}
