//! The service of workers.

use std::sync::Arc;

use jobyard_core::{
    AttemptId, Hello, Link, MasterMessage, Refusal, RefusalReason, SessionHandler, UploadAnswer,
    UploadFrame, WorkerId, WorkerMessage,
};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, info_span};
use uuid::Uuid;

use super::caller;
use crate::generated::v1;
use crate::generated::v1::worker_session_server::WorkerSession;
use crate::grpc::inbound::{Frame, MasterInbound};
use crate::grpc::outbound::MasterFrames;
use crate::grpc::status;
use crate::limits::OPEN_TIMEOUT;
use crate::link::{BatchReceiver, BatchSender, Ending, Membership, Sessions, hand_over};
use crate::wire::{InvalidMessage, id, master_frames, required};

/// Hands sessions and uploads over to the master.
pub(super) struct SessionService {
    handler: Arc<dyn SessionHandler>,
    sessions: Arc<Sessions>,
}

impl SessionService {
    pub(super) fn new(handler: Arc<dyn SessionHandler>) -> Self {
        Self {
            handler,
            sessions: Arc::default(),
        }
    }

    /// The master's link, and what comes out of it for the worker.
    fn link<F: Frame, M: Send + 'static>(
        &self,
        worker: WorkerId,
        frames: Streaming<F>,
        ending: &Ending,
    ) -> (Link<M, F::Message>, BatchReceiver<M>) {
        let membership = Membership::new(Arc::clone(&self.handler), worker);
        let (sender, to_worker) = BatchSender::channel(ending);
        let link = Link {
            sender: Box::new(sender),
            receiver: Box::new(MasterInbound::new(frames, ending.clone(), membership)),
        };
        (link, to_worker)
    }
}

#[tonic::async_trait]
impl WorkerSession for SessionService {
    type ConnectStream = MasterFrames<MasterMessage, v1::MasterFrame>;
    type UploadStream = MasterFrames<UploadAnswer, v1::UploadAnswer>;

    async fn connect(
        &self,
        request: Request<Streaming<v1::WorkerFrame>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let peer = caller::worker(&request)?;
        let mut frames = request.into_inner();
        let (hello, id) = opening(first(&mut frames).await?).map_err(|error| invalid(&error))?;
        let guard = self.sessions.open(peer.id, id);
        let ending = guard.ending().clone();
        let (link, to_worker): (Link<MasterMessage, WorkerMessage>, _) =
            self.link(peer.id, frames, &ending);
        let span = info_span!("session", worker = %peer.id, address = %peer.address);
        let handler = Arc::clone(&self.handler);
        let call = async move { handler.session(peer, hello, link).await };
        let outgoing = hand_over(to_worker, ending, guard, call.instrument(span));
        Ok(Response::new(MasterFrames::new(outgoing, master_frames)))
    }

    async fn upload(
        &self,
        request: Request<Streaming<v1::UploadFrame>>,
    ) -> Result<Response<Self::UploadStream>, Status> {
        let peer = caller::worker(&request)?;
        let mut frames = request.into_inner();
        let (attempt, offset, session) =
            upload(first(&mut frames).await?).map_err(|error| invalid(&error))?;
        let ending = self
            .sessions
            .upload(peer.id, session)
            .map_err(|refusal| status::of_refusal(&refusal))?;
        let (link, to_worker): (Link<UploadAnswer, UploadFrame>, _) =
            self.link(peer.id, frames, &ending);
        let span = info_span!("upload", worker = %peer.id, %attempt);
        let handler = Arc::clone(&self.handler);
        let call = async move { handler.upload(peer, attempt, offset, link).await };
        let outgoing = hand_over(to_worker, ending, (), call.instrument(span));
        Ok(Response::new(MasterFrames::new(outgoing, upload_answers)))
    }
}

/// The frame that opens a stream, for which the master does not wait long.
async fn first<F>(frames: &mut Streaming<F>) -> Result<F, Status> {
    let refuse = |problem| status::of_refusal(&Refusal::new(RefusalReason::Invalid, problem));
    match timeout(OPEN_TIMEOUT, frames.message()).await {
        Ok(Ok(Some(frame))) => Ok(frame),
        Ok(Ok(None)) => Err(refuse("the stream ended before it was opened")),
        Ok(Err(status)) => Err(status),
        Err(_) => Err(refuse(
            "the frame that opens the stream did not come in time",
        )),
    }
}

fn invalid(error: &InvalidMessage) -> Status {
    status::of_refusal(&status::invalid_refusal(error))
}

fn opening(frame: v1::WorkerFrame) -> Result<(Hello, Uuid), InvalidMessage> {
    if !frame.messages.is_empty() {
        return Err(InvalidMessage::new(
            "messages",
            "the first frame only opens",
        ));
    }
    let open = frame
        .open
        .ok_or_else(|| InvalidMessage::new("open", "the first frame has to open the session"))?;
    let link = id("open.link", &open.link, |uuid| uuid)?;
    let hello: Hello = required("hello", open.hello)?;
    Ok((hello, link))
}

fn upload(frame: v1::UploadFrame) -> Result<(AttemptId, u64, Uuid), InvalidMessage> {
    let Some(v1::upload_frame::Kind::Open(open)) = frame.kind else {
        return Err(InvalidMessage::new(
            "open",
            "the first frame has to open the upload",
        ));
    };
    let link = id("open.link", &open.link, |uuid| uuid)?;
    Ok((required("open.attempt", open.attempt)?, open.offset, link))
}

fn upload_answers(answers: Vec<UploadAnswer>) -> Vec<v1::UploadAnswer> {
    answers.into_iter().map(Into::into).collect()
}
