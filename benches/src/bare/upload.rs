//! The yardstick of output: bytes over one stream with mutual TLS, to memory and nowhere else.

use std::convert::Infallible;
use std::env;
use std::io::{BufRead, BufReader, Lines};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::stream;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use jobyard_core::MAX_CHUNK_BYTES;
use jobyard_transport::limits::{
    CONNECTION_WINDOW_BYTES, MAX_HTTP_FRAME_BYTES, STREAM_WINDOW_BYTES,
};
use tokio::io::{AsyncReadExt, stdin};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::client::Grpc as Caller;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{Body as HttpBody, BoxFuture, Context, Poll, Service, StdError, http};
use tonic::server::{ClientStreamingService, Grpc};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{certificates, worker};
use crate::consumption::whole_processor_time;

/// The first argument with which a benchmark's program has to call [`serve_upload`]; the second is the directory.
pub const UPLOAD_MASTER: &str = "bare-upload-master";

/// The first argument with which a benchmark's program has to call [`upload`]; then come the directory, the port and
/// how many bytes. It ends with its standard input.
pub const UPLOAD_WORKER: &str = "bare-upload-worker";

/// One piece of output.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Piece {
    #[prost(uint64, tag = "1")]
    offset: u64,
    #[prost(bytes = "bytes", tag = "2")]
    bytes: Bytes,
}

/// How many bytes came.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Count {
    #[prost(uint64, tag = "1")]
    bytes: u64,
}

/// What an upload came to.
#[derive(Clone, Copy, Debug)]
pub struct RawUpload {
    /// From the first byte to the answer that all have come.
    pub took: Duration,
    /// Of both processes together, their start included.
    pub processor: Duration,
}

/// Sends this many bytes from one process to another, in messages of one full chunk, with the windows and frames of the
/// real transport. Blocks.
pub fn raw_upload(bytes: u64) -> Result<RawUpload> {
    let program = env::current_exe()?;
    let dir = tempfile::tempdir()?;
    certificates::make(dir.path())?;
    let (master, mut said) = start(
        Command::new(&program)
            .arg(UPLOAD_MASTER)
            .arg(dir.path())
            .stdin(Stdio::null()),
    )?;
    let port = line(&mut said)?;
    let mut command = Command::new(&program);
    command.arg(UPLOAD_WORKER).arg(dir.path()).arg(port);
    let (mut worker, mut said) = start(command.arg(bytes.to_string()).stdin(Stdio::piped()))?;
    let nanos = line(&mut said)?.parse()?;
    let processor = whole_processor_time(master.0.id())? + whole_processor_time(worker.0.id())?;
    // It waits for this so that it could be asked.
    drop(worker.0.stdin.take());
    Ok(RawUpload {
        took: Duration::from_nanos(nanos),
        processor,
    })
}

/// Dropping it ends the process.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Said = Lines<BufReader<ChildStdout>>;

fn start(command: &mut Command) -> Result<(Ended, Said)> {
    let mut child = Ended(command.stdout(Stdio::piped()).spawn()?);
    let said = child.0.stdout.take().context("the pipe was asked for")?;
    Ok((child, BufReader::new(said).lines()))
}

fn line(said: &mut Said) -> Result<String> {
    Ok(said.next().context("the bare pair has ended")??)
}

/// Takes the uploads of one connection with the certificates in `dir`, and says on standard output where it listens.
pub async fn serve_upload(dir: &Path) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let acceptor = TlsAcceptor::from(certificates::server(dir)?);
    let stream = acceptor.accept(stream).await?;
    let mut http = auto::Builder::new(TokioExecutor::new()).http2_only();
    http.http2()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_HTTP_FRAME_BYTES);
    let served = http
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(Door))
        .await;
    served.map_err(|error| anyhow::anyhow!("{error}"))
}

/// Sends this many bytes to the port, with the certificates in `dir`, and says on standard output how many nanoseconds
/// that took.
pub async fn upload(dir: &Path, port: u16, bytes: u64) -> Result<()> {
    let mut grpc = Caller::new(worker::connect(dir, port).await?);
    grpc.ready().await?;
    let chunk = Bytes::from(vec![b'x'; MAX_CHUNK_BYTES]);
    let size = chunk.len() as u64;
    let pieces = (0..bytes.div_ceil(size)).map(move |number| Piece {
        offset: number * size,
        bytes: chunk.clone(),
    });
    let begun = Instant::now();
    let codec = ProstCodec::<Piece, Count>::default();
    let request = Request::new(stream::iter(pieces));
    let path = PathAndQuery::from_static("/bare.Upload/Send");
    let counted = grpc.client_streaming(request, path, codec).await?;
    let took = begun.elapsed();
    anyhow::ensure!(counted.into_inner().bytes >= bytes, "bytes were lost");
    println!("{}", took.as_nanos());
    stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// The service with the one method, whatever path is asked for.
#[derive(Clone, Copy)]
struct Door;

impl<B> Service<http::Request<B>> for Door
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Count, Piece>::default());
            Ok(grpc.client_streaming(Door, request).await)
        })
    }
}

impl ClientStreamingService<Piece> for Door {
    type Response = Count;
    type Future = BoxFuture<Response<Count>, Status>;

    fn call(&mut self, request: Request<Streaming<Piece>>) -> Self::Future {
        Box::pin(async move {
            let mut pieces = request.into_inner();
            let mut bytes = 0;
            while let Some(piece) = pieces.message().await? {
                bytes += piece.bytes.len() as u64;
            }
            Ok(Response::new(Count { bytes }))
        })
    }
}
