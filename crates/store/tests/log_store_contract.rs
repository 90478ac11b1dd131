//! Both log stores against the suite.

use std::sync::Arc;

use async_trait::async_trait;
use jobyard_core::LogStore;
use jobyard_store::{FileLogs, MemoryLogs};
use jobyard_testkit::log_store::LogStoreFactory;
use tempfile::TempDir;

struct Memory;

#[async_trait]
impl LogStoreFactory for Memory {
    async fn fresh(&self) -> Arc<dyn LogStore> {
        Arc::new(MemoryLogs::new())
    }

    async fn reopen(&self, _logs: Arc<dyn LogStore>) -> Option<Arc<dyn LogStore>> {
        None
    }
}

struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    fn open(&self) -> Arc<dyn LogStore> {
        Arc::new(FileLogs::open(self.directory.path()).expect("the directory is ours"))
    }
}

#[async_trait]
impl LogStoreFactory for Files {
    async fn fresh(&self) -> Arc<dyn LogStore> {
        self.open()
    }

    async fn reopen(&self, logs: Arc<dyn LogStore>) -> Option<Arc<dyn LogStore>> {
        assert_eq!(Arc::strong_count(&logs), 1, "the suite kept a reference");
        drop(logs);
        Some(self.open())
    }
}

mod memory {
    jobyard_testkit::log_store_suite!(#[tokio::test], super::Memory);
}

mod files {
    jobyard_testkit::log_store_suite!(#[tokio::test], super::Files::new());
}
