//! Logs that are over go to an object store: one that speaks S3 over HTTP, with signed requests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use jobyard_core::{
    AttemptId, AttemptNumber, Epoch, JobId, LogChunk, LogEnd, LogReadError, LogStatus, LogStore,
    MAX_CHUNK_BYTES, OutputStream, Timestamp,
};
use jobyard_store::{ArchiveError, FileLogs, LogArchive, LogOptions, ObjectArchive, SettleError};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const EPOCH: Epoch = Epoch(1);
const BUCKET: &str = "logs";
const KEY: &str = "the-key";
const SECRET: &str = "the-secret";

/// An object store on this machine. What it keeps are files.
struct ObjectStore {
    objects: TempDir,
    address: String,
    server: JoinHandle<()>,
}

impl ObjectStore {
    async fn start() -> Self {
        let objects = tempfile::tempdir().expect("a directory");
        fs::create_dir(objects.path().join(BUCKET)).expect("a bucket");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = tokio::spawn(serve(listener, objects.path().to_owned()));
        Self {
            objects,
            address,
            server,
        }
    }

    fn bucket(&self) -> PathBuf {
        self.objects.path().join(BUCKET)
    }

    /// As somebody would reach it by variables of the environment.
    fn archive_as(&self, url: &str, secret: &str) -> ObjectArchive {
        let endpoint = format!("http://{}", self.address);
        let variables = [
            ("AWS_ENDPOINT", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1"),
            // These belong to somebody else.
            ("TOKEN", "of another program"),
            ("AWS_PAGER", "less"),
        ];
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        ObjectArchive::at_url(url, owned).expect("a URL")
    }

    fn archive(&self) -> ObjectArchive {
        self.archive_as("s3://logs/of/jobs", SECRET)
    }

    /// What is kept of logs.
    fn logs(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.bucket().join("of/jobs"));
        files.retain(|path| path.extension().is_some_and(|ending| ending == "zst"));
        files
    }
}

async fn serve(listener: TcpListener, objects: PathBuf) {
    let mut builder = S3ServiceBuilder::new(FileSystem::new(objects).expect("a directory"));
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = builder.build();
    // Connections end with the store.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        let connection =
            hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
        let service = service.clone();
        connections.spawn(async move {
            let _ = connection
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn open(logs: &TempDir, archive: ObjectArchive) -> FileLogs {
    let mut options = LogOptions::default();
    options.archive = Some(Arc::new(archive));
    FileLogs::open_with(logs.path(), options).expect("the directory is ours")
}

fn attempt() -> AttemptId {
    let job = JobId::from_uuid(uuid::Uuid::from_u128(0xabcd));
    AttemptId::new(job, AttemptNumber::FIRST)
}

/// So many chunks that cannot be compressed.
fn chunks(number: u64) -> Vec<LogChunk> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let each = (0..number).map(|index| {
        let bytes = (0..MAX_CHUNK_BYTES / 8).flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        let at = Timestamp::from_micros(i64::try_from(index).expect("small"));
        let bytes: Vec<u8> = bytes.collect();
        LogChunk::new(
            index * MAX_CHUNK_BYTES as u64,
            OutputStream::Stdout,
            at,
            bytes.into(),
        )
    });
    each.collect()
}

async fn write(logs: &FileLogs, chunks: &[LogChunk]) {
    for some in chunks.chunks(16) {
        let appended = logs.append(EPOCH, attempt(), some.to_vec()).await;
        appended.expect("an append");
    }
    let end = LogEnd {
        bytes: chunks.last().map_or(0, LogChunk::end),
        dropped: 0,
    };
    logs.seal(EPOCH, attempt(), end).await.expect("a seal");
}

async fn read(logs: &FileLogs) -> Result<Vec<LogChunk>, LogReadError> {
    let mut found: Vec<LogChunk> = Vec::new();
    loop {
        let from = found.last().map_or(0, LogChunk::end);
        let more = logs.read(attempt(), from, 1 << 20).await?;
        if more.is_empty() {
            return Ok(found);
        }
        found.extend(more);
    }
}

#[tokio::test]
async fn o8_log_goes_to_an_object_store_is_read_there_and_goes() {
    let store = ObjectStore::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let logs = open(&directory, store.archive());
    // More than one part.
    let written = chunks(136);
    write(&logs, &written).await;
    logs.settle().await.expect("settled");

    let [object] = &store.logs()[..] else {
        panic!("one object, not {:?}", store.logs());
    };
    let plain = zstd::decode_all(fs::read(object).expect("readable").as_slice());
    assert!(
        plain.expect("zstd")
            == written
                .iter()
                .flat_map(|chunk| chunk.bytes.to_vec())
                .collect::<Vec<u8>>(),
        "zstd gives other bytes"
    );
    let usage = logs.usage().await.expect("the usage");
    assert_eq!(
        usage.archived,
        fs::metadata(object).expect("a file").len(),
        "{usage:?}"
    );
    assert!(usage.bytes < 4_096, "only the pointer stays: {usage:?}");

    // Whoever opens it anew reads it there too, from any byte.
    drop(logs);
    let logs = open(&directory, store.archive());
    let status = logs.status(attempt()).await.expect("a status");
    let end = written.last().expect("chunks").end();
    let sealed = LogStatus::sealed(
        end,
        LogEnd {
            bytes: end,
            dropped: 0,
        },
    );
    assert_eq!(status, sealed);
    assert!(read(&logs).await.expect("readable") == written, "differs");
    let middle = logs.read(attempt(), 5_000_001, 10).await.expect("readable");
    assert_eq!(middle[0].offset, 5_000_001);

    // Retention removes it here and there.
    logs.remove(attempt()).await.expect("removed");
    logs.settle().await.expect("settled");
    assert_eq!(store.logs(), Vec::<PathBuf>::new());
    assert_eq!(logs.usage().await.expect("the usage").archived, 0);
}

#[tokio::test]
async fn o8_damage_in_an_object_store_is_told() {
    let store = ObjectStore::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let logs = open(&directory, store.archive());
    write(&logs, &chunks(4)).await;
    logs.settle().await.expect("settled");
    let object = store.logs().remove(0);
    let mut bytes = fs::read(&object).expect("readable");
    bytes[100] ^= 1;
    fs::write(&object, bytes).expect("written");
    drop(logs);
    let logs = open(&directory, store.archive());
    let answer = logs.read(attempt(), 0, 100).await;
    assert!(
        matches!(answer, Err(LogReadError::Damaged { .. })),
        "{answer:?}"
    );
    fs::remove_file(&object).expect("removed");
    drop(logs);
    let logs = open(&directory, store.archive());
    let answer = logs.read(attempt(), 0, 100).await;
    assert!(
        matches!(answer, Err(LogReadError::Damaged { .. })),
        "a missing object: {answer:?}"
    );
}

#[tokio::test]
async fn o8_object_store_that_is_away_loses_nothing() {
    let store = ObjectStore::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let written = chunks(4);
    {
        // With a key that is not the right one, nothing goes there, and all of it stays here.
        let wrong = store.archive_as("s3://logs/of/jobs", "another");
        let logs = open(&directory, wrong);
        write(&logs, &written).await;
        let settled = logs.settle().await;
        assert!(
            matches!(
                settled,
                Err(SettleError::Archive {
                    source: ArchiveError::Away { .. },
                    ..
                })
            ),
            "{settled:?}"
        );
        assert!(read(&logs).await.expect("readable") == written, "differs");
        assert_eq!(store.logs(), Vec::<PathBuf>::new());
    }
    {
        let logs = open(&directory, store.archive());
        logs.settle().await.expect("settled");
        assert_eq!(store.logs().len(), 1);
    }
    // Another prefix, another bucket, and nobody at all are no missing objects.
    for elsewhere in ["s3://logs/elsewhere", "s3://others/of/jobs"] {
        let logs = open(&directory, store.archive_as(elsewhere, SECRET));
        is_away(logs.read(attempt(), 0, 100).await);
    }
    let archive = store.archive();
    store.server.abort();
    let _ = store.server.await;
    is_away(open(&directory, archive).read(attempt(), 0, 100).await);
}

fn is_away(answer: Result<Vec<LogChunk>, LogReadError>) {
    let Err(LogReadError::Storage { problem }) = answer else {
        panic!("it is away: {answer:?}");
    };
    assert!(problem.contains("not at hand"), "{problem}");
}

#[tokio::test]
async fn only_what_can_be_reached_is_taken_for_an_archive() {
    for url in [
        "s3://",
        "s3:///prefix",
        "file:///var/archive",
        "memory:///",
        "gs://bucket",
        "https://example.org/bucket",
        "s3://bucket/a//b",
    ] {
        let archive = ObjectArchive::at_url(url, []);
        let problem = archive.expect_err(url).to_string();
        assert!(problem.contains(url), "{problem}");
    }
    // Nothing is said in plain text that was not allowed.
    let variables = [
        ("AWS_ENDPOINT", "http://127.0.0.1:1"),
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let archive = ObjectArchive::at_url("s3://logs", variables).expect("a URL");
    let problem = archive.begin().await.expect_err("refused").to_string();
    assert!(problem.contains("AWS_ALLOW_HTTP"), "{problem}");
}
