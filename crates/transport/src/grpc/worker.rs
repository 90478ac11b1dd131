//! A worker's way to its master over the wire.

use std::sync::Arc;

use async_trait::async_trait;
use jobyard_core::{
    AttemptId, ConnectError, Hello, Link, LinkError, Session, Transport, UploadAnswer, UploadFrame,
    Uploads,
};
use rustls::ClientConfig;
use tonic::transport::Channel;
use uuid::Uuid;

use super::dial::{ConnectOptions, Dialer, InvalidEndpoint};
use super::inbound::WorkerInbound;
use super::outbound::WorkerFrames;
use super::{ALPN_MAIN, channel, status};
use crate::generated::v1;
use crate::generated::v1::worker_session_client::WorkerSessionClient;
use crate::limits::MAX_MESSAGE_BYTES;
use crate::link::{BatchSender, Ending};
use crate::wire::{id_bytes, upload_frames, worker_frames};

/// The worker's side of gRPC over mutual TLS.
///
/// Each session has a connection of its own for control. A second one for output, to the same address, is made when
/// the first upload link is opened, and made again if it was lost while the session lives. One try of
/// [`connect`](Transport::connect) goes once through all addresses; waiting between tries is up to the caller, see
/// [`Backoff`](crate::Backoff).
#[derive(Clone, Debug)]
pub struct GrpcTransport {
    dialer: Dialer,
}

impl GrpcTransport {
    /// A way to the master at one of these addresses, each `HOST:PORT`. The configuration decides which master is
    /// trusted and carries the worker's certificate; the protocols that it names are replaced.
    pub fn new(
        endpoints: Vec<String>,
        tls: &Arc<ClientConfig>,
        options: ConnectOptions,
    ) -> Result<Self, InvalidEndpoint> {
        let dialer = Dialer::new(endpoints, tls, ALPN_MAIN, options)?;
        Ok(Self { dialer })
    }
}

#[async_trait]
impl Transport for GrpcTransport {
    async fn connect(&self, hello: Hello) -> Result<Session, ConnectError> {
        let (stream, address) = self.dialer.dial().await?;
        let link = Uuid::now_v7();
        let opening = v1::WorkerFrame {
            open: Some(v1::OpenSession {
                hello: Some(hello.into()),
                link: id_bytes(link),
            }),
            messages: Vec::new(),
        };
        let (sender, messages) = BatchSender::channel(&Ending::default());
        let frames = WorkerFrames::new(opening, messages, worker_frames);
        let mut client = client(channel::over(stream, self.dialer.options).await?);
        let answered = client.connect(frames).await;
        let frames = answered.map_err(|status| status::connect_error(&status))?;
        let output = channel::lazy(self.dialer.clone(), Some(address));
        Ok(Session {
            control: Link {
                sender: Box::new(sender),
                receiver: Box::new(WorkerInbound::new(frames.into_inner())),
            },
            uploads: Arc::new(GrpcUploads {
                client: self::client(output),
                link,
            }),
        })
    }
}

fn client(channel: Channel) -> WorkerSessionClient<Channel> {
    WorkerSessionClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

#[derive(Debug)]
struct GrpcUploads {
    client: WorkerSessionClient<Channel>,
    link: Uuid,
}

#[async_trait]
impl Uploads for GrpcUploads {
    async fn open(
        &self,
        attempt: AttemptId,
        offset: u64,
    ) -> Result<Link<UploadFrame, UploadAnswer>, LinkError> {
        let open = v1::OpenUpload {
            attempt: Some(attempt.into()),
            offset,
            link: id_bytes(self.link),
        };
        let opening = v1::UploadFrame {
            kind: Some(v1::upload_frame::Kind::Open(open)),
        };
        let (sender, frames) = BatchSender::channel(&Ending::default());
        let frames = WorkerFrames::new(opening, frames, upload_frames);
        let answered = self.client.clone().upload(frames).await;
        let answers = answered.map_err(|status| status::link_error(&status))?;
        Ok(Link {
            sender: Box::new(sender),
            receiver: Box::new(WorkerInbound::new(answers.into_inner())),
        })
    }
}
