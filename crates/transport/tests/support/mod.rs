//! A master for tests: real sockets, real mutual TLS, an authority of its own.

pub mod authority;
pub mod control;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jobyard_core::{
    AttemptId, EnrolRequest, Enrolled, EnrolmentHandler, Hello, Link, MasterMessage, Refusal,
    RefusalReason, SessionHandler, UploadAnswer, UploadFrame, WorkerId, WorkerMessage, WorkerPeer,
};
use jobyard_transport::{Server, ServerTls, Services};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use authority::Authority;
use control::FakeControl;

/// A generous guard around what should take milliseconds.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future)
        .await
        .expect("it happens within a minute")
}

/// A running master.
pub struct Master {
    pub address: SocketAddr,
    pub authority: Arc<Authority>,
    pub control: Arc<FakeControl>,
    pub server: JoinHandle<()>,
    pub stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl Master {
    pub async fn start(authority: Arc<Authority>, sessions: Arc<dyn SessionHandler>) -> Self {
        Self::start_with(authority, sessions, |server| server).await
    }

    /// A master whose server is changed before it serves.
    pub async fn start_with(
        authority: Arc<Authority>,
        sessions: Arc<dyn SessionHandler>,
        change: impl FnOnce(Server) -> Server,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let control = Arc::new(FakeControl::default());
        let services = Services {
            sessions,
            enrolment: Arc::new(FakeEnrolment),
            control: Arc::<FakeControl>::clone(&control),
            authenticator: Arc::<Authority>::clone(&authority),
        };
        let tls = ServerTls::fixed(authority.main_server(), authority.enrolment_server());
        let server = change(Server::new(services, tls).await.unwrap());
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        let server = tokio::spawn(async move { server.serve(listener, shutdown).await.unwrap() });
        Self {
            address,
            authority,
            control,
            server,
            stop: stop.clone(),
            _stop_when_dropped: stop.drop_guard(),
        }
    }

    /// A master whose workers say nothing.
    pub async fn quiet() -> Self {
        Self::start(Arc::new(Authority::new()), Arc::new(QuietSessions)).await
    }

    pub fn endpoints(&self) -> Vec<String> {
        vec![self.address.to_string()]
    }
}

/// Welcomes nobody, and listens until the worker goes.
#[derive(Debug)]
pub struct QuietSessions;

#[async_trait]
impl SessionHandler for QuietSessions {
    async fn session(
        &self,
        _: WorkerPeer,
        _: Hello,
        mut link: Link<MasterMessage, WorkerMessage>,
    ) -> Result<(), Refusal> {
        while link.receiver.receive().await.is_ok() {}
        Ok(())
    }

    async fn upload(
        &self,
        _: WorkerPeer,
        _: AttemptId,
        _: u64,
        mut link: Link<UploadAnswer, UploadFrame>,
    ) -> Result<(), Refusal> {
        while link.receiver.receive().await.is_ok() {}
        Ok(())
    }

    fn is_member(&self, worker: WorkerId) -> bool {
        worker == worker_id()
    }
}

pub fn worker_id() -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(0xaa))
}

/// Takes one token.
#[derive(Debug)]
pub struct FakeEnrolment;

pub const GOOD_TOKEN: &str = "good";

#[async_trait]
impl EnrolmentHandler for FakeEnrolment {
    async fn enrol(&self, address: &str, request: EnrolRequest) -> Result<Enrolled, Refusal> {
        if request.token.expose() != GOOD_TOKEN {
            return Err(Refusal::new(
                RefusalReason::Unauthenticated,
                "the token is not valid",
            ));
        }
        Ok(Enrolled::new(
            worker_id(),
            format!("{} from {address}", request.name),
            vec![request.certificate_request.into()],
            vec![bytes::Bytes::from_static(b"root")],
        ))
    }
}
