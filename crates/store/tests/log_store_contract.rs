//! Both log stores against the suite.

use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use jobyard_core::LogStore;
use jobyard_store::{DirectoryArchive, FileLogs, LogOptions, MemoryLogs};
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

/// Segment files, which may become something else when they are over.
struct Files {
    directory: TempDir,
    archive: Option<TempDir>,
    compress_from: Option<u64>,
    opened: Mutex<Weak<FileLogs>>,
}

impl Files {
    /// Logs stay in their segments.
    fn live() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            archive: None,
            compress_from: None,
            opened: Mutex::default(),
        }
    }

    /// Every log is compressed.
    fn sealed() -> Self {
        Self {
            compress_from: Some(0),
            ..Self::live()
        }
    }

    /// Every log is moved to an archive.
    fn archived() -> Self {
        Self {
            archive: Some(tempfile::tempdir().expect("a directory")),
            ..Self::sealed()
        }
    }

    fn open(&self) -> Arc<dyn LogStore> {
        let mut options = LogOptions::default();
        options.compress_from = self.compress_from;
        if let Some(archive) = &self.archive {
            options.archive = Some(Arc::new(DirectoryArchive::new(archive.path())));
        }
        let logs = FileLogs::open_with(self.directory.path(), options);
        let logs = Arc::new(logs.expect("the directory is ours"));
        *self.opened.lock().expect("no panic") = Arc::downgrade(&logs);
        logs
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

    async fn settle(&self, _logs: &dyn LogStore) {
        let logs = self.opened.lock().expect("no panic").upgrade();
        let logs = logs.expect("the suite has it");
        logs.settle().await.expect("everything has its place");
    }
}

mod memory {
    jobyard_testkit::log_store_suite!(#[tokio::test], super::Memory);
}

mod files {
    jobyard_testkit::log_store_suite!(#[tokio::test], super::Files::live());
}

mod sealed_files {
    jobyard_testkit::log_store_suite!(#[tokio::test], super::Files::sealed());
}

mod archived_files {
    jobyard_testkit::log_store_suite!(#[tokio::test], super::Files::archived());
}
