//! One direction of a link: a bounded channel of batches.

use std::task::{Context, Poll, ready};
use std::vec;

use async_trait::async_trait;
use jobyard_core::{LINK_CAPACITY, LinkError, LinkSender, MAX_FRAME_MESSAGES};
use tokio::sync::mpsc;

use super::Ending;

/// The way in of a direction. A batch takes one place in the channel, whatever its size, so that it is sent whole or
/// not at all.
pub(crate) struct BatchSender<M> {
    batches: mpsc::Sender<Vec<M>>,
    ending: Ending,
}

impl<M> BatchSender<M> {
    /// Both ends of a direction.
    pub(crate) fn channel(ending: &Ending) -> (Self, BatchReceiver<M>) {
        let (sender, receiver) = mpsc::channel(LINK_CAPACITY);
        let sender = Self {
            batches: sender,
            ending: ending.clone(),
        };
        let receiver = BatchReceiver {
            batches: receiver,
            rest: Vec::new().into_iter(),
        };
        (sender, receiver)
    }
}

#[async_trait]
impl<M: Send + 'static> LinkSender<M> for BatchSender<M> {
    async fn send(&mut self, messages: Vec<M>) -> Result<(), LinkError> {
        if messages.is_empty() {
            return Ok(());
        }
        let sent = self.batches.send(messages).await;
        sent.map_err(|_| self.ending.error())
    }
}

/// The way out of a direction.
pub(crate) struct BatchReceiver<M> {
    batches: mpsc::Receiver<Vec<M>>,
    rest: vec::IntoIter<M>,
}

impl<M> BatchReceiver<M> {
    /// The next messages, at most [`MAX_FRAME_MESSAGES`] of one batch.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Vec<M>>> {
        if self.rest.as_slice().is_empty() {
            let Some(batch) = ready!(self.batches.poll_recv(context)) else {
                return Poll::Ready(None);
            };
            if batch.len() <= MAX_FRAME_MESSAGES {
                return Poll::Ready(Some(batch));
            }
            self.rest = batch.into_iter();
        }
        Poll::Ready(Some(self.rest.by_ref().take(MAX_FRAME_MESSAGES).collect()))
    }

    /// Takes nothing more; what was sent already still comes out.
    pub(crate) fn close(&mut self) {
        self.batches.close();
    }
}
