//! Pieces of output that several readers want at about the same time: read once, and held once.
//!
//! Readers who follow a log side by side ask for the same bytes: each append wakes all of them. The first who asks for
//! an offset reads the disk, the others wait for its answer and share the memory. What was read last is kept for those
//! who come a little later. A reader that is alone shares with nobody and nothing is kept for it, and with the last
//! reader of a log goes all that was kept of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobyard_core::{AttemptId, LogChunk, LogReadError, LogStore};
use tokio::sync::OnceCell;

/// How many bytes are read at once.
pub(super) const READ_BYTES: usize = 128 * 1024;

/// How many blocks are kept for later readers, of all logs: 12 MiB, and at most a chunk more for each.
const KEPT_BLOCKS: usize = 96;

/// What was read at once. Chunks share their bytes.
pub(super) type Block = Arc<[LogChunk]>;

/// The blocks that readers share.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    logs: HashMap<AttemptId, Shelf>,
    /// What is on the shelves, oldest first.
    kept: VecDeque<(AttemptId, u64)>,
}

/// The blocks of one log that somebody reads, by the offset that was asked for.
#[derive(Debug, Default)]
struct Shelf {
    readers: usize,
    blocks: HashMap<u64, Place>,
}

/// What was found there, once somebody has looked.
type Place = Arc<OnceCell<Result<Block, LogReadError>>>;

impl Blocks {
    /// Begins to read a log.
    pub(super) fn visit(self: &Arc<Self>, attempt: AttemptId) -> Visit {
        self.lock().logs.entry(attempt).or_default().readers += 1;
        Visit {
            blocks: Arc::clone(self),
            attempt,
        }
    }

    /// The place of a block that is, or will be, shared; `None` for a reader that is alone.
    fn place(&self, attempt: AttemptId, from: u64) -> Option<Place> {
        let mut state = self.lock();
        let State { logs, kept } = &mut *state;
        let shelf = logs.get_mut(&attempt)?;
        if let Some(block) = shelf.blocks.get(&from) {
            return Some(Arc::clone(block));
        }
        if shelf.readers < 2 {
            return None;
        }
        let block = Arc::default();
        shelf.blocks.insert(from, Arc::clone(&block));
        kept.push_back((attempt, from));
        if kept.len() > KEPT_BLOCKS
            && let Some((attempt, from)) = kept.pop_front()
            && let Some(shelf) = logs.get_mut(&attempt)
        {
            shelf.blocks.remove(&from);
        }
        Some(block)
    }

    /// Takes away a place at which nothing was found: whoever comes from now on looks again.
    fn clear(&self, attempt: AttemptId, from: u64, place: &Place) {
        let mut state = self.lock();
        let State { logs, kept } = &mut *state;
        let Some(shelf) = logs.get_mut(&attempt) else {
            return;
        };
        if shelf
            .blocks
            .get(&from)
            .is_some_and(|now| Arc::ptr_eq(now, place))
        {
            shelf.blocks.remove(&from);
            kept.retain(|kept| *kept != (attempt, from));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who reads a log.
#[derive(Debug)]
pub(super) struct Visit {
    blocks: Arc<Blocks>,
    attempt: AttemptId,
}

impl Visit {
    /// Chunks from an offset on, about [`READ_BYTES`] of them; empty at the end. All who wait for the same block get the
    /// same answer, an error too: an archive that hangs keeps each of them for as long as one. Cancel-safe: another
    /// reader that waits for the same block then reads it.
    pub(super) async fn read(&self, logs: &dyn LogStore, from: u64) -> Result<Block, LogReadError> {
        let read = || async {
            let chunks = logs.read(self.attempt, from, READ_BYTES).await;
            chunks.map(Block::from)
        };
        let Some(place) = self.blocks.place(self.attempt, from) else {
            return read().await;
        };
        let found = place.get_or_init(read).await;
        if !found.as_ref().is_ok_and(|block| !block.is_empty()) {
            self.blocks.clear(self.attempt, from, &place);
        }
        found.clone()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut state = self.blocks.lock();
        let Some(shelf) = state.logs.get_mut(&self.attempt) else {
            return;
        };
        shelf.readers -= 1;
        if shelf.readers == 0 {
            let attempt = self.attempt;
            state.logs.remove(&attempt);
            state.kept.retain(|(kept, _)| *kept != attempt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use async_trait::async_trait;
    use bytes::Bytes;
    use futures_util::FutureExt;
    use jobyard_core::{
        AppendError, Appended, AttemptNumber, Epoch, JobId, LogEnd, LogStatus, LogUsage,
        OutputStream, Timestamp,
    };
    use uuid::Uuid;

    /// A log of so many bytes, which counts how often it is read.
    #[derive(Debug, Default)]
    struct Counting {
        end: u64,
        reads: AtomicUsize,
        /// Reads fail.
        away: AtomicBool,
    }

    #[async_trait]
    impl LogStore for Counting {
        async fn read(
            &self,
            _: AttemptId,
            from: u64,
            limit: usize,
        ) -> Result<Vec<LogChunk>, LogReadError> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            if self.away.load(Ordering::Relaxed) {
                let problem = "the archive does not answer".to_owned();
                return Err(LogReadError::Storage { problem });
            }
            let length =
                usize::try_from(self.end.saturating_sub(from)).map_or(0, |rest| rest.min(limit));
            if length == 0 {
                return Ok(Vec::new());
            }
            let bytes = Bytes::from(vec![b'x'; length]);
            Ok(vec![LogChunk::new(
                from,
                OutputStream::Stdout,
                Timestamp::default(),
                bytes,
            )])
        }

        async fn append(
            &self,
            _: Epoch,
            _: AttemptId,
            _: Vec<LogChunk>,
        ) -> Result<Appended, AppendError> {
            unreachable!("nobody writes")
        }

        async fn watch(&self, _: AttemptId, _: u64) -> Result<LogStatus, LogReadError> {
            unreachable!("nobody waits")
        }

        async fn status(&self, _: AttemptId) -> Result<LogStatus, LogReadError> {
            unreachable!("nobody asks")
        }

        async fn seal(&self, _: Epoch, _: AttemptId, _: LogEnd) -> Result<LogStatus, AppendError> {
            unreachable!("nobody writes")
        }

        async fn usage(&self) -> Result<LogUsage, LogReadError> {
            unreachable!("nobody asks")
        }

        async fn remove(&self, _: AttemptId) -> Result<(), LogReadError> {
            unreachable!("nobody removes")
        }
    }

    fn attempt() -> AttemptId {
        AttemptId::new(JobId::from_uuid(Uuid::from_u128(1)), AttemptNumber::FIRST)
    }

    fn log(end: u64) -> Counting {
        Counting {
            end,
            ..Counting::default()
        }
    }

    #[tokio::test]
    async fn readers_side_by_side_read_the_disk_once() {
        let (blocks, log) = (Arc::<Blocks>::default(), log(10 << 20));
        let visits: Vec<_> = (0..100).map(|_| blocks.visit(attempt())).collect();
        for from in [0, READ_BYTES as u64] {
            let all = visits.iter().map(|visit| visit.read(&log, from));
            for block in futures_util::future::join_all(all).await {
                assert_eq!(block.expect("it can be read")[0].offset, from);
            }
        }
        assert_eq!(log.reads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_reader_that_left_while_it_read_holds_up_nobody() {
        let (blocks, log) = (Arc::<Blocks>::default(), log(1));
        let (first, second) = (blocks.visit(attempt()), blocks.visit(attempt()));
        let mut left = Box::pin(first.read(&log, 0));
        assert!((&mut left).now_or_never().is_none());
        let mut waits = Box::pin(second.read(&log, 0));
        assert!((&mut waits).now_or_never().is_none());
        drop(left);
        assert_eq!(waits.await.expect("it can be read").len(), 1);
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_goes_with_the_last_reader() {
        let (blocks, log) = (Arc::<Blocks>::default(), log(1 << 30));
        let first = blocks.visit(attempt());
        first.read(&log, 0).await.expect("it can be read");
        assert!(blocks.lock().kept.is_empty(), "nobody shares yet");
        let second = blocks.visit(attempt());
        for number in 0..2 * KEPT_BLOCKS as u64 {
            let from = number * READ_BYTES as u64;
            second.read(&log, from).await.expect("it can be read");
        }
        assert_eq!(blocks.lock().kept.len(), KEPT_BLOCKS);
        assert_eq!(blocks.lock().logs[&attempt()].blocks.len(), KEPT_BLOCKS);
        drop((first, second));
        let state = blocks.lock();
        assert!(state.kept.is_empty() && state.logs.is_empty());
    }

    #[tokio::test]
    async fn nothing_there_yet_is_asked_for_again() {
        let (blocks, mut log) = (Arc::<Blocks>::default(), log(0));
        let (first, second) = (blocks.visit(attempt()), blocks.visit(attempt()));
        assert!(
            first
                .read(&log, 0)
                .await
                .expect("it can be read")
                .is_empty()
        );
        log.end = 3;
        let block = second.read(&log, 0).await.expect("it can be read");
        assert_eq!(block[0].bytes.len(), 3);
    }

    #[tokio::test]
    async fn who_waits_for_the_same_block_gets_the_same_error_and_the_next_looks_again() {
        let (blocks, log) = (Arc::<Blocks>::default(), log(3));
        let visits: Vec<_> = (0..100).map(|_| blocks.visit(attempt())).collect();
        log.away.store(true, Ordering::Relaxed);
        let all = visits.iter().map(|visit| visit.read(&log, 0));
        for answer in futures_util::future::join_all(all).await {
            assert!(matches!(answer, Err(LogReadError::Storage { .. })));
        }
        assert_eq!(log.reads.load(Ordering::Relaxed), 1);
        assert!(blocks.lock().kept.is_empty(), "nothing to keep");
        log.away.store(false, Ordering::Relaxed);
        let block = visits[0].read(&log, 0).await.expect("it can be read");
        assert_eq!(block[0].bytes.len(), 3);
        assert_eq!(blocks.lock().kept.len(), 1);
    }
}
