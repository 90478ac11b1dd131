//! The master's side of the cases.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join;
use jobyard_core::{
    AttemptId, AttemptNumber, BootId, Epoch, Hello, JobId, Link, MasterMessage, Refusal, Session,
    SessionHandler, SessionId, TagSet, Transport, UploadAnswer, UploadFrame, Welcome, WorkerFacts,
    WorkerId, WorkerMessage, WorkerPeer,
};
use uuid::Uuid;

use super::TransportFactory;

/// A handler that hands everything over to the case.
#[derive(Debug)]
pub(super) struct Desk {
    sessions: Mailbox<SessionEnd>,
    uploads: Mailbox<UploadEnd>,
    member: AtomicBool,
}

impl Desk {
    pub(super) fn set_member(&self, member: bool) {
        self.member.store(member, Ordering::SeqCst);
    }

    /// The next session that comes.
    pub(super) async fn session(&self) -> SessionEnd {
        self.sessions.take().await
    }

    /// The next upload that comes.
    pub(super) async fn upload(&self) -> UploadEnd {
        self.uploads.take().await
    }
}

#[async_trait]
impl SessionHandler for Desk {
    async fn session(
        &self,
        peer: WorkerPeer,
        hello: Hello,
        link: Link<MasterMessage, WorkerMessage>,
    ) -> Result<(), Refusal> {
        let result = Mailbox::default();
        self.sessions.put(SessionEnd {
            peer,
            hello,
            link,
            done: Done(result.clone()),
        });
        result.take().await
    }

    async fn upload(
        &self,
        peer: WorkerPeer,
        attempt: AttemptId,
        offset: u64,
        link: Link<UploadAnswer, UploadFrame>,
    ) -> Result<(), Refusal> {
        let result = Mailbox::default();
        self.uploads.put(UploadEnd {
            peer,
            attempt,
            offset,
            link,
            done: Done(result.clone()),
        });
        result.take().await
    }

    fn is_member(&self, _: WorkerId) -> bool {
        self.member.load(Ordering::SeqCst)
    }
}

/// The master's end of a session. The handler's call returns when it is dropped.
#[derive(Debug)]
pub(super) struct SessionEnd {
    pub(super) peer: WorkerPeer,
    pub(super) hello: Hello,
    pub(super) link: Link<MasterMessage, WorkerMessage>,
    done: Done,
}

impl SessionEnd {
    pub(super) fn refuse(self, refusal: Refusal) {
        drop(self.link);
        self.done.0.put(Err(refusal));
    }
}

/// The master's end of an upload. The handler's call returns when it is dropped.
#[derive(Debug)]
pub(super) struct UploadEnd {
    pub(super) peer: WorkerPeer,
    pub(super) attempt: AttemptId,
    pub(super) offset: u64,
    pub(super) link: Link<UploadAnswer, UploadFrame>,
    done: Done,
}

impl UploadEnd {
    pub(super) fn refuse(self, refusal: Refusal) {
        drop(self.link);
        self.done.0.put(Err(refusal));
    }
}

/// What the handler's call returns; success if nobody says anything else.
#[derive(Debug)]
struct Done(Mailbox<Result<(), Refusal>>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.put(Ok(()));
    }
}

/// A queue between the tasks of the transport and the case.
#[derive(Debug)]
struct Mailbox<T>(Arc<Mutex<Letters<T>>>);

#[derive(Debug)]
struct Letters<T> {
    letters: VecDeque<T>,
    waiting: Option<Waker>,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Letters {
            letters: VecDeque::new(),
            waiting: None,
        })))
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Mailbox<T> {
    fn put(&self, letter: T) {
        let mut inner = self.0.lock().expect("no case panics with the lock");
        inner.letters.push_back(letter);
        if let Some(waker) = inner.waiting.take() {
            waker.wake();
        }
    }

    async fn take(&self) -> T {
        poll_fn(|context| {
            let mut inner = self.0.lock().expect("no case panics with the lock");
            if let Some(letter) = inner.letters.pop_front() {
                return Poll::Ready(letter);
            }
            inner.waiting = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// The worker of the cases.
pub(super) fn worker() -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(0xaa))
}

pub(super) fn attempt(job: u128) -> AttemptId {
    AttemptId::new(JobId::from_uuid(Uuid::from_u128(job)), AttemptNumber::FIRST)
}

/// A worker that holds nothing.
pub(super) fn hello() -> Hello {
    let boot = |number| BootId::from_uuid(Uuid::from_u128(number));
    Hello::new(boot(1), boot(2), WorkerFacts::default(), TagSet::new(), 4)
}

/// A welcome for it.
pub(super) fn welcome() -> Welcome {
    Welcome::new(
        SessionId::from_uuid(Uuid::from_u128(3)),
        Epoch(7),
        worker(),
        "builder-1".to_owned(),
        Duration::from_secs(5),
        Duration::from_secs(15),
    )
}

/// A fresh master and a way to it.
pub(super) async fn cluster(factory: &dyn TransportFactory) -> (Arc<Desk>, Arc<dyn Transport>) {
    let desk = Arc::new(Desk {
        sessions: Mailbox::default(),
        uploads: Mailbox::default(),
        member: AtomicBool::new(true),
    });
    let handler: Arc<dyn SessionHandler> = Arc::<Desk>::clone(&desk);
    let transport = factory.transport(worker(), handler).await;
    (desk, transport)
}

/// Opens a session: the worker's side and the master's.
pub(super) async fn session(desk: &Desk, transport: &dyn Transport) -> (Session, SessionEnd) {
    let (session, end) = join(transport.connect(hello()), desk.session()).await;
    (session.expect("the master takes the session"), end)
}
