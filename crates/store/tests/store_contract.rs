//! Both stores against the suite.

use std::sync::Arc;

use async_trait::async_trait;
use jobyard_core::{RecordKind, Store};
use jobyard_store::{MemoryStore, SqliteOptions, SqliteStore};
use jobyard_testkit::store::StoreFactory;
use tempfile::TempDir;

struct Memory;

#[async_trait]
impl StoreFactory for Memory {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }

    async fn reopen(&self, _store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        None
    }
}

struct Sqlite {
    directory: TempDir,
}

impl Sqlite {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    fn open(&self) -> Arc<dyn Store> {
        let path = self.directory.path().join("store.db");
        Arc::new(SqliteStore::open(path, &SqliteOptions::default()).expect("the file is ours"))
    }
}

#[async_trait]
impl StoreFactory for Sqlite {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.open()
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        assert_eq!(Arc::strong_count(&store), 1, "the suite kept a reference");
        drop(store);
        Some(self.open())
    }

    async fn small(&self, bytes: u64) -> Option<Arc<dyn Store>> {
        let path = self.directory.path().join("small.db");
        let mut options = SqliteOptions::default();
        options.max_bytes = Some(bytes);
        options.watermark_bytes = bytes / 2;
        options.reserve_bytes = 0;
        let store = SqliteStore::open(path, &options).expect("the file is ours");
        Some(Arc::new(store))
    }

    async fn damage(&self, _store: &dyn Store, kind: RecordKind, key: &str) -> bool {
        let path = self.directory.path().join("store.db");
        let person = rusqlite::Connection::open(path).expect("a second connection");
        let changed = person.execute(
            "UPDATE records SET body = replace(body, '{', '{ ') WHERE kind = ?1 AND key = ?2",
            [kind.0, key],
        );
        changed.expect("an update") == 1
    }
}

mod memory {
    jobyard_testkit::store_suite!(#[tokio::test], super::Memory);
}

mod sqlite {
    jobyard_testkit::store_suite!(#[tokio::test], super::Sqlite::new());
}
