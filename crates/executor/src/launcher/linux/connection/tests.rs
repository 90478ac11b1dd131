use futures_util::FutureExt as _;
use jobyard_core::{AttemptId, AttemptNumber, Containment, Exit, JobId, OutputProgress, Timestamp};
use jobyard_launcher::protocol::{
    CageFacts, Decoder, End, JOURNAL, Known, Launch, MAX_MESSAGE_BYTES, Mechanism,
    PROTOCOL_VERSION, SOCKET, WorkDir, encode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::super::cell::Cell;
use super::*;

/// The other end of a connection, which says what a test wants.
struct Fake {
    stream: UnixStream,
    decoder: Decoder,
}

impl Fake {
    async fn accept(listener: &UnixListener, attempts: Vec<Known>) -> Self {
        let (stream, _) = listener.accept().await.expect("somebody connects");
        let mut fake = Self {
            stream,
            decoder: Decoder::default(),
        };
        assert!(matches!(fake.hear().await, Request::Hello { .. }));
        let facts = CageFacts::new(Mechanism::Subreaper, Containment::BestEffort, None);
        // This process stands for the launcher: it lives.
        let mut welcome = Welcome::new(PROTOCOL_VERSION, "test", std::process::id(), facts);
        welcome.attempts = attempts;
        fake.say(&Reply::Welcome(Box::new(welcome))).await;
        fake
    }

    async fn say(&mut self, reply: &Reply) {
        let mut bytes = bytes::BytesMut::new();
        encode(reply, &mut bytes).expect("short enough");
        self.stream.write_all(&bytes).await.expect("sent");
    }

    async fn hear(&mut self) -> Request {
        loop {
            if let Some(request) = self.decoder.decode().expect("a request") {
                return request;
            }
            let mut buffer = [0; 1024];
            let count = self.stream.read(&mut buffer).await.expect("open");
            assert!(count > 0, "the connection was closed");
            self.decoder.push(&buffer[..count]);
        }
    }
}

fn attempt(number: u128) -> AttemptId {
    let job = JobId::from_uuid(uuid::Uuid::from_u128(number));
    AttemptId::new(job, AttemptNumber::FIRST)
}

fn launch(attempt: AttemptId) -> Launch {
    let dir = WorkDir::at("/".into());
    Launch::new(attempt, "/bin/true".into(), Vec::new(), dir, "/out".into())
}

fn running(number: u128) -> Known {
    let state = KnownState::Running {
        pid: 7,
        start_time: 8,
    };
    Known::new(attempt(number), state, OutputProgress::default())
}

fn ended() -> End {
    End::new(
        Exit::Exited(3),
        Timestamp::from_micros(5),
        OutputProgress::new(0, 4, 0),
    )
}

async fn connect(dir: &Path) -> Link {
    let (wire, welcome) = Wire::open(dir).await.expect("a welcome");
    Connection::spawn(dir.to_owned(), wire, &welcome)
}

async fn ask(link: &Link, launch: Launch) -> Arc<Cell> {
    let room = link.room().await;
    link.start(room, launch, None)
}

#[tokio::test]
async fn replies_reach_the_attempt_that_they_are_about() {
    let base = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(base.path().join(SOCKET)).expect("bound");
    let (link, mut fake) = tokio::join!(connect(base.path()), Fake::accept(&listener, Vec::new()));
    let (one, two, three) = (attempt(1), attempt(2), attempt(3));
    let first = ask(&link, launch(one)).await;
    let second = ask(&link, launch(two)).await;
    let third = ask(&link, launch(three)).await;
    for expected in [one, two, three] {
        let Request::Start(launch) = fake.hear().await else {
            panic!("a start");
        };
        assert_eq!(launch.attempt, expected);
    }
    let failure = LaunchFailure::new(jobyard_launcher::protocol::Stage::Program, 2, "gone");
    fake.say(&Reply::NotStarted {
        attempt: two,
        failure: failure.clone(),
        unconfirmed: false,
    })
    .await;
    fake.say(&Reply::NotStarted {
        attempt: three,
        failure: failure.clone(),
        unconfirmed: true,
    })
    .await;
    fake.say(&Reply::Ended {
        attempt: one,
        end: ended(),
    })
    .await;
    let stage = first.reached(Stage::is_final).await;
    assert!(matches!(stage, Stage::Ended { end, .. } if *end == ended()));
    assert_eq!(second.stage(), Stage::Refused(failure));
    let stage = third.stage();
    let may_run = matches!(&stage, Stage::Lost { residue, .. } if residue.unconfirmed);
    assert!(may_run, "{stage:?}");
}

#[tokio::test]
async fn connection_that_broke_is_made_again_and_loses_nothing() {
    let base = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(base.path().join(SOCKET)).expect("bound");
    let known = vec![running(1), running(2), running(3)];
    let (link, mut fake) = tokio::join!(connect(base.path()), Fake::accept(&listener, known));
    let never_known = ask(&link, launch(attempt(4))).await;
    assert!(matches!(fake.hear().await, Request::Start(_)));
    let killed = link.cell(attempt(1)).expect("in the welcome");
    killed.want_kill();
    link.remove(attempt(3));
    drop(fake);

    let state = KnownState::Ended {
        pid: 7,
        end: ended(),
    };
    let forgotten = Known::new(attempt(3), state.clone(), OutputProgress::default());
    let over = Known::new(attempt(2), state, OutputProgress::default());
    let mut fake = Fake::accept(&listener, vec![running(1), over, forgotten]).await;
    let again = [fake.hear().await, fake.hear().await];
    let (one, three) = (attempt(1), attempt(3));
    assert!(again.contains(&Request::Kill { attempt: one }));
    assert!(again.contains(&Request::Forget { attempt: three }));
    let second = link.cell(attempt(2)).expect("in the welcome");
    let stage = second.reached(Stage::is_final).await;
    assert!(matches!(stage, Stage::Ended { .. }));
    let lost = never_known.reached(Stage::is_final).await;
    assert!(matches!(lost, Stage::Lost { pid: None, .. }));
    assert!(link.is_alive());
}

#[tokio::test]
async fn start_that_was_not_sent_is_sent_when_the_connection_is_made_again() {
    let base = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(base.path().join(SOCKET)).expect("bound");
    let (link, fake) = tokio::join!(connect(base.path()), Fake::accept(&listener, Vec::new()));
    // More than goes into a socket that nobody reads, so that it breaks in the middle of a message.
    let mut long = launch(attempt(1));
    long.argv = vec!["x".repeat(1000); 2000];
    let half = ask(&link, long.clone()).await;
    fake.stream.readable().await.expect("open");
    drop(fake);
    let queued = ask(&link, launch(attempt(2))).await;

    let mut fake = Fake::accept(&listener, Vec::new()).await;
    assert_eq!(fake.hear().await, Request::Start(Box::new(long)));
    let second = Request::Start(Box::new(launch(attempt(2))));
    assert_eq!(fake.hear().await, second);
    assert_eq!((half.stage(), queued.stage()), (Stage::Asked, Stage::Asked));
}

#[tokio::test]
async fn start_that_is_too_long_for_a_message_fails_alone() {
    let base = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(base.path().join(SOCKET)).expect("bound");
    let (link, mut fake) = tokio::join!(connect(base.path()), Fake::accept(&listener, Vec::new()));
    let mut long = launch(attempt(1));
    long.argv = vec!["x".repeat(MAX_MESSAGE_BYTES)];
    let cell = ask(&link, long).await;
    let stage = cell.reached(Stage::is_final).await;
    assert!(matches!(stage, Stage::Lost { pid: None, .. }));
    ask(&link, launch(attempt(2))).await;
    let second = Request::Start(Box::new(launch(attempt(2))));
    assert_eq!(fake.hear().await, second, "over the same connection");
}

/// A connection to a launcher that is dead; the other end of its stream has to be kept.
fn cut_off(dir: &Path) -> (Connection, Link, UnixStream) {
    let board = Arc::new(Board::new(dir.to_owned(), 0));
    let (sender, orders) = mpsc::channel(ORDERS);
    let (stream, other) = UnixStream::pair().expect("a pair");
    let connection = Connection {
        board: Arc::clone(&board),
        wire: Wire::silent(stream).expect("a stream"),
        orders,
        unsent: VecDeque::new(),
        curious: VecDeque::new(),
        death: None,
        connected_at: Instant::now(),
        pause: Duration::ZERO,
    };
    (connection, Link::new(board, sender), other)
}

#[tokio::test]
async fn start_that_comes_after_the_death_is_answered() {
    let base = tempfile::tempdir().expect("a directory");
    let (connection, link, _other) = cut_off(base.path());
    // Asked for while the journal is read, and not only when all is over.
    let mut burial = std::pin::pin!(connection.bury());
    assert!((&mut burial).now_or_never().is_none());
    assert!(!link.is_alive());
    let cell = ask(&link, launch(attempt(1))).await;
    assert!(matches!(cell.stage(), Stage::Lost { pid: None, .. }));
    burial.await;
}

#[tokio::test]
async fn of_what_cannot_be_buried_it_is_not_said_that_nothing_runs() {
    let base = tempfile::tempdir().expect("a directory");
    // No file that could be read.
    std::fs::create_dir(base.path().join(JOURNAL)).expect("made");
    let (connection, link, _other) = cut_off(base.path());
    let cell = ask(&link, launch(attempt(1))).await;
    connection.bury().await;
    let stage = cell.stage();
    let may_run = matches!(&stage, Stage::Lost { residue, .. } if residue.unconfirmed);
    assert!(may_run, "{stage:?}");
    assert!(base.path().exists(), "what a later life may read is kept");
}

#[tokio::test]
async fn last_words_are_said_before_the_connection_is_closed() {
    let base = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(base.path().join(SOCKET)).expect("bound");
    let (link, mut fake) = tokio::join!(
        connect(base.path()),
        Fake::accept(&listener, vec![running(1)])
    );
    let attempt = attempt(1);
    assert!(link.try_send(Request::Kill { attempt }));
    drop(link);
    assert_eq!(fake.hear().await, Request::Kill { attempt });
}

#[tokio::test]
async fn whoever_asks_is_told_when_all_before_was_sent() {
    let base = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(base.path().join(SOCKET)).expect("bound");
    let (link, mut fake) = tokio::join!(connect(base.path()), Fake::accept(&listener, Vec::new()));
    let forget = |number| Request::Forget {
        attempt: attempt(number),
    };
    for number in 1..=3 {
        assert!(link.send(forget(number)).await);
    }
    link.all_sent().await;
    // Nothing but what has come already.
    let mut stream = fake.stream.into_std().expect("a socket");
    let mut buffer = [0; 4096];
    let count = std::io::Read::read(&mut stream, &mut buffer).expect("all of it is there");
    fake.decoder.push(&buffer[..count]);
    for number in 1..=3 {
        let heard = fake.decoder.decode().expect("requests");
        assert_eq!(heard, Some(forget(number)));
    }
    // One that is gone keeps nobody waiting.
    Link::buried(base.path().to_owned(), Vec::new())
        .all_sent()
        .await;
}
