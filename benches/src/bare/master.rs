//! The bare master.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::{Body as HttpBody, BoxFuture, Context, Poll, Service, StdError, http};
use tonic::server::{Grpc, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::certificates;
use super::message::{Exit, Run};
use super::order::Order;

/// How many messages wait for the connection at most: above every window that is measured, so that nobody waits.
const QUEUE: usize = 4096;

/// Serves one worker with the certificates in `dir`, and the orders on standard input until that ends. Says on standard
/// output where it listens, and what each order came to.
pub async fn serve(dir: &Path) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let acceptor = TlsAcceptor::from(certificates::server(dir)?);
    let stream = acceptor.accept(stream).await?;
    let (opened, mut sessions) = mpsc::channel(1);
    tokio::spawn(async move {
        let door = TowerToHyperService::new(Door { opened });
        let http = auto::Builder::new(TokioExecutor::new()).http2_only();
        http.serve_connection(TokioIo::new(stream), door).await
    });
    let mut session = sessions.recv().await.context("the worker went away")?;
    let mut orders = BufReader::new(stdin()).lines();
    while let Some(order) = orders.next_line().await? {
        match order.parse()? {
            Order::Many { jobs, window } => {
                println!("{}", session.run_many(jobs, window).await?.as_nanos());
            }
            Order::OneByOne { jobs } => {
                for _ in 0..jobs {
                    println!("{}", session.run_many(1, 1).await?.as_nanos());
                }
            }
        }
    }
    Ok(())
}

/// The connected worker.
struct Session {
    runs: mpsc::Sender<Result<Run, Status>>,
    exits: Streaming<Exit>,
}

impl Session {
    /// Keeps `window` jobs in flight until this many have succeeded.
    async fn run_many(&mut self, jobs: u64, window: u64) -> Result<Duration> {
        let begun = Instant::now();
        let mut sent = 0;
        let mut ended = 0;
        while ended < jobs {
            while sent < jobs && sent - ended < window {
                self.runs.send(Ok(Run { job: sent })).await?;
                sent += 1;
            }
            let Some(exit) = self.exits.message().await? else {
                bail!("the worker went away");
            };
            ensure!(exit.code == 0, "job {} ended with {}", exit.job, exit.code);
            ended += 1;
        }
        Ok(begun.elapsed())
    }
}

/// The service with the one method, whatever path is asked for.
#[derive(Clone)]
struct Door {
    opened: mpsc::Sender<Session>,
}

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
        let door = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Run, Exit>::default());
            Ok(grpc.streaming(door, request).await)
        })
    }
}

impl StreamingService<Exit> for Door {
    type Response = Run;
    type ResponseStream = ReceiverStream<Result<Run, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Exit>>) -> Self::Future {
        let opened = self.opened.clone();
        Box::pin(async move {
            let (runs, stream) = mpsc::channel(QUEUE);
            let exits = request.into_inner();
            opened
                .send(Session { runs, exits })
                .await
                .map_err(|_| Status::unavailable("the master has ended"))?;
            Ok(Response::new(ReceiverStream::new(stream)))
        })
    }
}
