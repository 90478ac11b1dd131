//! Streams of answers: what is there at once goes in one message.

use std::pin::Pin;

use futures_core::Stream;
use futures_util::{StreamExt, stream};
use jobyard_core::ControlError;
use tonic::Status;

use crate::grpc::status::of_control_error;

/// Messages of a stream of answers.
pub(super) type Frames<W> = Pin<Box<dyn Stream<Item = Result<W, Status>> + Send>>;

/// At most `most` items in a message.
pub(super) fn frames<T, W>(
    items: impl Stream<Item = Result<T, ControlError>> + Send + 'static,
    most: usize,
    message: impl Fn(Vec<T>) -> W + Copy + Send + 'static,
) -> Frames<W>
where
    T: Send + 'static,
    W: Send + 'static,
{
    let ready = items.ready_chunks(most);
    let frames = ready.flat_map(move |items| stream::iter(together(items, message)));
    frames.boxed()
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
