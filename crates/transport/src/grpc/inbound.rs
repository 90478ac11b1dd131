//! Frames on their way in.

use async_trait::async_trait;
use jobyard_core::{LinkError, LinkReceiver, UploadAnswer, UploadFrame};
use tonic::Streaming;

use super::status;
use crate::generated::v1;
use crate::link::{Ending, Membership};
use crate::wire::InvalidMessage;

/// A frame that can be checked and taken apart.
pub(crate) trait Frame: Send + 'static {
    /// What is in it.
    type Message: Send + 'static;

    fn messages(self) -> Result<Vec<Self::Message>, InvalidMessage>;
}

impl Frame for v1::WorkerFrame {
    type Message = jobyard_core::WorkerMessage;

    fn messages(self) -> Result<Vec<Self::Message>, InvalidMessage> {
        self.try_into()
    }
}

impl Frame for v1::MasterFrame {
    type Message = jobyard_core::MasterMessage;

    fn messages(self) -> Result<Vec<Self::Message>, InvalidMessage> {
        self.try_into()
    }
}

impl Frame for v1::UploadFrame {
    type Message = UploadFrame;

    fn messages(self) -> Result<Vec<Self::Message>, InvalidMessage> {
        Ok(vec![self.try_into()?])
    }
}

impl Frame for v1::UploadAnswer {
    type Message = UploadAnswer;

    fn messages(self) -> Result<Vec<Self::Message>, InvalidMessage> {
        Ok(vec![self.try_into()?])
    }
}

/// What a worker hears.
pub(crate) struct WorkerInbound<F> {
    frames: Streaming<F>,
    /// How the link ended, for whoever asks again.
    over: Option<LinkError>,
}

impl<F> WorkerInbound<F> {
    pub(crate) fn new(frames: Streaming<F>) -> Self {
        Self { frames, over: None }
    }
}

#[async_trait]
impl<F: Frame> LinkReceiver<F::Message> for WorkerInbound<F> {
    async fn receive(&mut self) -> Result<Vec<F::Message>, LinkError> {
        if let Some(over) = &self.over {
            return Err(over.clone());
        }
        let received = match self.frames.message().await {
            Ok(Some(frame)) => frame.messages().map_err(|error| LinkError::Lost {
                problem: format!("the master sent what this worker cannot read: {error}"),
            }),
            Ok(None) => Err(LinkError::Closed),
            Err(status) => Err(status::link_error(&status)),
        };
        if let Err(error) = &received {
            self.over = Some(error.clone());
        }
        received
    }
}

/// What a master hears. Each message is checked, and whether its sender is still a member.
pub(crate) struct MasterInbound<F> {
    frames: Streaming<F>,
    ending: Ending,
    membership: Membership,
}

impl<F> MasterInbound<F> {
    pub(crate) fn new(frames: Streaming<F>, ending: Ending, membership: Membership) -> Self {
        Self {
            frames,
            ending,
            membership,
        }
    }
}

#[async_trait]
impl<F: Frame> LinkReceiver<F::Message> for MasterInbound<F> {
    async fn receive(&mut self) -> Result<Vec<F::Message>, LinkError> {
        let received = tokio::select! {
            biased;
            () = self.ending.ended() => return Err(self.ending.error()),
            received = self.frames.message() => received,
        };
        let frame = match received {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(LinkError::Closed),
            Err(status) => {
                let error = status::link_error(&status);
                if let LinkError::Refused(refusal) = &error {
                    self.ending.refuse(refusal.clone());
                }
                return Err(error);
            }
        };
        let checked = self.membership.check().and_then(|()| {
            frame
                .messages()
                .map_err(|error| status::invalid_refusal(&error))
        });
        checked.map_err(|refusal| {
            self.ending.refuse(refusal.clone());
            refusal.into()
        })
    }
}
