//! An archive in an object store.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart, parse_url_opts};
use tokio::io::AsyncReadExt;
use url::Url;

use super::contract::{ArchiveError, LogArchive};

/// Files up to this length go in one request; longer ones in parts of it.
const PART_BYTES: usize = 8 * 1_024 * 1_024;

/// How many parts are on their way at once: a bound for memory.
const PARTS: usize = 2;

/// Keeps files in whatever the crate `object_store` reaches: which that is, features of that crate decide.
#[derive(Clone, Debug)]
pub struct ObjectArchive {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
}

/// Why a URL names no archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidArchive {
    /// It is no URL.
    #[error("`{url}` is no URL: {problem}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No object store that this program was built with is reached by it, or an option is wrong.
    #[error("`{url}` names no object store that this program can reach: {problem}")]
    Unknown {
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

    /// At a URL, as `s3://bucket/prefix` or `file:///var/archive`. `options` are those of the object store, as
    /// `aws_access_key_id`; variables of the environment have the same names.
    pub fn at_url<I>(url: &str, options: I) -> Result<Self, InvalidArchive>
    where
        I: IntoIterator<Item = (String, String)>,
    {
        let parsed = Url::parse(url).map_err(|problem| InvalidArchive::Url {
            url: url.to_owned(),
            problem: problem.to_string(),
        })?;
        let (store, prefix) =
            parse_url_opts(&parsed, options).map_err(|problem| InvalidArchive::Unknown {
                url: url.to_owned(),
                problem: problem.to_string(),
            })?;
        Ok(Self::new(Arc::from(store), prefix))
    }

    fn key(&self, name: &str) -> Key {
        self.prefix.parts().chain(Key::from(name).parts()).collect()
    }
}

#[async_trait]
impl LogArchive for ObjectArchive {
    /// An object store needs no preparation.
    async fn begin(&self) -> Result<(), ArchiveError> {
        Ok(())
    }

    async fn put(&self, name: &str, file: &Path) -> Result<(), ArchiveError> {
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
            return put.map(drop).map_err(|error| refused(name, error));
        }
        let begun = self.store.put_multipart(&key).await;
        let begun = begun.map_err(|error| refused(name, error))?;
        let mut upload = WriteMultipart::new_with_chunk_size(begun, PART_BYTES);
        let copied = copy(&mut from, &mut upload).await;
        match copied {
            Ok(()) => upload.finish().await.map(drop),
            Err(error) => {
                // What was sent costs room until it is given up.
                let _ = upload.abort().await;
                Err(error)
            }
        }
        .map_err(|error| refused(name, error))
    }

    async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        let key = self.key(name);
        // A range that reaches beyond the end is an error to some stores, and an answer to others.
        let found = self.store.head(&key).await;
        let end = found.map_err(|error| refused(name, error))?.size;
        let range = range.start.min(end)..range.end.min(end);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let read = self.store.get_range(&key, range).await;
        read.map_err(|error| refused(name, error))
    }

    async fn remove(&self, name: &str) -> Result<(), ArchiveError> {
        match self.store.delete(&self.key(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(refused(name, error)),
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

fn refused(name: &str, error: object_store::Error) -> ArchiveError {
    match error {
        object_store::Error::NotFound { .. } => ArchiveError::Missing {
            name: name.to_owned(),
        },
        error => ArchiveError::away(error),
    }
}
