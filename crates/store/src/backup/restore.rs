//! Restoring a backup.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use jobyard_core::{Epoch, Timestamp, mutated};
use rusqlite::{Connection, params};
use serde::de::DeserializeOwned;

use super::archive::{TELL_EVERY, open};
use super::digest::DigestReader;
use super::epoch::epoch_after_restore;
use super::error::{self, RestoreError};
use super::manifest::{BackupFile, FORMAT, HEAD, Head, MANIFEST, Manifest, is_tame};
use super::place::Place;
use super::progress::BackupProgress;
use super::staging::{private_directories, private_file};
use crate::sqlite;

/// How large the first entry may be.
const MAX_HEAD_BYTES: u64 = 64 * 1_024;

/// How large the list of files may be: some 200 bytes for each of ten million.
const MAX_MANIFEST_BYTES: u64 = 2 * 1_024 * 1_024 * 1_024;

/// How a backup is restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// Now, by the wall clock: decides how far the term jumps, see [`epoch_after_restore`].
    pub now: Timestamp,
    /// The highest term that a worker is known to have seen.
    pub at_least: Epoch,
}

impl RestoreOptions {
    /// With a jump that is enough unless this clock is behind.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            now,
            at_least: Epoch::ZERO,
        }
    }
}

/// Restores a backup into an empty directory, or one that is not there, and says what was in it. Blocks, for as long as
/// it takes to read the archive.
///
/// Nothing is put into its place before the whole archive was compared with its list of digests. If the process dies
/// in between, what it leaves is refused by [`SqliteStore::open`](crate::SqliteStore::open) with a clear text: empty the
/// directory and repeat. The next term of the restored master lies above every one that may have been used, see
/// [`epoch_after_restore`]: workers refuse a master that falls back.
///
/// What happened after the backup was made is not known to the restored master: jobs that were submitted since are
/// gone, and workers report attempts that it does not know.
pub fn restore(
    archive: &Path,
    directory: &Path,
    options: &RestoreOptions,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<Manifest, RestoreError> {
    refuse_what_is_there(directory)?;
    let mut unpack = Unpack {
        directory,
        place: None,
    };
    let done = read_archive(archive, &mut unpack, progress).and_then(|manifest| {
        let Some(place) = &unpack.place else {
            return Err(not_a_backup(archive, "it is empty"));
        };
        jump(
            archive,
            &place.staged(&manifest.database),
            &manifest,
            options,
        )?;
        place
            .settle(&mut || progress(BackupProgress::Placing))
            .map_err(error::place(directory))?;
        Ok(manifest)
    });
    let (Err(cause), Some(place)) = (&done, &unpack.place) else {
        return done;
    };
    tracing::warn!(%cause, "what was restored is removed again");
    match (place.clear(), done) {
        (Err(source), Err(cause)) => Err(RestoreError::Leftover {
            cause: Box::new(cause),
            path: directory.to_owned(),
            source,
        }),
        (_, done) => done,
    }
}

/// Reads a whole backup and compares it with its list of digests, without putting anything anywhere.
pub fn verify_backup(
    archive: &Path,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<Manifest, RestoreError> {
    read_archive(archive, &mut Discard, progress)
}

/// What becomes of what is read.
trait Sink {
    /// The archive begins.
    fn begin(&mut self, head: &Head) -> Result<(), RestoreError>;

    /// Where the bytes of a file go.
    fn file(&mut self, path: &str) -> Result<Box<dyn Write>, RestoreError>;
}

/// Puts everything into staging.
struct Unpack<'d> {
    directory: &'d Path,
    place: Option<Place>,
}

impl Sink for Unpack<'_> {
    fn begin(&mut self, head: &Head) -> Result<(), RestoreError> {
        let begun = Place::begin(self.directory, &head.database);
        self.place = Some(begun.map_err(error::place(self.directory))?);
        Ok(())
    }

    fn file(&mut self, path: &str) -> Result<Box<dyn Write>, RestoreError> {
        let Some(place) = &self.place else {
            return Ok(Box::new(io::sink()));
        };
        let path = place.staged(path);
        let made = path
            .parent()
            .map_or(Ok(()), private_directories)
            .and_then(|()| private_file(&path));
        Ok(Box::new(made.map_err(error::place(&path))?))
    }
}

/// Keeps nothing.
struct Discard;

impl Sink for Discard {
    fn begin(&mut self, _head: &Head) -> Result<(), RestoreError> {
        Ok(())
    }

    fn file(&mut self, _path: &str) -> Result<Box<dyn Write>, RestoreError> {
        Ok(Box::new(io::sink()))
    }
}

/// Lengths and digests of files, by path.
type Found = BTreeMap<String, (u64, String)>;

/// Walks through an archive, from its head to its list, and compares.
fn read_archive(
    path: &Path,
    sink: &mut dyn Sink,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<Manifest, RestoreError> {
    let damaged = |error: io::Error| damaged(path, &error.to_string());
    let mut archive = open(path).map_err(|error| not_a_backup(path, &error.to_string()))?;
    let mut found = Found::new();
    let mut bytes = 0;
    let mut manifest: Option<Manifest> = None;
    for (index, entry) in archive.entries().map_err(damaged)?.enumerate() {
        let mut entry = entry.map_err(|error| match index {
            0 => not_a_backup(path, &error.to_string()),
            _ => damaged(error),
        })?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if index == 0 {
            let head: Head = head_of(path, &name, &mut entry)?;
            sink.begin(&head)?;
            continue;
        }
        if manifest.is_some() {
            return Err(not_a_backup(path, "something follows its list"));
        }
        if name == MANIFEST {
            manifest = Some(json(path, &mut entry, MAX_MANIFEST_BYTES)?);
            continue;
        }
        if !is_tame(&name) || !entry.header().entry_type().is_file() || found.contains_key(&name) {
            return Err(not_a_backup(path, &format!("it holds {name:?}")));
        }
        let (length, digest) = copy(path, &mut entry, &mut sink.file(&name)?, &name)?;
        bytes += length;
        found.insert(name, (length, digest));
        let files = found.len() as u64;
        if files % TELL_EVERY == 1 {
            progress(BackupProgress::Files { files, bytes });
        }
    }
    // To the very end: there stand the checksums of the compression.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    let files = found.len() as u64;
    progress(BackupProgress::Files { files, bytes });
    progress(BackupProgress::Verifying);
    let manifest = manifest.ok_or_else(|| self::damaged(path, "its end is missing"))?;
    compare(path, &manifest, found)?;
    Ok(manifest)
}

/// What an archive begins with.
fn head_of(path: &Path, name: &str, entry: &mut impl Read) -> Result<Head, RestoreError> {
    if name != HEAD {
        return Err(not_a_backup(path, "it is the archive of another program"));
    }
    let head: Head = json(path, entry, MAX_HEAD_BYTES)?;
    if head.format != FORMAT {
        return Err(not_a_backup(
            path,
            &format!(
                "its form is {}, this program knows {FORMAT}: use the program that made it, or a newer one",
                head.format
            ),
        ));
    }
    if !is_tame(&head.database) || head.database.contains('/') {
        return Err(not_a_backup(path, "its database has an impossible name"));
    }
    Ok(head)
}

fn json<T: DeserializeOwned>(
    path: &Path,
    entry: &mut impl Read,
    limit: u64,
) -> Result<T, RestoreError> {
    serde_json::from_reader(entry.take(limit))
        .map_err(|error| damaged(path, &format!("what it says about itself: {error}")))
}

/// Copies one file; its length and digest.
fn copy(
    archive: &Path,
    from: &mut impl Read,
    to: &mut dyn Write,
    name: &str,
) -> Result<(u64, String), RestoreError> {
    let mut reader = DigestReader::new(from);
    let mut buffer = vec![0; 64 * 1_024];
    loop {
        let read = reader
            .read(&mut buffer)
            .map_err(|error| damaged(archive, &format!("{name}: {error}")))?;
        if read == 0 {
            return Ok(reader.finish());
        }
        to.write_all(&buffer[..read])
            .map_err(error::place(Path::new(name)))?;
    }
}

/// Whether exactly what the list names was there.
fn compare(path: &Path, manifest: &Manifest, mut found: Found) -> Result<(), RestoreError> {
    for BackupFile {
        path: name,
        bytes,
        sha256,
    } in &manifest.files
    {
        match found.remove(name) {
            Some((length, digest)) if length == *bytes && digest == *sha256 => {}
            Some(_) => return Err(damaged(path, &format!("{name} is not what was copied"))),
            None => return Err(damaged(path, &format!("{name} is missing"))),
        }
    }
    match found.first_key_value() {
        Some((name, _)) => Err(damaged(path, &format!("{name} is not in its list"))),
        None => Ok(()),
    }
}

/// Lifts the term of the restored database above every one that may have been used.
fn jump(
    archive: &Path,
    database: &Path,
    manifest: &Manifest,
    options: &RestoreOptions,
) -> Result<(), RestoreError> {
    let mut epoch = epoch_after_restore(manifest.epoch(), options.at_least, options.now);
    if mutated("a restored master goes on with its old term") {
        epoch = manifest.epoch();
    }
    let epoch = i64::try_from(epoch.0)
        .map_err(|_| not_a_backup(archive, "there is no term above the ones that were used"))?;
    if manifest.schema > sqlite::known_schema() {
        return Err(not_a_backup(
            archive,
            "a newer program made it: use that one, or a newer one still",
        ));
    }
    let written = Connection::open(database).and_then(|connection| {
        connection.execute(
            "UPDATE leader SET epoch = ?1, holder = NULL, batch = 0",
            params![epoch],
        )
    });
    match written {
        Ok(1) => Ok(()),
        Ok(_) => Err(damaged(archive, "its database has no leader's row")),
        Err(error) => Err(damaged(archive, &format!("its database: {error}"))),
    }
}

/// A restore never mixes with what is there.
fn refuse_what_is_there(directory: &Path) -> Result<(), RestoreError> {
    match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(RestoreError::NotEmpty {
            path: directory.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(error::place(directory)(source)),
    }
}

fn damaged(path: &Path, problem: &str) -> RestoreError {
    RestoreError::Damaged {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}

fn not_a_backup(path: &Path, problem: &str) -> RestoreError {
    RestoreError::NotABackup {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}
