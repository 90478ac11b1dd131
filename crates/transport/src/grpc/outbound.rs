//! Frames on their way out.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tonic::Status;

use super::status;
use crate::link::{BatchReceiver, Outgoing};

/// Turns a batch into frames.
pub(crate) type Encode<M, F> = fn(Vec<M>) -> Vec<F>;

/// What a worker sends: an opening, then batches. Encoded when the network takes them, by whoever drives the
/// connection.
pub(crate) struct WorkerFrames<M, F> {
    ready: VecDeque<F>,
    messages: BatchReceiver<M>,
    encode: Encode<M, F>,
}

impl<M, F> WorkerFrames<M, F> {
    pub(crate) fn new(opening: F, messages: BatchReceiver<M>, encode: Encode<M, F>) -> Self {
        Self {
            ready: VecDeque::from([opening]),
            messages,
            encode,
        }
    }
}

impl<M: Unpin, F: Unpin> Stream for WorkerFrames<M, F> {
    type Item = F;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F>> {
        let this = self.get_mut();
        loop {
            if let Some(frame) = this.ready.pop_front() {
                return Poll::Ready(Some(frame));
            }
            match ready!(this.messages.poll_next(context)) {
                Some(messages) => this.ready.extend((this.encode)(messages)),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// What a master sends: batches, then perhaps a refusal.
pub(crate) struct MasterFrames<M, F> {
    ready: VecDeque<F>,
    messages: Outgoing<M>,
    encode: Encode<M, F>,
}

impl<M, F> MasterFrames<M, F> {
    pub(crate) fn new(messages: Outgoing<M>, encode: Encode<M, F>) -> Self {
        Self {
            ready: VecDeque::new(),
            messages,
            encode,
        }
    }
}

impl<M: Unpin, F: Unpin> Stream for MasterFrames<M, F> {
    type Item = Result<F, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(frame) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            match ready!(Pin::new(&mut this.messages).poll_next(context)) {
                Some(Ok(messages)) => this.ready.extend((this.encode)(messages)),
                Some(Err(refusal)) => return Poll::Ready(Some(Err(status::of_refusal(&refusal)))),
                None => return Poll::Ready(None),
            }
        }
    }
}
