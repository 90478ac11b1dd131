//! A worker that consists of what it says: the test speaks for it, over real TLS.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jobyard_clock::SystemClock;
use jobyard_core::{
    Assignment, AttemptId, BootId, Clock, Held, Hello, Link, LinkError, LogChunk, LogEnd,
    MasterMessage, OutputStream, TagSet, Timestamp, Transport, UploadAnswer, UploadFrame, Uploads,
    Welcome, WorkerFacts, WorkerMessage,
};
use jobyard_pki::JoinToken;
use jobyard_worker::{Identity, Join};
use tokio::time::timeout;
use uuid::Uuid;

use crate::cluster::Token;
use crate::program::GUARD;

/// Its identity, and one life of its machine and program.
#[derive(Debug)]
pub struct WireWorker {
    transport: Arc<dyn Transport>,
    hello: Hello,
}

/// One session of it.
#[derive(Debug)]
pub struct WireSession {
    /// What the master said first.
    pub welcome: Welcome,
    link: Link<WorkerMessage, MasterMessage>,
    /// What has come and was not asked for yet, the next one last.
    heard: Vec<MasterMessage>,
    uploads: Arc<dyn Uploads>,
}

impl WireWorker {
    /// Joins the cluster of this master.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn join(master: &str, token: &Token, name: &str, dir: &Path) -> Self {
        let word = std::fs::read_to_string(&token.file).expect("a token file");
        let join = Join {
            token: JoinToken::parse(word.trim()).expect("a token"),
            masters: vec![master.to_owned()],
            name: name.to_owned(),
            facts: WorkerFacts::default(),
        };
        let identity: Identity = join
            .run(&dir.join(name), &SystemClock::new())
            .await
            .unwrap_or_else(|error| panic!("{name} cannot join: {error}"));
        let transport = identity.transport(vec![master.to_owned()]);
        let mut tags = TagSet::new();
        for tag in ["executor=process", &format!("name={name}")] {
            let tag = tag.parse().expect("a tag");
            tags.insert(tag).expect("there is room");
        }
        Self {
            transport: transport.expect("a way to the master"),
            hello: Hello::new(
                BootId::from_uuid(Uuid::now_v7()),
                BootId::from_uuid(Uuid::now_v7()),
                WorkerFacts::default(),
                tags,
                1,
            ),
        }
    }

    /// What it says first; may be changed.
    pub fn hello(&mut self) -> &mut Hello {
        &mut self.hello
    }

    /// Opens a session with this inventory.
    ///
    /// # Panics
    ///
    /// When the master does not welcome it, even if it is asked again until the guard runs out.
    pub async fn connect(&self, inventory: Vec<Held>) -> WireSession {
        let opened = timeout(GUARD, async {
            loop {
                if let Ok(session) = self.try_connect(inventory.clone()).await {
                    return session;
                }
                tokio::task::yield_now().await;
            }
        });
        opened.await.expect("the master welcomes its worker")
    }

    async fn try_connect(&self, inventory: Vec<Held>) -> Result<WireSession, String> {
        let mut hello = self.hello.clone();
        hello.inventory = inventory;
        let session = self.transport.connect(hello).await;
        let session = session.map_err(|error| error.to_string())?;
        let mut link = session.control;
        let mut heard = link.receiver.receive().await.map_err(|e| e.to_string())?;
        heard.reverse();
        let Some(MasterMessage::Welcome(welcome)) = heard.pop() else {
            return Err("no welcome".to_owned());
        };
        let mut session = WireSession {
            welcome,
            link,
            heard,
            uploads: session.uploads,
        };
        session.say(vec![WorkerMessage::Heartbeat]).await;
        Ok(session)
    }
}

impl WireSession {
    /// Says this. To a session that is over, without effect.
    pub async fn say(&mut self, messages: Vec<WorkerMessage>) {
        // A message into a broken connection is a lost message.
        let _ = self.link.sender.send(messages).await;
    }

    /// The next thing that the master says, apart from heartbeats. `None`: the session is over.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub async fn hear(&mut self) -> Option<MasterMessage> {
        let next = timeout(GUARD, async {
            loop {
                match self.heard.pop() {
                    Some(MasterMessage::Heartbeat) => {}
                    Some(message) => return Some(message),
                    None => {
                        self.heard = self.link.receiver.receive().await.ok()?;
                        self.heard.reverse();
                    }
                }
            }
        });
        next.await.expect("the master says something")
    }

    /// Waits for an assignment.
    ///
    /// # Panics
    ///
    /// When the master says something else, or nothing.
    pub async fn assignment(&mut self) -> Assignment {
        match self.hear().await {
            Some(MasterMessage::Assign(assignment)) => assignment,
            other => panic!("no assignment: {other:?}"),
        }
    }

    /// Opens a link for the output of an attempt, and says where the master wants it to begin.
    ///
    /// # Panics
    ///
    /// When the master does not take it.
    pub async fn upload(&self, attempt: AttemptId) -> WireUpload {
        let opened = timeout(GUARD, async {
            let link = self.uploads.open(attempt, 0).await?;
            let mut upload = WireUpload { link, from: 0 };
            match upload.link.receiver.receive().await?.as_slice() {
                [UploadAnswer::ResumeAt(from)] => upload.from = *from,
                other => panic!("not where to begin: {other:?}"),
            }
            Ok::<_, LinkError>(upload)
        });
        let opened = opened.await.expect("the master answers");
        opened.expect("the master takes output")
    }

    /// Waits until the master has answered a heartbeat: it has taken everything that was said before.
    ///
    /// # Panics
    ///
    /// When it says something else, or ends the session.
    pub async fn settle(&mut self) {
        self.say(vec![WorkerMessage::Heartbeat]).await;
        let answered = timeout(GUARD, async {
            loop {
                match self.heard.pop() {
                    Some(MasterMessage::Heartbeat) => return,
                    Some(other) => panic!("said besides: {other:?}"),
                    None => {
                        let heard = self.link.receiver.receive().await;
                        self.heard = heard.expect("the session lasts");
                        self.heard.reverse();
                    }
                }
            }
        });
        answered.await.expect("the master answers");
    }
}

/// A link for the output of one attempt.
#[derive(Debug)]
pub struct WireUpload {
    link: Link<UploadFrame, UploadAnswer>,
    /// Where the master wants it to begin.
    pub from: u64,
}

impl WireUpload {
    /// Sends these bytes as if they stood at this offset, and waits for the answer.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub async fn bytes(&mut self, offset: u64, bytes: &[u8]) -> Result<UploadAnswer, LinkError> {
        let bytes = Bytes::copy_from_slice(bytes);
        let chunk = LogChunk::new(offset, OutputStream::Stdout, now(), bytes);
        self.ask(UploadFrame::Chunks(vec![chunk])).await
    }

    /// Says that the output ends here, and waits for the answer.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub async fn end(&mut self, bytes: u64) -> Result<UploadAnswer, LinkError> {
        self.ask(UploadFrame::End(LogEnd { bytes, dropped: 0 }))
            .await
    }

    async fn ask(&mut self, frame: UploadFrame) -> Result<UploadAnswer, LinkError> {
        let answered = timeout(GUARD, async {
            self.link.sender.send(vec![frame]).await?;
            self.link.receiver.receive().await
        });
        let answers = answered.await.expect("the master answers")?;
        Ok(*answers.last().expect("it says something"))
    }
}

/// What a worker says when this has begun.
pub fn started(attempt: AttemptId) -> WorkerMessage {
    WorkerMessage::Started {
        attempt,
        pid: None,
        at: now(),
    }
}

/// The time, for reports.
pub fn now() -> Timestamp {
    SystemClock::new().now().wall
}
