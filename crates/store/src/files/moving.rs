//! Moving one log to the archive, and removing one from there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use jobyard_core::AttemptId;
use tokio::task::spawn_blocking;

use super::chores::SettleError;
use super::compress::{CompressError, checked_sum};
use super::index::{ArchivedFile, Kept, SealedFile};
use super::layout::{Layout, owner_only};
use super::log::Log;
use super::names::Kind;
use super::pointer::{Pointer, PointerError};
use super::recover::signed;
use super::store::FileLogs;
use crate::archive::{ArchiveError, Place};

impl FileLogs {
    /// Removes from the archive what is to go, and puts there what is to stay.
    ///
    /// What is put there is noted before as what is to be removed, and the note becomes the pointer when all is there. So
    /// whatever happens in between, the log removed or the process killed, nothing stays there of which nobody knows.
    /// Says whether anything has changed.
    pub(super) async fn archive(
        &self,
        attempt: AttemptId,
        place: &Place,
    ) -> Result<bool, SettleError> {
        let refused = |source| SettleError::Archive { attempt, source };
        let failed = |problem: String| SettleError::Storage { attempt, problem };
        let is_removed = self.remove_from_archive(attempt, place).await?;
        let log = self
            .known(attempt)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let kept = log.kept();
        let Kept::Sealed(file) = &kept else {
            return Ok(is_removed);
        };
        let Some(sum) = self.checked_sum(&log, file).await? else {
            return Ok(is_removed);
        };
        let pointer = Pointer::new(attempt, &file.index, file.bytes, sum);
        self.begin_archive(attempt, place).await?;
        let (noted, of) = (pointer.clone(), kept.clone());
        let is_noted = self.in_turn_at_disk(attempt, move |shared, log| {
            note(&shared.layout, log, &of, &noted)
        });
        if !is_noted.await.map_err(failed)? {
            return Ok(is_removed);
        }
        let path = self.shared.layout.file(attempt, Kind::Sealed);
        let put = place.put(&pointer.name, &path, file.bytes, sum).await;
        let put = put.and_then(|is_same| {
            let problem = format!("{} reads back with another digest", pointer.name);
            is_same.then_some(()).ok_or(ArchiveError::Away { problem })
        });
        if log.kept().is(&kept) {
            put.map_err(refused)?;
        }
        let is_moved = self.in_turn_at_disk(attempt, move |shared, log| {
            replace_by_pointer(&shared.layout, log, &kept, pointer)
        });
        if !is_moved.await.map_err(failed)? {
            // It was removed meanwhile.
            return self.remove_from_archive(attempt, place).await;
        }
        tracing::debug!(%attempt, "output archived");
        Ok(true)
    }

    /// Makes an archive of the place, once for this directory: if it is none later, it is not mounted.
    async fn begin_archive(&self, attempt: AttemptId, place: &Place) -> Result<(), SettleError> {
        let layout = &self.shared.layout;
        if layout.archive_is_begun() {
            return Ok(());
        }
        // A directory that was restored has no file that says so.
        if layout.usage().archived == 0 {
            let begun = place.begin().await;
            begun.map_err(|source| SettleError::Archive { attempt, source })?;
        }
        self.in_turn_at_disk(attempt, |shared, _| shared.layout.say_archive_is_begun())
            .await
            .map_err(|problem| SettleError::Storage { attempt, problem })
    }

    /// The digest of a sealed file that is what was written. `None` if the log is elsewhere by now.
    async fn checked_sum(
        &self,
        log: &Log,
        file: &Arc<SealedFile>,
    ) -> Result<Option<[u8; 32]>, SettleError> {
        let attempt = log.attempt();
        let failed = |problem: String| SettleError::Storage { attempt, problem };
        let path = self.shared.layout.file(attempt, Kind::Sealed);
        let read = Arc::clone(file);
        match spawn_blocking(move || checked_sum(&path, attempt, &read)).await {
            Ok(Ok(sum)) => Ok(Some(sum)),
            Ok(Err(_)) if !log.kept().is(&Kept::Sealed(Arc::clone(file))) => Ok(None),
            Ok(Err(CompressError::Damaged(problem))) => {
                Err(SettleError::Damaged { attempt, problem })
            }
            Ok(Err(CompressError::Later(problem))) => Err(failed(problem)),
            Err(_) => Err(failed("the runtime is shutting down".to_owned())),
        }
    }

    /// Removes from the archive what is noted, then the note. Not while something is put there for the same attempt. Says
    /// whether there was a note.
    async fn remove_from_archive(
        &self,
        attempt: AttemptId,
        place: &Place,
    ) -> Result<bool, SettleError> {
        let failed = |problem: String| SettleError::Storage { attempt, problem };
        let found = self
            .in_turn_at_disk(attempt, |shared, log| noted(&shared.layout, log))
            .await
            .map_err(failed)?;
        let Some(note) = found else {
            return Ok(false);
        };
        if let Some(name) = &note.name {
            let removed = place.remove(name).await;
            removed.map_err(|source| SettleError::Archive { attempt, source })?;
        }
        self.in_turn_at_disk(attempt, move |shared, log| {
            let (bytes, len) = (note.bytes, note.len);
            fs::remove_file(shared.layout.file(log.attempt(), Kind::Removing { bytes }))?;
            shared.layout.count(0, -signed(len));
            shared.layout.count_archived(-signed(bytes));
            Ok(true)
        })
        .await
        .map_err(failed)
    }
}

/// What the archive is to lose.
struct Note {
    /// What to remove there. `None` if nobody knows any more what it was, or it is what the pointer names.
    name: Option<String>,
    /// The length there.
    bytes: u64,
    /// The length of the note.
    len: u64,
}

/// What is noted of a log. In turn.
fn noted(layout: &Layout, log: &Log) -> io::Result<Option<Note>> {
    let files = layout.files_of(log.attempt())?;
    let Some((bytes, len)) = files.removing else {
        return Ok(None);
    };
    let load = |kind| Pointer::load(&layout.file(log.attempt(), kind), log.attempt());
    let name = match load(Kind::Removing { bytes }) {
        Ok(pointer) => Some(pointer.name),
        Err(PointerError::Damaged(_)) => None,
        Err(PointerError::Io(error)) => return Err(error),
    };
    // Never both of the same file. A copy of the directory that was made meanwhile may have them nevertheless.
    let kept = files
        .archived
        .map(|(bytes, _)| load(Kind::Archived { bytes }));
    let name = match kept {
        None => name,
        Some(Ok(pointer)) => name.filter(|name| *name != pointer.name),
        Some(Err(PointerError::Damaged(_))) => None,
        Some(Err(PointerError::Io(error))) => return Err(error),
    };
    Ok(Some(Note { name, bytes, len }))
}

/// Says durably, before anything of it is there, what would have to be removed from the archive. `false` if the log is
/// elsewhere by now. In turn.
fn note(layout: &Layout, log: &Log, kept: &Kept, pointer: &Pointer) -> io::Result<bool> {
    if !log.kept().is(kept) {
        return Ok(false);
    }
    let (attempt, bytes) = (log.attempt(), pointer.bytes);
    let partial = layout.file(attempt, Kind::ArchivedPartial { bytes });
    let text = pointer.to_text()?;
    if let Err(error) = write_durably(&partial, &text) {
        // On a disk that is full it takes room that others need.
        let _ = fs::remove_file(&partial);
        return Err(error);
    }
    fs::rename(partial, layout.file(attempt, Kind::Removing { bytes }))?;
    layout.count(0, signed(text.len() as u64));
    layout.count_archived(signed(bytes));
    layout.sync_names(attempt)?;
    Ok(true)
}

fn write_durably(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true);
    let mut to = owner_only(options).open(path)?;
    to.write_all(text.as_bytes())?;
    to.sync_all()
}

/// Makes the note a pointer, which says durably where the log is, then removes the log here. `false` if it is elsewhere by
/// now. In turn.
fn replace_by_pointer(
    layout: &Layout,
    log: &Log,
    kept: &Kept,
    pointer: Pointer,
) -> io::Result<bool> {
    if !log.kept().is(kept) {
        return Ok(false);
    }
    let (attempt, bytes) = (log.attempt(), pointer.bytes);
    let note = layout.file(attempt, Kind::Removing { bytes });
    fs::rename(note, layout.file(attempt, Kind::Archived { bytes }))?;
    layout.sync_names(attempt)?;
    log.move_to(Kept::Archived(Arc::new(ArchivedFile {
        pointer,
        index: OnceLock::new(),
    })));
    fs::remove_file(layout.file(attempt, Kind::Sealed))?;
    layout.count(0, -signed(bytes));
    Ok(true)
}
