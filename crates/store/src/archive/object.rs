//! An archive in an object store.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart};
use tokio::io::AsyncReadExt;

use super::contract::{ArchiveError, LogArchive};
use super::http::Connector;

/// Files up to this length go in one request; longer ones in parts of it.
const PART_BYTES: usize = 8 * 1_024 * 1_024;

/// How many parts are on their way at once: a bound for memory.
const PARTS: usize = 2;

/// How often a request is repeated, and within what time: readers wait for 30 s, and are to learn what is wrong. Whoever
/// archives tries again by itself.
const REPEATS: usize = 3;
const REPEAT_FOR: Duration = Duration::from_secs(15);

/// What the variables of the environment begin with that say how to reach a store.
const VARIABLES: &str = "aws_";

/// The object by which a place is known to be an archive, and not another bucket or prefix.
const MARKER: &str = "jobyard-archive";

/// What stands in it.
const MARKER_TEXT: &str = "Sealed logs of Jobyard jobs. Without this object the place counts as an archive that is away.\n";

/// Keeps files in S3, or in what speaks like it: a bucket, below a prefix. There is an object `jobyard-archive` from the
/// first file on: where that is missing, the archive counts as away.
#[derive(Clone, Debug)]
pub struct ObjectArchive {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
}

/// Why a URL names no archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidArchive {
    /// It is no URL of an object store that this program can reach.
    #[error("`{url}` is not s3://BUCKET or s3://BUCKET/PREFIX")]
    Url {
        /// What was given.
        url: String,
    },
    /// An option does not fit, or this machine trusts nobody who could answer.
    #[error("`{url}` cannot be reached as it is set up: {problem}")]
    Options {
        /// What was given.
        url: String,
        /// What the library said.
        problem: String,
    },
}

impl ObjectArchive {
    /// In an object store, below a prefix.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: impl Into<Key>) -> Self {
        Self {
            store,
            prefix: prefix.into(),
        }
    }

    /// At `s3://BUCKET/PREFIX`. Of `options`, those count that begin with `AWS_` or `aws_`, as `AWS_ACCESS_KEY_ID`,
    /// `AWS_REGION`, `AWS_ENDPOINT` and `AWS_ALLOW_HTTP`: [`AmazonS3ConfigKey`] has them all. Asks nobody.
    pub fn at_url<I>(url: &str, options: I) -> Result<Self, InvalidArchive>
    where
        I: IntoIterator<Item = (String, String)>,
    {
        let invalid = || InvalidArchive::Url {
            url: url.to_owned(),
        };
        let place = url.strip_prefix("s3://").ok_or_else(invalid)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(invalid());
        }
        let prefix = Key::parse(prefix).map_err(|_| invalid())?;
        let mut retry = RetryConfig::default();
        (retry.max_retries, retry.retry_timeout) = (REPEATS, REPEAT_FOR);
        let mut builder = AmazonS3Builder::new()
            .with_http_connector(Connector)
            .with_retry(retry);
        for (name, value) in options {
            let name = name.to_ascii_lowercase();
            if !name.starts_with(VARIABLES) {
                continue;
            }
            // There are variables that concern other programs.
            if let Ok(key) = name.parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder.with_bucket_name(bucket).build();
        let store = store.map_err(|problem| InvalidArchive::Options {
            url: url.to_owned(),
            problem: problem.to_string(),
        })?;
        Ok(Self::new(Arc::new(store), prefix))
    }

    fn key(&self, name: &str) -> Key {
        self.prefix.parts().chain(Key::from(name).parts()).collect()
    }

    /// Whether this is an archive. A bucket that is not there looks like an object that is not there.
    async fn check(&self) -> Result<(), ArchiveError> {
        match self.store.head(&self.key(MARKER)).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::NotFound { .. }) => {
                let prefix = &self.prefix;
                Err(ArchiveError::away(format_args!(
                    "there is no object `{MARKER}` below `{prefix}`: is it this bucket and this prefix?"
                )))
            }
            Err(error) => Err(ArchiveError::away(error)),
        }
    }

    /// What a refusal means: a file that is not there is missing only if the rest is.
    async fn refused(&self, name: &str, error: object_store::Error) -> ArchiveError {
        match error {
            object_store::Error::NotFound { .. } => match self.check().await {
                Ok(()) => ArchiveError::Missing {
                    name: name.to_owned(),
                },
                Err(away) => away,
            },
            error => ArchiveError::away(error),
        }
    }
}

#[async_trait]
impl LogArchive for ObjectArchive {
    async fn begin(&self) -> Result<(), ArchiveError> {
        let key = self.key(MARKER);
        match self.store.head(&key).await {
            Ok(_) => return Ok(()),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(ArchiveError::away(error)),
        }
        let put = self.store.put(&key, MARKER_TEXT.into()).await;
        put.map(drop).map_err(ArchiveError::away)
    }

    async fn put(&self, name: &str, file: &Path) -> Result<(), ArchiveError> {
        self.check().await?;
        let mut from = tokio::fs::File::open(file)
            .await
            .map_err(ArchiveError::away)?;
        let bytes = from.metadata().await.map_err(ArchiveError::away)?.len();
        let key = self.key(name);
        if bytes <= PART_BYTES as u64 {
            let mut whole = Vec::new();
            from.read_to_end(&mut whole)
                .await
                .map_err(ArchiveError::away)?;
            let put = self.store.put(&key, whole.into()).await;
            return put.map(drop).map_err(ArchiveError::away);
        }
        let begun = self.store.put_multipart(&key).await;
        let mut upload =
            WriteMultipart::new_with_chunk_size(begun.map_err(ArchiveError::away)?, PART_BYTES);
        let done = match copy(&mut from, &mut upload).await {
            Ok(()) => upload.finish().await.map(drop),
            Err(error) => {
                // What was sent costs room until it is given up.
                let _ = upload.abort().await;
                Err(error)
            }
        };
        done.map_err(ArchiveError::away)
    }

    async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        let key = self.key(name);
        // A range that reaches beyond the end is an error to some stores, and an answer to others.
        let end = match self.store.head(&key).await {
            Ok(found) => found.size,
            Err(error) => return Err(self.refused(name, error).await),
        };
        let range = range.start.min(end)..range.end.min(end);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        match self.store.get_range(&key, range).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(self.refused(name, error).await),
        }
    }

    async fn remove(&self, name: &str) -> Result<(), ArchiveError> {
        match self.store.delete(&self.key(name)).await {
            Ok(()) => Ok(()),
            Err(error) => match self.refused(name, error).await {
                ArchiveError::Missing { .. } => Ok(()),
                away => Err(away),
            },
        }
    }
}

async fn copy(
    from: &mut tokio::fs::File,
    to: &mut WriteMultipart,
) -> Result<(), object_store::Error> {
    let mut buffer = vec![0; PART_BYTES];
    loop {
        let read = from.read(&mut buffer).await;
        let read = read.map_err(|source| object_store::Error::Generic {
            store: "file",
            source: source.into(),
        })?;
        if read == 0 {
            return Ok(());
        }
        to.wait_for_capacity(PARTS).await?;
        to.write(&buffer[..read]);
    }
}
