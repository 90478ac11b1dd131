//! XL5: a worker that says of its output what is not so.

use jobyard_core::{
    AttemptId, AttemptNumber, AttemptReport, Exit, JobId, LinkError, LogEnd, Outcome, Refusal,
    RefusalReason, UploadAnswer, WorkerMessage,
};
use jobyard_tests::{Cluster, WireSession, WireWorker, assert_once, attempts, now, started};
use serde_json::Value;
use uuid::Uuid;

/// A master, and a worker that the test speaks for and that runs one job.
struct Hostile {
    cluster: Cluster,
    session: WireSession,
    attempt: AttemptId,
}

impl Hostile {
    async fn begin() -> Self {
        let cluster = Cluster::start();
        let token = cluster.token("join.token", &[]);
        let place = cluster.path("wire");
        std::fs::create_dir(&place).expect("a new directory");
        let worker = WireWorker::join(cluster.address(), &token, "w", &place).await;
        let session = worker.connect(Vec::new()).await;
        let mut hostile = Self {
            cluster,
            session,
            attempt: AttemptId::new(JobId::from_uuid(Uuid::nil()), AttemptNumber::FIRST),
        };
        hostile.run_next().await;
        hostile
    }

    /// Begins another job.
    async fn run_next(&mut self) {
        self.cluster.submit(&[], "anything");
        self.attempt = self.session.assignment().await.attempt;
        self.session.say(vec![started(self.attempt)]).await;
        self.session.settle().await;
    }

    /// Says that it ended well, with so much output; what is then known of it.
    async fn finish(&mut self, bytes: u64) -> Value {
        let outcome = Outcome::of_exit(Exit::Exited(0));
        let mut report = AttemptReport::new(self.attempt, outcome, now());
        report.log = LogEnd { bytes, dropped: 0 };
        self.session
            .say(vec![WorkerMessage::Finished(report)])
            .await;
        let job = self.attempt.job.to_string();
        let _ = self.cluster.cli(&["wait", &job]).ok();
        let shown = self.cluster.show(&job);
        assert_once(&shown);
        shown
    }

    fn printed(&self) -> (Vec<u8>, String) {
        let ran = self
            .cluster
            .cli(&["logs", &self.attempt.job.to_string()])
            .ok();
        (ran.stdout, ran.stderr)
    }

    fn corrupt_logs_in_the_audit_trail(&self) -> usize {
        let trail = self.cluster.cli(&["audit", "--json"]).ok().text();
        trail.matches("\"log.corrupt\"").count()
    }
}

fn refused(answer: Result<UploadAnswer, LinkError>) -> Refusal {
    match answer {
        Err(LinkError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Guards: `LogStore::append` takes no hole, and the typed answer to one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xl5_hole_is_refused_with_the_offset_that_is_expected() {
    let mut hostile = Hostile::begin().await;
    let mut upload = hostile.session.upload(hostile.attempt).await;
    assert_eq!(upload.from, 0);
    assert_eq!(upload.bytes(0, b"abc").await, Ok(UploadAnswer::Durable(3)));
    let refusal = refused(upload.bytes(10, b"klm").await);
    assert_eq!(refusal.reason, RefusalReason::OutOfRange);
    assert_eq!(refusal.expected, Some(3));
    assert!(
        refusal.reason.is_temporary(),
        "a worker sends what is missing"
    );

    let mut upload = hostile.session.upload(hostile.attempt).await;
    assert_eq!(upload.from, 3);
    assert_eq!(upload.bytes(3, b"def").await, Ok(UploadAnswer::Durable(6)));
    assert_eq!(upload.end(6).await, Ok(UploadAnswer::Sealed));
    let shown = hostile.finish(6).await;
    assert_eq!(attempts(&shown)[0]["log"], "complete", "{shown}");
    assert_eq!(hostile.printed().0, b"abcdef");
}

/// Guards: `LogStore::append` is idempotent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xl5_repeat_of_the_same_bytes_changes_nothing() {
    let mut hostile = Hostile::begin().await;
    let mut upload = hostile.session.upload(hostile.attempt).await;
    assert_eq!(
        upload.bytes(0, b"abcdef").await,
        Ok(UploadAnswer::Durable(6))
    );
    let mut again = hostile.session.upload(hostile.attempt).await;
    assert_eq!(again.bytes(2, b"cd").await, Ok(UploadAnswer::Durable(6)));
    assert_eq!(
        again.bytes(0, b"abcdefgh").await,
        Ok(UploadAnswer::Durable(8))
    );
    assert_eq!(upload.bytes(6, b"ghi").await, Ok(UploadAnswer::Durable(9)));
    assert_eq!(again.end(9).await, Ok(UploadAnswer::Sealed));
    let shown = hostile.finish(9).await;
    assert_eq!(attempts(&shown)[0]["log"], "complete", "{shown}");
    assert_eq!(hostile.printed().0, b"abcdefghi");
    assert_eq!(hostile.corrupt_logs_in_the_audit_trail(), 0);
}

/// Guards: `AppendError::Conflict` ends the log as `LogState::Corrupt`, and `Engine::audit_corrupt_log`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xl5_other_bytes_than_before_mark_the_log_corrupt_and_harm_nothing_else() {
    let mut hostile = Hostile::begin().await;
    let mut upload = hostile.session.upload(hostile.attempt).await;
    assert_eq!(
        upload.bytes(0, b"abcdef").await,
        Ok(UploadAnswer::Durable(6))
    );
    let mut other = hostile.session.upload(hostile.attempt).await;
    assert_eq!(other.bytes(2, b"cX").await, Ok(UploadAnswer::Sealed));
    // Nothing more is taken, and what came first stays.
    assert_eq!(upload.bytes(6, b"ghi").await, Ok(UploadAnswer::Sealed));
    let shown = hostile.finish(9).await;
    let attempt = &attempts(&shown)[0];
    assert_eq!(attempt["log"], "corrupt", "{shown}");
    assert_eq!(attempt["log_bytes"], 6, "{shown}");
    let (bytes, marker) = hostile.printed();
    assert_eq!(bytes, b"abcdef");
    assert!(marker.contains("corrupt"), "{marker}");
    assert_eq!(hostile.corrupt_logs_in_the_audit_trail(), 1);

    // The same worker, on the same session, with the next job.
    hostile.session.hear().await;
    hostile.run_next().await;
    let mut upload = hostile.session.upload(hostile.attempt).await;
    assert_eq!(upload.bytes(0, b"fine").await, Ok(UploadAnswer::Durable(4)));
    assert_eq!(upload.end(4).await, Ok(UploadAnswer::Sealed));
    let shown = hostile.finish(4).await;
    assert_eq!(attempts(&shown)[0]["log"], "complete", "{shown}");
}

/// Guards: an end before what is held is no end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xl5_end_before_what_was_sent_marks_the_log_corrupt() {
    let mut hostile = Hostile::begin().await;
    let mut upload = hostile.session.upload(hostile.attempt).await;
    assert_eq!(
        upload.bytes(0, b"abcdef").await,
        Ok(UploadAnswer::Durable(6))
    );
    assert_eq!(upload.end(4).await, Ok(UploadAnswer::Sealed));
    let shown = hostile.finish(4).await;
    assert_eq!(attempts(&shown)[0]["log"], "corrupt", "{shown}");
    assert_eq!(hostile.printed().0, b"abcdef");
    assert_eq!(hostile.corrupt_logs_in_the_audit_trail(), 1);
}
