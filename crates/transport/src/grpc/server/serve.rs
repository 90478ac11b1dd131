//! The server as its host sees it.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::StreamExt;
use jobyard_core::{Authenticator, Control, EnrolmentHandler, SessionHandler, mutated};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Server as Http;

use super::accept::Entrance;
use super::connection::Connection;
use super::door::{EnrolmentDoor, MainDoor};
use super::policy;
use super::tls::ServerTls;
use crate::limits::{
    CLIENT_KEEPALIVE_TIMEOUT, CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT,
    MAX_CONCURRENT_STREAMS, MAX_ENROLMENT_AGE, MAX_ENROLMENT_BYTES, MAX_ENROLMENT_STREAMS,
    MAX_HEADER_BYTES, MAX_HTTP_FRAME_BYTES, MAX_LOCAL_RESETS, MAX_PENDING_RESETS, OPEN_TIMEOUT,
    STREAM_WINDOW_BYTES,
};

/// What stands behind a server.
#[derive(Clone, Debug)]
pub struct Services {
    /// Serves workers, and knows which of them are members.
    pub sessions: Arc<dyn SessionHandler>,
    /// Admits machines that want to become workers.
    pub enrolment: Arc<dyn EnrolmentHandler>,
    /// Serves clients.
    pub control: Arc<dyn Control>,
    /// Says who a certificate is.
    pub authenticator: Arc<dyn Authenticator>,
}

/// The master's end of the wire: one port for workers, clients and machines that enrol.
///
/// * Make: [`new`](Self::new), which also checks that every method has a policy.
/// * Put clients elsewhere: [`with_clients_on`](Self::with_clients_on).
/// * Run: [`serve`](Self::serve).
pub struct Server {
    tls: ServerTls,
    authenticator: Arc<dyn Authenticator>,
    main: MainDoor,
    enrolment: EnrolmentDoor,
    clients: Option<Handle>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

/// How many connections wait between their handshake and their first request: they are taken at once.
const QUEUE: usize = 64;

impl Server {
    /// A server for these services.
    pub async fn new(services: Services, tls: ServerTls) -> Result<Self, ServeError> {
        policy::check_table()?;
        Ok(Self {
            tls,
            main: MainDoor::new(&services).await?,
            enrolment: EnrolmentDoor::new(&services),
            authenticator: services.authenticator,
            clients: None,
        })
    }

    /// Serves clients by the threads of this runtime, and workers by those of the one that [`serve`](Self::serve) runs
    /// on: a thousand who read output encrypt as much as there are processors for, and heartbeats and uploads would
    /// stand behind that. It needs timers, and has to live until `serve` has returned.
    #[must_use]
    pub fn with_clients_on(mut self, runtime: Handle) -> Self {
        self.clients = Some(runtime);
        self
    }

    /// Accepts connections and serves them until `shutdown` is cancelled; then accepts no more, and returns when the
    /// connections that are open have ended: sessions end when their handlers return, calls when they are answered.
    /// Dropping the future breaks all connections off at once; a host that has waited long enough does that.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let kill = CancellationToken::new();
        let _kill_when_dropped = kill.clone().drop_guard();
        let (to_workers, workers) = mpsc::channel(QUEUE);
        let (to_clients, clients) = mpsc::channel(QUEUE);
        let (to_enrolment, enrolment) = mpsc::channel(QUEUE);
        let entrance = Entrance::new(
            self.tls,
            self.authenticator,
            to_workers,
            to_clients,
            to_enrolment,
            kill,
        );
        let through_main = |connections, patience| {
            Box::pin(main_http(patience).serve_with_incoming_shutdown(
                self.main.clone(),
                incoming(connections),
                shutdown.clone().cancelled_owned(),
            ))
        };
        let workers = through_main(workers, KEEPALIVE_TIMEOUT);
        let clients = on(
            self.clients,
            through_main(clients, CLIENT_KEEPALIVE_TIMEOUT),
        );
        let enrolment = Box::pin(enrolment_http().serve_with_incoming_shutdown(
            self.enrolment,
            incoming(enrolment),
            shutdown.clone().cancelled_owned(),
        ));
        let entrance = entrance.run(listener, shutdown);
        let (workers, clients, enrolment, ()) = tokio::join!(workers, clients, enrolment, entrance);
        let served = workers.and(enrolment).map_err(|error| broke_off(&error));
        served.and(clients)
    }
}

/// Has this served by the threads of another runtime, if there is one. Dropping the future ends that.
async fn on<S>(runtime: Option<Handle>, serving: S) -> Result<(), ServeError>
where
    S: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
{
    let served = match runtime {
        None => serving.await,
        Some(runtime) => {
            let mut tasks = JoinSet::new();
            tasks.spawn_on(serving, &runtime);
            match tasks.join_next().await {
                Some(ended) => ended.map_err(|error| broke_off(&error))?,
                None => Ok(()),
            }
        }
    };
    served.map_err(|error| broke_off(&error))
}

fn broke_off(problem: &dyn fmt::Display) -> ServeError {
    ServeError::Transport {
        problem: problem.to_string(),
    }
}

type Accepted = Result<Connection, Infallible>;

fn incoming(connections: mpsc::Receiver<Connection>) -> impl Stream<Item = Accepted> {
    ReceiverStream::new(connections).map(Ok)
}

/// With so much patience for an answer to whether the other end is there.
fn main_http(patience: Duration) -> Http {
    let asks = !mutated("nobody is asked whether it is there");
    let misses = !mutated("a ping is not missed");
    Http::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_HTTP_FRAME_BYTES)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_LOCAL_RESETS))
        .http2_keepalive_interval((asks && misses).then_some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(patience))
}

/// Strangers get little room and little time.
fn enrolment_http() -> Http {
    let window = u32::try_from(MAX_ENROLMENT_BYTES).expect("a small constant");
    Http::builder()
        .initial_stream_window_size(window)
        .initial_connection_window_size(window)
        .max_concurrent_streams(MAX_ENROLMENT_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_LOCAL_RESETS))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_connection_age(MAX_ENROLMENT_AGE)
        .max_connection_age_grace(OPEN_TIMEOUT)
}

/// Why a server does not run. All but the last are faults of this program, not of its surroundings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A method has no declared policy, or a policy has no method.
    #[error("the table of who may call what does not fit the services: {method}")]
    Policy {
        /// Which one.
        method: String,
    },
    /// The built-in descriptors of the services cannot be read.
    #[error("the descriptors of the services cannot be read: {problem}")]
    Descriptors {
        /// What is wrong with them.
        problem: String,
    },
    /// The server broke off.
    #[error("the server broke off: {problem}")]
    Transport {
        /// What the system said.
        problem: String,
    },
}
