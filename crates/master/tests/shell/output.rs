//! What readers of output are told, and jobs whose output could not be masked.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use jobyard_core::{
    Attempt, AttemptId, AttemptNumber, Change, ControlError, Epoch, JobSpec, Jobs, LogChunk,
    LogEnd, LogItem, LogQuery, LogState, LogStatus, Outcome, OutputStream, SecretText, Timestamp,
    WorkerId,
};
use jobyard_master::Master;
use jobyard_master::records::{JOB, JobRecord, read};

use crate::house::{GUARD, host, id, new_job, over, parts, start, submit};
use crate::shaky::Shaky;

const TEXT: &[u8] = b"hello, world\n";

fn attempt() -> AttemptId {
    AttemptId::new(id(1), AttemptNumber::FIRST)
}

/// A master whose only job is over, and has printed something.
async fn after_one_job(data: &Path) -> (Master, Arc<Shaky>) {
    let master = start(parts(data)).await;
    over(&master, 1).await;
    master.shutdown().await;
    drop(master);

    let mut parts = parts(data);
    let lead = parts.store.lead("before", GUARD, Epoch::ZERO).await;
    let epoch = lead.expect("it leads").epoch;
    let chunk = LogChunk::new(
        0,
        OutputStream::Stdout,
        Timestamp::default(),
        Bytes::from_static(TEXT),
    );
    let end = LogEnd {
        bytes: TEXT.len() as u64,
        dropped: 0,
    };
    let logs = &parts.logs;
    let appended = logs.append(epoch, attempt(), vec![chunk]).await;
    appended.expect("taken");
    logs.seal(epoch, attempt(), end).await.expect("sealed");

    let record = parts.store.get(JOB, &id(1).to_string()).await;
    let record = record.expect("readable").expect("a record");
    let mut job: JobRecord = read(&record).expect("a job");
    let worker = WorkerId::from_uuid(uuid::Uuid::from_u128(7));
    let mut ran = Attempt::new(attempt(), worker, "w".to_owned(), Timestamp::default());
    ran.outcome = Some(Outcome::Succeeded);
    ran.log = LogState::Complete;
    ran.log_bytes = TEXT.len() as u64;
    job.attempts.push(ran);
    let changes = vec![Change::Put(job.to_record(false))];
    let batch = jobyard_core::Batch { number: 1, changes };
    parts.store.commit(epoch, batch).await.expect("durable");
    parts.store.resign(epoch).await.expect("it goes");

    let shaky = Arc::new(Shaky::new(Arc::clone(&parts.logs)));
    parts.logs = Arc::clone(&shaky) as _;
    (start(parts).await, shaky)
}

/// Everything that a reader gets from this byte on.
async fn all(master: &Master, from: u64, follow: bool) -> Result<Vec<LogItem>, ControlError> {
    let mut query = LogQuery::new(id(1));
    query.from = from;
    query.follow = follow;
    let items = master.logs(&host(), query).await?;
    let items = tokio::time::timeout(GUARD, items.collect::<Vec<_>>()).await;
    items.expect("in time").into_iter().collect()
}

/// The last bytes came, and the job was settled, after the reader had looked at the log and before it looked at the job.
#[tokio::test]
async fn what_came_between_two_looks_is_shown_before_the_end() {
    let data = tempfile::tempdir().expect("a directory");
    let (master, logs) = after_one_job(data.path()).await;
    for (held, follow) in [(5, true), (5, false), (0, true)] {
        logs.answer_once(LogStatus::open(held));
        let items = all(&master, held, follow).await.expect("readable");
        assert!(logs.has_answered(), "nobody looked");
        let [
            LogItem::Begin { from, .. },
            LogItem::Chunk { chunk, .. },
            LogItem::AttemptEnd { log, .. },
            LogItem::End { .. },
        ] = &items[..]
        else {
            panic!("bytes, their end, and that of the job: {items:?}");
        };
        assert_eq!((*from, chunk.offset), (held, held));
        assert_eq!(
            &chunk.bytes[..],
            &TEXT[usize::try_from(held).unwrap_or(0)..]
        );
        assert_eq!(
            (log.end, log.state),
            (TEXT.len() as u64, LogState::Complete)
        );
    }
    master.shutdown().await;
}

#[tokio::test]
async fn output_that_is_away_is_unavailable_and_not_lost() {
    let data = tempfile::tempdir().expect("a directory");
    let (master, logs) = after_one_job(data.path()).await;
    logs.be_away(true);
    let problem = all(&master, 0, true).await.expect_err("away");
    assert_eq!(problem.code(), "unavailable");
    assert!(problem.is_temporary());
    let ControlError::OutputAway {
        attempt: whose,
        problem,
    } = problem
    else {
        panic!("not the master: {problem}");
    };
    assert_eq!(whose, attempt());
    assert!(problem.contains("not at hand"), "{problem}");
    logs.be_away(false);
    assert_eq!(all(&master, 0, true).await.expect("there").len(), 4);
    master.shutdown().await;
}

/// A job with this secret and this plain variable.
fn with_variables(secret: &str, plain: &str) -> jobyard_core::NewJob {
    let mut spec: JobSpec = (*new_job(1, "true").spec).clone();
    let value = SecretText::new("correct horse");
    spec.secret_env.insert(secret.to_owned(), value);
    spec.executor.config = format!(r#"{{"command": ["true"], "env": {{"{plain}": "1"}}}}"#);
    let spec = spec.validate().expect("a valid spec");
    jobyard_core::NewJob::new(id(1), spec)
}

#[tokio::test]
async fn refuse_a_variable_that_is_secret_and_plain() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    let job = with_variables("TOKEN", "TOKEN");
    let submitted = master.submit(&host(), vec![job]).await;
    let Err(ControlError::Invalid { field, problem }) = submitted else {
        panic!("it is refused: {submitted:?}");
    };
    assert_eq!(field, "secret_env");
    assert!(problem.contains("\"TOKEN\""), "{problem}");
    let job = with_variables("TOKEN", "OTHER");
    let submitted = master.submit(&host(), vec![job]).await;
    assert!(submitted.expect("accepted")[0].created);
    master.shutdown().await;
}

#[tokio::test]
async fn refuse_a_job_that_was_shown_and_has_lost_its_secrets() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    let mut job = with_variables("TOKEN", "OTHER");
    job.spec = job.spec.hide_secrets();
    let refused = master.submit(&host(), vec![job]).await;
    assert!(
        matches!(&refused, Err(ControlError::Invalid { field, .. }) if field == "secret_env"),
        "{refused:?}"
    );
    master.shutdown().await;
}

/// Who has seen nothing yet can ask for the same again after the connection was lost.
#[tokio::test]
async fn say_where_the_reading_begins_before_anything_is_shown() {
    let data = tempfile::tempdir().expect("a directory");
    let (master, _) = after_one_job(data.path()).await;
    let mut query = LogQuery::new(id(1));
    query.tail = Some(6);
    let mut items = master.logs(&host(), query).await.expect("a stream");
    let first = items.next().await.expect("an item");
    let from = TEXT.len() as u64 - 6;
    let attempt = attempt();
    assert_eq!(first, Ok(LogItem::Begin { attempt, from }));

    submit(&master, 2).await.expect("accepted");
    let mut query = LogQuery::new(id(2));
    query.tail_lines = Some(0);
    query.follow = true;
    let mut items = master.logs(&host(), query).await.expect("a stream");
    let first = tokio::time::timeout(GUARD, items.next()).await;
    let attempt = AttemptId::new(id(2), AttemptNumber::FIRST);
    let begin = LogItem::Begin { attempt, from: 0 };
    assert_eq!(first.expect("in time"), Some(Ok(begin)), "it is to come");
    master.shutdown().await;
}
