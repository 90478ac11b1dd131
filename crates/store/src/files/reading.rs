//! Reads of a log, wherever its bytes are.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use jobyard_core::{AppendError, Appended, LogChunk, LogReadError};
use tokio::task::spawn_blocking;

use super::index::{ArchivedFile, Kept, SealedFile};
use super::layout::Layout;
use super::log::{Log, MAX_READ_BYTES, cost, is_missing, not_written};
use super::names::Kind;
use super::store::{FileLogs, storage};
use crate::archive::{ArchiveError, Place};
use crate::chunks;
use crate::sealed::{IndexError, SealedIndex, TAIL_GUESS_BYTES, decode};

/// How many held bytes are compared with a repeat at a time.
const COMPARE_BYTES: usize = 1_024 * 1_024;

impl FileLogs {
    /// Chunks from an offset on, of a log that is known.
    pub(super) async fn read_log(
        &self,
        log: &Arc<Log>,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogChunk>, LogReadError> {
        loop {
            if from >= log.status().end {
                return Ok(Vec::new());
            }
            let kept = log.kept();
            let read = self.read_kept(log, &kept, from, limit).await;
            // What was moved while it was read is looked for at its new place.
            let is_moved = !kept.is(&log.kept());
            match read {
                Err(_) if is_moved => {}
                Ok(chunks) if is_moved && chunks.is_empty() => {}
                read => return read,
            }
        }
    }

    async fn read_kept(
        &self,
        log: &Arc<Log>,
        kept: &Kept,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogChunk>, LogReadError> {
        match kept {
            Kept::Segments => {
                let read = move |layout: &Layout, log: &Log| log.read(layout, from, limit);
                self.at_disk(Arc::clone(log), move |shared, log| {
                    read(&shared.layout, log)
                })
                .await
                .map_err(storage)?
            }
            Kept::Sealed(file) => {
                let file = Arc::clone(file);
                self.at_disk(Arc::clone(log), move |shared, log| {
                    read_sealed(&shared.layout, log, &file, from, limit)
                })
                .await
                .map_err(storage)?
            }
            Kept::Archived(file) => self.read_archived(log, file, from, limit).await,
        }
    }

    async fn read_archived(
        &self,
        log: &Arc<Log>,
        file: &Arc<ArchivedFile>,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogChunk>, LogReadError> {
        let Some(place) = &self.shared.place else {
            return Err(storage(
                "it is in an archive, and none is named: start the master with --log-archive"
                    .to_owned(),
            ));
        };
        let failed = |error| unreachable_or_damaged(log, &error);
        let index = if let Some(index) = file.index.get() {
            index
        } else {
            let index = archived_index(log, file, place).await?;
            file.index.get_or_init(|| index)
        };
        let mut found = Found::new(from, limit);
        let first = index.block_of(from).unwrap_or(index.blocks.len());
        for block in &index.blocks[first..] {
            let range = block.position..block.position + block.size();
            let frames = place
                .read(&file.pointer.name, range)
                .await
                .map_err(failed)?;
            let block = block.clone();
            let chunks = spawn_blocking(move || decode(&frames, &block))
                .await
                .map_err(|_| storage("the runtime is shutting down".to_owned()))?
                .map_err(|problem| log.damaged(format!("in the archive: {problem}")))?;
            if found.add(&chunks) {
                break;
            }
        }
        Ok(found.chunks)
    }

    /// Compares a repeat with what is held of a log that is over.
    pub(super) async fn repeat(
        &self,
        log: &Arc<Log>,
        chunks: &[LogChunk],
        (begin, end): (u64, u64),
    ) -> Result<Appended, AppendError> {
        let failed = |problem: String| AppendError::Storage { problem };
        let held = log.status().end;
        let mut at = begin;
        while at < end.min(held) {
            let left = usize::try_from(end.min(held) - at).unwrap_or(usize::MAX);
            let read = self.read_log(log, at, left.min(COMPARE_BYTES)).await;
            let read = read.map_err(not_written)?;
            for held in &read {
                if let Some(offset) = chunks::first_difference(held, chunks) {
                    return Err(AppendError::Conflict { offset });
                }
                at = held.end();
            }
            if read.is_empty() {
                return Err(failed("the log was removed meanwhile".to_owned()));
            }
        }
        if end <= held {
            return Ok(Appended::Durable { to: held });
        }
        Err(AppendError::Misplaced {
            problem: "the log is sealed",
        })
    }
}

/// Gathers chunks for a reader.
struct Found {
    chunks: Vec<LogChunk>,
    from: u64,
    /// How much memory they may still take.
    left: usize,
}

impl Found {
    fn new(from: u64, limit: usize) -> Self {
        Self {
            chunks: Vec::new(),
            from,
            left: limit.min(MAX_READ_BYTES),
        }
    }

    /// Adds what the reader wants of these. Says whether that is all.
    fn add(&mut self, chunks: &[LogChunk]) -> bool {
        let wanted = chunks
            .iter()
            .filter_map(|chunk| chunks::from_offset(chunk, self.from));
        for chunk in wanted {
            self.left = self.left.saturating_sub(cost(&chunk));
            self.chunks.push(chunk);
            if self.left == 0 {
                return true;
            }
        }
        false
    }
}

fn read_sealed(
    layout: &Layout,
    log: &Log,
    file: &SealedFile,
    from: u64,
    limit: usize,
) -> Result<Vec<LogChunk>, LogReadError> {
    let unreadable = |error: io::Error| {
        if is_missing(&error) {
            return log.damaged("the sealed file is missing, or cut off".to_owned());
        }
        storage(error.to_string())
    };
    let mut found = Found::new(from, limit);
    let first = file.index.block_of(from).unwrap_or(file.index.blocks.len());
    let path = layout.file(log.attempt(), Kind::Sealed);
    let mut source = File::open(path).map_err(unreadable)?;
    for block in &file.index.blocks[first..] {
        let size = usize::try_from(block.size()).map_err(|error| storage(error.to_string()))?;
        let mut frames = vec![0; size];
        source
            .seek(SeekFrom::Start(block.position))
            .and_then(|_| source.read_exact(&mut frames))
            .map_err(unreadable)?;
        let chunks = decode(&frames, block)
            .map_err(|problem| log.damaged(format!("{problem}, from byte {}", block.offset)))?;
        if found.add(&chunks) {
            break;
        }
    }
    Ok(found.chunks)
}

/// The index of a file in the archive, if it is the file that was put there.
async fn archived_index(
    log: &Log,
    file: &ArchivedFile,
    place: &Place,
) -> Result<SealedIndex, LogReadError> {
    let pointer = &file.pointer;
    let mut wanted = TAIL_GUESS_BYTES.min(pointer.bytes);
    loop {
        let range = pointer.bytes - wanted..pointer.bytes;
        let tail = place
            .read(&pointer.name, range)
            .await
            .map_err(|error| unreachable_or_damaged(log, &error))?;
        if tail.len() as u64 != wanted {
            return Err(log.damaged("the file in the archive is cut off".to_owned()));
        }
        match SealedIndex::parse(&tail, pointer.bytes, log.attempt()) {
            Ok(index) if pointer.knows(&index) => return Ok(index),
            Ok(_) => {
                let problem =
                    "the digest of the file in the archive is not the one that was put there";
                return Err(log.damaged(problem.to_owned()));
            }
            Err(IndexError::More(more)) if wanted < pointer.bytes => {
                wanted = more.min(pointer.bytes);
            }
            Err(IndexError::More(_)) => {
                return Err(log.damaged("the file in the archive is cut off".to_owned()));
            }
            Err(IndexError::Bad(problem)) => {
                return Err(log.damaged(format!("the file in the archive: {problem}")));
            }
        }
    }
}

/// Whether it may come back decides what a reader is told.
fn unreachable_or_damaged(log: &Log, error: &ArchiveError) -> LogReadError {
    match error {
        ArchiveError::Missing { .. } => log.damaged(error.to_string()),
        ArchiveError::Away { .. } => storage(error.to_string()),
    }
}
