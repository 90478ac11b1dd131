//! The output of attempts on its way to the master.

use jobyard_core::{LogChunk, UploadAnswer, UploadFrame};

use super::InvalidMessage;
use super::field::{kind, list, required};
use crate::generated::v1;
use crate::limits::{MAX_MESSAGE_BYTES, OUTPUT_TARGET_BYTES};

impl From<UploadFrame> for v1::UploadFrame {
    fn from(frame: UploadFrame) -> Self {
        use v1::upload_frame::Kind;

        let kind = match frame {
            UploadFrame::Chunks(chunks) => Some(Kind::Chunks(v1::LogChunks {
                chunks: chunks.into_iter().map(Into::into).collect(),
            })),
            UploadFrame::End(end) => Some(Kind::End(end.into())),
            _ => None,
        };
        Self { kind }
    }
}

impl TryFrom<v1::UploadFrame> for UploadFrame {
    type Error = InvalidMessage;

    fn try_from(frame: v1::UploadFrame) -> Result<Self, InvalidMessage> {
        use v1::upload_frame::Kind;

        match kind(frame.kind)? {
            Kind::Open(_) => Err(InvalidMessage::new("open", "only the first frame opens")),
            Kind::Chunks(chunks) => {
                let chunks = list::<_, LogChunk>("chunks.chunks", chunks.chunks, MAX_CHUNKS)?;
                Ok(Self::Chunks(chunks))
            }
            Kind::End(end) => Ok(Self::End(required("end", Some(end))?)),
        }
    }
}

/// Chunks of one byte fill a message with so many at most.
const MAX_CHUNKS: usize = MAX_MESSAGE_BYTES;

/// Cuts frames with many chunks into several, which mean the same.
pub(super) fn cut(frame: UploadFrame, into: &mut Vec<v1::UploadFrame>) {
    let UploadFrame::Chunks(chunks) = frame else {
        into.push(frame.into());
        return;
    };
    let mut next = Vec::new();
    let mut bytes = 0;
    for chunk in chunks {
        bytes += chunk.bytes.len() + CHUNK_OVERHEAD_BYTES;
        next.push(chunk);
        if bytes >= OUTPUT_TARGET_BYTES {
            into.push(UploadFrame::Chunks(std::mem::take(&mut next)).into());
            bytes = 0;
        }
    }
    if !next.is_empty() {
        into.push(UploadFrame::Chunks(next).into());
    }
}

/// What a chunk takes beside its bytes, at most: four keys and four numbers.
const CHUNK_OVERHEAD_BYTES: usize = 40;

impl From<UploadAnswer> for v1::UploadAnswer {
    fn from(answer: UploadAnswer) -> Self {
        use v1::upload_answer::Kind;

        let kind = match answer {
            UploadAnswer::ResumeAt(offset) => Some(Kind::ResumeAt(offset)),
            UploadAnswer::Durable(offset) => Some(Kind::Durable(offset)),
            UploadAnswer::Sealed => Some(Kind::Sealed(v1::Nothing {})),
            _ => None,
        };
        Self { kind }
    }
}

impl TryFrom<v1::UploadAnswer> for UploadAnswer {
    type Error = InvalidMessage;

    fn try_from(answer: v1::UploadAnswer) -> Result<Self, InvalidMessage> {
        use v1::upload_answer::Kind;

        Ok(match kind(answer.kind)? {
            Kind::ResumeAt(offset) => Self::ResumeAt(offset),
            Kind::Durable(offset) => Self::Durable(offset),
            Kind::Sealed(_) => Self::Sealed,
        })
    }
}
