//! The bare worker.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use hyper_util::rt::TokioIo;
use jobyard_transport::limits::{
    CONNECTION_WINDOW_BYTES, MAX_HTTP_FRAME_BYTES, STREAM_WINDOW_BYTES,
};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::certificates::{self, MASTER_NAME};
use super::message::{Exit, Run, method};
use crate::program::run_with_pipes;

/// How many exits wait for the connection at most: above every window that is measured, so that nobody waits.
const QUEUE: usize = 4096;

/// Runs what the master at this port says, with the certificates in `dir`, until the master goes away.
pub async fn work(dir: &Path, port: u16) -> Result<()> {
    let mut grpc = Grpc::new(connect(dir, port).await?);
    grpc.ready().await?;
    let (exits, stream) = mpsc::channel(QUEUE);
    let request = Request::new(ReceiverStream::new(stream));
    let codec = ProstCodec::<Exit, Run>::default();
    let answered = grpc.streaming(request, method(), codec).await?;
    let mut runs = answered.into_inner();
    // The master's end breaks the stream off, which is no failure of ours.
    while let Ok(Some(run)) = runs.message().await {
        let exits = exits.clone();
        spawn_blocking(move || {
            let code = run_with_pipes().unwrap_or(-1);
            // Nobody listens any more once the master has ended.
            let _ = exits.blocking_send(Exit { job: run.job, code });
        });
    }
    Ok(())
}

/// A connection to the master at this port. Windows are as large as the real ones, which only matters to who uploads.
pub(super) async fn connect(dir: &Path, port: u16) -> Result<Channel> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(certificates::client(dir)?);
    let stream = connector
        .connect(ServerName::try_from(MASTER_NAME)?, stream)
        .await?;
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = service_fn(move |_: Uri| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            stream
                .map(TokioIo::new)
                .ok_or_else(|| std::io::Error::other("the connection was lost"))
        }
    });
    Ok(Endpoint::from_static("http://bare")
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_HTTP_FRAME_BYTES)
        .connect_with_connector(connector)
        .await?)
}
