//! A worker and its master in one program.

use std::future::poll_fn;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use jobyard_core::{
    AttemptId, ConnectError, Hello, Link, LinkError, LinkReceiver, MAX_INVENTORY, Refusal,
    RefusalReason, Session, SessionHandler, Transport, UploadAnswer, UploadFrame, Uploads,
    WorkerId, WorkerPeer,
};
use uuid::Uuid;

use crate::link::{BatchReceiver, BatchSender, Ending, Membership, Outgoing, Sessions, hand_over};

/// How a master in the same program sees the address of its worker.
const LOCAL: &str = "local";

/// The worker's side of a master in the same program: bounded channels, with the same semantics as over the wire.
///
/// Each session and each upload link runs its handler in a task of its own, so that a Tokio runtime has to be there
/// when one is opened. Clones share which session is the live one.
#[derive(Clone, Debug)]
pub struct InProcess {
    worker: WorkerId,
    handler: Arc<dyn SessionHandler>,
    sessions: Arc<Sessions>,
}

impl InProcess {
    /// The way of this worker to this master. That the worker is who it says is up to the host.
    pub fn new(worker: WorkerId, handler: Arc<dyn SessionHandler>) -> Self {
        Self {
            worker,
            handler,
            sessions: Arc::default(),
        }
    }

    fn membership(&self) -> Membership {
        Membership::new(Arc::clone(&self.handler), self.worker)
    }

    fn peer(&self) -> WorkerPeer {
        WorkerPeer::new(self.worker, LOCAL)
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn connect(&self, hello: Hello) -> Result<Session, ConnectError> {
        self.membership().check()?;
        if hello.inventory.len() > MAX_INVENTORY {
            let problem = format!("hello.inventory: more than {MAX_INVENTORY} attempts");
            return Err(Refusal::new(RefusalReason::Invalid, problem).into());
        }
        let id = Uuid::now_v7();
        let guard = self.sessions.open(self.worker, id);
        let ends = LinkEnds::new(guard.ending(), self.membership());
        let (handler, peer) = (Arc::clone(&self.handler), self.peer());
        let (ending, link) = (guard.ending().clone(), ends.master);
        let call = async move { handler.session(peer, hello, link).await };
        let outgoing = hand_over(ends.to_worker, ending, guard, call);
        Ok(Session {
            control: Link {
                sender: Box::new(ends.from_worker),
                receiver: Box::new(WorkerReceiver::new(outgoing)),
            },
            uploads: Arc::new(LocalUploads {
                transport: self.clone(),
                session: id,
            }),
        })
    }
}

#[derive(Debug)]
struct LocalUploads {
    transport: InProcess,
    session: Uuid,
}

#[async_trait]
impl Uploads for LocalUploads {
    async fn open(
        &self,
        attempt: AttemptId,
        offset: u64,
    ) -> Result<Link<UploadFrame, UploadAnswer>, LinkError> {
        let transport = &self.transport;
        transport.membership().check()?;
        let ending = transport.sessions.upload(transport.worker, self.session)?;
        let ends = LinkEnds::new(&ending, transport.membership());
        let (handler, peer) = (Arc::clone(&transport.handler), transport.peer());
        let link = ends.master;
        let call = async move { handler.upload(peer, attempt, offset, link).await };
        let outgoing = hand_over(ends.to_worker, ending, (), call);
        Ok(Link {
            sender: Box::new(ends.from_worker),
            receiver: Box::new(WorkerReceiver::new(outgoing)),
        })
    }
}

/// The four ends of a link's two channels: `W` is what the worker says, `M` what the master says.
struct LinkEnds<W, M> {
    from_worker: BatchSender<W>,
    master: Link<M, W>,
    to_worker: BatchReceiver<M>,
}

impl<W: Send + 'static, M: Send + 'static> LinkEnds<W, M> {
    fn new(ending: &Ending, membership: Membership) -> Self {
        let (from_worker, at_master) = BatchSender::channel(ending);
        let (from_master, to_worker) = BatchSender::channel(ending);
        let master = Link {
            sender: Box::new(from_master),
            receiver: Box::new(MasterReceiver {
                messages: at_master,
                ending: ending.clone(),
                membership,
            }),
        };
        Self {
            from_worker,
            master,
            to_worker,
        }
    }
}

/// What the master hears.
struct MasterReceiver<W> {
    messages: BatchReceiver<W>,
    ending: Ending,
    membership: Membership,
}

#[async_trait]
impl<W: Send + 'static> LinkReceiver<W> for MasterReceiver<W> {
    async fn receive(&mut self) -> Result<Vec<W>, LinkError> {
        let messages = &mut self.messages;
        let received = tokio::select! {
            biased;
            () = self.ending.ended() => return Err(self.ending.error()),
            received = poll_fn(|context| messages.poll_next(context)) => received,
        };
        let messages = received.ok_or(LinkError::Closed)?;
        if let Err(refusal) = self.membership.check() {
            self.ending.refuse(refusal.clone());
            return Err(refusal.into());
        }
        Ok(messages)
    }
}

/// What the worker hears.
struct WorkerReceiver<M> {
    messages: Outgoing<M>,
    refusal: Option<Refusal>,
}

impl<M> WorkerReceiver<M> {
    fn new(messages: Outgoing<M>) -> Self {
        Self {
            messages,
            refusal: None,
        }
    }
}

#[async_trait]
impl<M: Send + Unpin + 'static> LinkReceiver<M> for WorkerReceiver<M> {
    async fn receive(&mut self) -> Result<Vec<M>, LinkError> {
        match self.messages.next().await {
            Some(Ok(messages)) => Ok(messages),
            Some(Err(refusal)) => {
                self.refusal = Some(refusal.clone());
                Err(refusal.into())
            }
            None => Err(self
                .refusal
                .clone()
                .map_or(LinkError::Closed, LinkError::Refused)),
        }
    }
}
