//! From a socket to a connection whose other end is known.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use jobyard_core::{Authenticator, PeerIdentity};
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::connection::{Connection, Peer};
use super::tls::{DoorKind, ServerTls};
use crate::limits::{
    ACCEPT_PAUSE, HANDSHAKE_TIMEOUT, MAX_CONNECTIONS, MAX_ENROLMENT_CONNECTIONS, MAX_HANDSHAKES,
};

/// Accepts, shakes hands and sorts.
pub(super) struct Entrance {
    pub(super) tls: ServerTls,
    pub(super) authenticator: Arc<dyn Authenticator>,
    /// Where connections of workers go.
    pub(super) workers: mpsc::Sender<Connection>,
    /// Where all others go that showed a certificate.
    pub(super) clients: mpsc::Sender<Connection>,
    /// Where connections go that want one.
    pub(super) enrolment: mpsc::Sender<Connection>,
    /// Ends all connections.
    pub(super) kill: CancellationToken,
    places: Arc<Semaphore>,
    enrolment_places: Arc<Semaphore>,
}

impl Entrance {
    pub(super) fn new(
        tls: ServerTls,
        authenticator: Arc<dyn Authenticator>,
        workers: mpsc::Sender<Connection>,
        clients: mpsc::Sender<Connection>,
        enrolment: mpsc::Sender<Connection>,
        kill: CancellationToken,
    ) -> Self {
        Self {
            tls,
            authenticator,
            workers,
            clients,
            enrolment,
            kill,
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            enrolment_places: Arc::new(Semaphore::new(MAX_ENROLMENT_CONNECTIONS)),
        }
    }

    /// Runs until it is told to stop. Handshakes that are under way then are given up.
    pub(super) async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let this = Arc::new(self);
        let mut handshakes = Handshakes::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    // At the limit the newcomer is closed at once, and may come again.
                    if let Ok(place) = Arc::clone(&this.places).try_acquire_owned() {
                        handshakes.start(Arc::clone(&this).admit(stream, address, place));
                    }
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    // Not a poll: without it the loop would spin until a descriptor is free.
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn admit(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        place: OwnedSemaphorePermit,
    ) {
        match timeout(HANDSHAKE_TIMEOUT, self.shake_hands(stream, address, place)).await {
            Ok(Ok((door, connection))) => {
                let queue = match door {
                    DoorKind::Main if connection.is_of_a_worker() => &self.workers,
                    DoorKind::Main => &self.clients,
                    DoorKind::Enrolment => &self.enrolment,
                };
                // Closed only when the master ends.
                let _ = queue.send(connection).await;
            }
            Ok(Err(error)) => debug!(%address, %error, "a handshake failed"),
            Err(_) => debug!(%address, "a handshake took too long"),
        }
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> Result<(DoorKind, Connection), io::Error> {
        stream.set_nodelay(true)?;
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let refuse = |problem| Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        let Some(door) = DoorKind::of(&start.client_hello()) else {
            return refuse("the peer offers no protocol of ours");
        };
        let mut permits = vec![place];
        if door == DoorKind::Enrolment {
            match Arc::clone(&self.enrolment_places).try_acquire_owned() {
                Ok(place) => permits.push(place),
                Err(_) => return refuse("too many machines enrol at once"),
            }
        }
        let stream = start.into_stream(self.tls.config(door)).await?;
        let session = stream.get_ref().1;
        if session.alpn_protocol() != Some(door.protocol()) {
            return refuse("the configuration does not name its protocol");
        }
        let chain: Vec<Bytes> = session
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|certificate| Bytes::copy_from_slice(certificate))
            .collect();
        let identity = self.authenticator.identify(&chain);
        if door == DoorKind::Main && chain.is_empty() {
            return refuse("the configuration does not demand a certificate");
        }
        log_stranger(door, address, identity.as_ref().err());
        let peer = Peer { identity, address };
        Ok((door, Connection::new(stream, peer, &self.kill, permits)))
    }
}

/// A certificate that TLS takes and the cluster's own rules do not is worth a line.
fn log_stranger(door: DoorKind, address: SocketAddr, error: Option<&jobyard_core::IdentityError>) {
    if let (DoorKind::Main, Some(error)) = (door, error) {
        warn!(%address, %error, "a peer with a strange certificate came");
    }
}

/// Errors of `accept` that concern one connection alone.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Handshakes under way, at most [`MAX_HANDSHAKES`].
#[derive(Default)]
struct Handshakes {
    tasks: JoinSet<()>,
    /// Oldest first; some of them are over.
    order: VecDeque<AbortHandle>,
}

impl Handshakes {
    fn start(&mut self, handshake: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        while self.order.front().is_some_and(AbortHandle::is_finished) {
            self.order.pop_front();
        }
        if self.order.len() >= MAX_HANDSHAKES {
            self.order.retain(|handle| !handle.is_finished());
        }
        if self.order.len() >= MAX_HANDSHAKES
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
        self.order.push_back(self.tasks.spawn(handshake));
    }
}

/// What the identity is called in logs and errors.
pub(super) fn name_of(identity: &PeerIdentity) -> String {
    match identity {
        PeerIdentity::Worker { id, .. } => format!("worker {id}"),
        PeerIdentity::Client { name, .. } => format!("client {name}"),
        PeerIdentity::Master { cluster } => format!("the master of cluster {cluster}"),
        _ => "a peer of an unknown kind".to_owned(),
    }
}
