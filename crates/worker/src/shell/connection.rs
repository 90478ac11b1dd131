//! The task of one session.

use std::sync::Arc;

use jobyard_core::{
    AttemptId, Hello, LinkError, LinkReceiver, LinkSender, MAX_FRAME_MESSAGES, MasterMessage,
    Transport, Uploads, WorkerMessage,
};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument;

use super::event::{Event, SessionEvent};
use crate::uploader::{Pacer, Upload};

/// How many messages wait for the network. A session that has fallen behind this far is given up: everything that
/// counts is in the next inventory.
const OUTBOX: usize = 16 * 1024;

/// A session, or the try to open one, with everything that ends when it ends. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Connection {
    number: u64,
    outbox: mpsc::Sender<WorkerMessage>,
    uploads: Option<Arc<dyn Uploads>>,
    /// Of all uploads together, over this way.
    pacer: Pacer,
    task: AbortHandle,
    uploading: JoinSet<()>,
}

impl Connection {
    /// Begins to connect. What happens comes as events with this number.
    pub(super) fn open(
        number: u64,
        transport: Arc<dyn Transport>,
        hello: Hello,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        let task = tokio::spawn(
            async move {
                let end = run(number, transport, hello, messages, &events).await;
                // The owner has gone; so has the worker.
                let _ = events.send(Event::Session(number, end)).await;
            }
            .in_current_span(),
        );
        Self {
            number,
            outbox,
            uploads: None,
            pacer: Pacer::new(),
            task: task.abort_handle(),
            uploading: JoinSet::new(),
        }
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn on_connected(&mut self, uploads: Arc<dyn Uploads>) {
        self.uploads = Some(uploads);
    }

    /// Queues a message. `false`: the session has fallen too far behind.
    pub(super) fn send(&self, message: WorkerMessage) -> bool {
        self.outbox.try_send(message).is_ok()
    }

    /// Lets the output of an attempt flow while the session lasts.
    pub(super) fn upload(
        &mut self,
        attempt: AttemptId,
        upload: impl FnOnce(Arc<dyn Uploads>, Pacer) -> Upload,
        events: mpsc::Sender<Event>,
    ) {
        // Those that are over are forgotten here, so that the set stays as small as what goes on.
        while self.uploading.try_join_next().is_some() {}
        let Some(uploads) = &self.uploads else { return };
        let upload = upload(Arc::clone(uploads), self.pacer.clone());
        let number = self.number;
        let task = async move {
            let end = upload.run().await;
            let _ = events.send(Event::Uploaded(number, attempt, end)).await;
        };
        self.uploading.spawn(task.in_current_span());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The whole life of a session; returns how it ended.
async fn run(
    number: u64,
    transport: Arc<dyn Transport>,
    hello: Hello,
    messages: mpsc::Receiver<WorkerMessage>,
    events: &mpsc::Sender<Event>,
) -> SessionEvent {
    let session = match transport.connect(hello).await {
        Ok(session) => session,
        Err(error) => return SessionEvent::Failed(error),
    };
    let connected = SessionEvent::Connected(session.uploads);
    if events
        .send(Event::Session(number, connected))
        .await
        .is_err()
    {
        return SessionEvent::Lost(LinkError::Closed);
    }
    let mut control = session.control;
    let error = tokio::select! {
        error = receive(number, &mut *control.receiver, events) => error,
        error = send(&mut *control.sender, messages) => error,
    };
    SessionEvent::Lost(error)
}

async fn receive(
    number: u64,
    receiver: &mut dyn LinkReceiver<MasterMessage>,
    events: &mpsc::Sender<Event>,
) -> LinkError {
    loop {
        let messages = match receiver.receive().await {
            Ok(messages) => messages,
            Err(error) => return error,
        };
        let event = Event::Session(number, SessionEvent::Received(messages));
        if events.send(event).await.is_err() {
            return LinkError::Closed;
        }
    }
}

/// Sends what waits, together as far as it goes into one frame.
async fn send(
    sender: &mut dyn LinkSender<WorkerMessage>,
    mut messages: mpsc::Receiver<WorkerMessage>,
) -> LinkError {
    loop {
        let mut batch = Vec::new();
        if messages.recv_many(&mut batch, MAX_FRAME_MESSAGES).await == 0 {
            return LinkError::Closed;
        }
        if let Err(error) = sender.send(batch).await {
            return error;
        }
    }
}
