//! Streams of answers: what is there at once goes in one message.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream::Fuse;
use futures_util::{StreamExt, stream};
use jobyard_core::ControlError;
use tonic::Status;

use crate::grpc::status::of_control_error;

/// Messages of a stream of answers.
pub(super) type Frames<W> = Pin<Box<dyn Stream<Item = Result<W, Status>> + Send>>;

/// How much goes in one message.
#[derive(Clone, Copy)]
pub(super) struct Load<T> {
    /// So many items at most.
    pub(super) items: usize,
    /// So many bytes, and the item that reaches them.
    pub(super) bytes: usize,
    /// How many bytes an item takes.
    pub(super) size: fn(&T) -> usize,
}

/// What is there at once in messages, each with so much at most.
pub(super) fn frames<T, W>(
    items: impl Stream<Item = Result<T, ControlError>> + Send + 'static,
    load: Load<T>,
    message: impl Fn(Vec<T>) -> W + Copy + Send + 'static,
) -> Frames<W>
where
    T: Send + 'static,
    W: Send + 'static,
{
    let ready = Ready {
        items: Box::pin(items).fuse(),
        load,
    };
    let frames = ready.flat_map(move |items| stream::iter(together(items, message)));
    frames.boxed()
}

/// What is there at once.
struct Ready<S, T> {
    items: Fuse<Pin<Box<S>>>,
    load: Load<T>,
}

impl<S, T> Stream for Ready<S, T>
where
    S: Stream<Item = Result<T, ControlError>>,
{
    type Item = Vec<Result<T, ControlError>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { items, load } = self.get_mut();
        let mut ready = Vec::new();
        let mut bytes = 0;
        while ready.len() < load.items && bytes < load.bytes {
            match items.poll_next_unpin(context) {
                Poll::Ready(Some(item)) => {
                    bytes += item.as_ref().map_or(0, load.size);
                    ready.push(item);
                }
                Poll::Ready(None) if ready.is_empty() => return Poll::Ready(None),
                Poll::Pending if ready.is_empty() => return Poll::Pending,
                // Whoever asks again hears it again, or is woken.
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Ready(Some(ready))
    }
}

/// What was there at once, in one message; then the error, if there was one.
fn together<T, W>(
    items: Vec<Result<T, ControlError>>,
    message: impl Fn(Vec<T>) -> W,
) -> Vec<Result<W, Status>> {
    let mut frames = Vec::with_capacity(1);
    let mut ready = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Ok(item) => ready.push(item),
            Err(error) => {
                if !ready.is_empty() {
                    frames.push(Ok(message(std::mem::take(&mut ready))));
                }
                frames.push(Err(of_control_error(&error)));
            }
        }
    }
    if !ready.is_empty() {
        frames.push(Ok(message(ready)));
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load<usize> = Load {
        items: 3,
        bytes: 10,
        size: |size| *size,
    };

    async fn sizes(items: Vec<usize>) -> Vec<Vec<usize>> {
        let items = stream::iter(items.into_iter().map(Ok));
        let messages: Vec<_> = frames(items, LOAD, |items| items).collect().await;
        messages
            .into_iter()
            .map(|message| message.expect("no error was put in"))
            .collect()
    }

    #[tokio::test]
    async fn what_is_there_at_once_goes_together_up_to_a_number_and_a_size() {
        assert_eq!(sizes(vec![1; 7]).await, [vec![1; 3], vec![1; 3], vec![1]]);
        assert_eq!(
            sizes(vec![4, 6, 4, 20, 30]).await,
            [vec![4, 6], vec![4, 20], vec![30]]
        );
        assert!(sizes(Vec::new()).await.is_empty());
    }

    #[tokio::test]
    async fn nothing_waits_for_what_is_not_there_yet() {
        let items = stream::iter([Ok(1), Ok(2)]).chain(stream::pending());
        let mut messages = frames(items, LOAD, |items| items);
        let first = messages.next().await.expect("a message");
        assert_eq!(first.expect("no error was put in"), [1, 2]);
    }
}
