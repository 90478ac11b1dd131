//! The connections that read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jobyard_core::LoadError;
use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::failure::Failure;
use super::open::open_reader;

/// A bounded set of read connections. Who finds none free waits for one.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// At most `limit` at once. Connections are opened when they are first needed.
    pub(crate) fn new(path: &Path, limit: usize) -> Self {
        Self {
            path: path.to_owned(),
            free: Arc::default(),
            permits: Arc::new(Semaphore::new(limit.max(1))),
        }
    }

    /// Runs a question on a connection, away from the threads of the runtime. If the caller loses interest the
    /// question still ends, and gives its connection back.
    pub(crate) async fn ask<T, F>(&self, question: F) -> Result<T, LoadError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, LoadError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| unavailable("the store is closed"))?;
        let free = Arc::clone(&self.free);
        let path = self.path.clone();
        spawn_blocking(move || {
            let idle = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&path).map_err(Failure::from)?,
            };
            let answer = question(&connection);
            free.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            drop(permit);
            answer
        })
        .await
        .map_err(|_| unavailable("the runtime is shutting down"))?
    }
}

/// Nobody was there to answer.
pub(crate) fn unavailable(problem: &str) -> LoadError {
    LoadError::Storage {
        problem: problem.to_owned(),
    }
}
