//! Live sessions: carries what the engine says to each worker, and what the worker says to the engine.

use std::sync::Arc;

use async_trait::async_trait;
use jobyard_core::{
    AttemptId, Hello, Link, LinkReceiver, LinkSender, MAX_FRAME_MESSAGES, MasterMessage, Refusal,
    RefusalReason, SessionHandler, SessionId, UploadAnswer, UploadFrame, WorkerId, WorkerMessage,
    WorkerPeer,
};
use tokio::sync::mpsc;
use tracing::{Instrument, debug, info, info_span};
use uuid::Uuid;

use super::master::Master;
use super::ports::Order;
use super::shared::Shared;
use crate::engine::Input;

#[async_trait]
impl SessionHandler for Master {
    async fn session(
        &self,
        peer: WorkerPeer,
        hello: Hello,
        link: Link<MasterMessage, WorkerMessage>,
    ) -> Result<(), Refusal> {
        let _present = self.shared.tasks.subscribe();
        let session = SessionId::from_uuid(Uuid::now_v7());
        let span = info_span!("session", worker = %peer.id, %session);
        serve(&self.shared, session, peer, hello, link)
            .instrument(span)
            .await
    }

    async fn upload(
        &self,
        peer: WorkerPeer,
        attempt: AttemptId,
        _offset: u64,
        link: Link<UploadAnswer, UploadFrame>,
    ) -> Result<(), Refusal> {
        let span =
            info_span!("upload", worker = %peer.id, job = %attempt.job, attempt = %attempt.number);
        let _present = self.shared.tasks.subscribe();
        let upload = super::uploads::serve(&self.shared, peer.id, attempt, link);
        tokio::select! {
            result = upload.instrument(span) => result,
            // The worker goes on with the next master where this one has stopped.
            () = self.shared.stopped.cancelled() => Ok(()),
        }
    }

    fn is_member(&self, worker: WorkerId) -> bool {
        self.shared.gate.is_member(worker)
    }
}

async fn serve(
    shared: &Arc<Shared>,
    session: SessionId,
    peer: WorkerPeer,
    hello: Hello,
    link: Link<MasterMessage, WorkerMessage>,
) -> Result<(), Refusal> {
    let orders = shared.ports.open(session);
    let _guard = Guard {
        shared: Arc::clone(shared),
        session,
    };
    info!(address = %peer.address, held = hello.inventory.len(), "worker connected");
    let opened = Input::SessionOpened {
        worker: peer.id,
        session,
        address: peer.address,
        hello: Box::new(hello),
    };
    let unavailable =
        |problem: &dyn ToString| Refusal::new(RefusalReason::Unavailable, problem.to_string());
    shared
        .inbox
        .tell(opened)
        .await
        .map_err(|problem| unavailable(&problem))?;
    let Link { sender, receiver } = link;
    tokio::select! {
        result = speak(orders, sender) => result,
        () = listen(shared, session, receiver) => Ok(()),
    }
}

/// Tells the engine that a session is over, however its task ended.
struct Guard {
    shared: Arc<Shared>,
    session: SessionId,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.ports.forget(self.session);
        info!(session = %self.session, "session over");
        // Should the inbox be full, the lease notices instead.
        self.shared.inbox.try_tell(Input::SessionEnded {
            session: self.session,
        });
    }
}

/// Sends what the engine says, as much together as there is.
async fn speak(
    mut orders: mpsc::Receiver<Order>,
    mut sender: Box<dyn LinkSender<MasterMessage>>,
) -> Result<(), Refusal> {
    let mut batch = Vec::new();
    while orders.recv_many(&mut batch, MAX_FRAME_MESSAGES - 1).await > 0 {
        let mut messages = Vec::with_capacity(batch.len());
        let mut end = None;
        for order in batch.drain(..) {
            match order {
                Order::Say(message) => messages.push(message),
                Order::Close(reason) => {
                    messages.extend(reason.map(MasterMessage::Closing));
                    end = Some(Ok(()));
                }
                Order::Refuse(refusal) => end = Some(Err(refusal)),
            }
            if end.is_some() {
                break;
            }
        }
        let sent = sender.send(messages).await;
        if let Some(end) = end {
            return end;
        }
        if let Err(problem) = sent {
            debug!(%problem, "the worker does not hear us any more");
            return Ok(());
        }
    }
    Ok(())
}

/// Hands what the worker says to the engine.
async fn listen(
    shared: &Shared,
    session: SessionId,
    mut receiver: Box<dyn LinkReceiver<WorkerMessage>>,
) {
    loop {
        match receiver.receive().await {
            Ok(messages) => {
                if shared
                    .inbox
                    .tell(Input::Said { session, messages })
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Err(problem) => {
                debug!(%problem, "the link is over");
                return;
            }
        }
    }
}
