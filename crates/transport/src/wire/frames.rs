//! What travels together.

use jobyard_core::{LogItem, MAX_FRAME_MESSAGES, MasterMessage, UploadFrame, WorkerMessage};
use prost::Message;

use super::InvalidMessage;
use super::field::{list, required};
use super::upload::cut;
use crate::generated::v1;
use crate::limits::{FRAME_TARGET_BYTES, LOG_ITEMS_PER_MESSAGE};

/// One frame for a batch, or several if it is large.
pub(crate) fn worker_frames(messages: Vec<WorkerMessage>) -> Vec<v1::WorkerFrame> {
    let frame = |messages| v1::WorkerFrame {
        open: None,
        messages,
    };
    split(messages, frame)
}

/// One frame for a batch, or several if it is large.
pub(crate) fn master_frames(messages: Vec<MasterMessage>) -> Vec<v1::MasterFrame> {
    split(messages, |messages| v1::MasterFrame { messages })
}

/// One frame for each, or several for one with many chunks.
pub(crate) fn upload_frames(frames: Vec<UploadFrame>) -> Vec<v1::UploadFrame> {
    let mut wire = Vec::with_capacity(frames.len());
    for frame in frames {
        cut(frame, &mut wire);
    }
    wire
}

fn split<M, W, F>(messages: Vec<M>, frame: impl Fn(Vec<W>) -> F) -> Vec<F>
where
    W: From<M> + Message,
{
    let mut frames = Vec::with_capacity(1);
    let mut next = Vec::with_capacity(messages.len().min(MAX_FRAME_MESSAGES));
    let mut bytes = 0;
    for message in messages {
        let message = W::from(message);
        bytes += message.encoded_len();
        next.push(message);
        if bytes >= FRAME_TARGET_BYTES || next.len() == MAX_FRAME_MESSAGES {
            frames.push(frame(std::mem::take(&mut next)));
            bytes = 0;
        }
    }
    if !next.is_empty() {
        frames.push(frame(next));
    }
    frames
}

impl TryFrom<v1::WorkerFrame> for Vec<WorkerMessage> {
    type Error = InvalidMessage;

    fn try_from(frame: v1::WorkerFrame) -> Result<Self, InvalidMessage> {
        if frame.open.is_some() {
            return Err(InvalidMessage::new("open", "only the first frame opens"));
        }
        not_empty(list("messages", frame.messages, MAX_FRAME_MESSAGES)?)
    }
}

impl TryFrom<v1::MasterFrame> for Vec<MasterMessage> {
    type Error = InvalidMessage;

    fn try_from(frame: v1::MasterFrame) -> Result<Self, InvalidMessage> {
        not_empty(list("messages", frame.messages, MAX_FRAME_MESSAGES)?)
    }
}

impl From<Vec<LogItem>> for v1::LogsResponse {
    /// The beginning stands beside the items, since earlier clients take no kind of item that they do not know.
    fn from(items: Vec<LogItem>) -> Self {
        let mut wire = Self::default();
        for item in items {
            match item {
                LogItem::Begin { attempt, from } => {
                    let attempt = Some(attempt.into());
                    wire.begin = Some(v1::LogBegin { attempt, from });
                }
                item => wire.items.push(item.into()),
            }
        }
        wire
    }
}

impl TryFrom<v1::LogsResponse> for Vec<LogItem> {
    type Error = InvalidMessage;

    fn try_from(frame: v1::LogsResponse) -> Result<Self, InvalidMessage> {
        let mut items = list("items", frame.items, LOG_ITEMS_PER_MESSAGE)?;
        if let Some(begin) = frame.begin {
            let begin = LogItem::Begin {
                attempt: required("begin.attempt", begin.attempt)?,
                from: begin.from,
            };
            items.insert(0, begin);
        }
        Ok(items)
    }
}

fn not_empty<M>(messages: Vec<M>) -> Result<Vec<M>, InvalidMessage> {
    if messages.is_empty() {
        return Err(InvalidMessage::new(
            "messages",
            "a frame without messages says nothing",
        ));
    }
    Ok(messages)
}
