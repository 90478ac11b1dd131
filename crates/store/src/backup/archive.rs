//! The archive: a tar file, compressed with zstd.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::Path;

use serde::Serialize;

use super::digest::DigestReader;
use super::manifest::BackupFile;
use super::progress::BackupProgress;

/// How hard is compressed: zstd's own default, which is about as fast as a disk.
const LEVEL: i32 = 3;

/// Memory for what is read from and written to the archive.
const BUFFER_BYTES: usize = 256 * 1_024;

/// After how many files progress is told.
pub(crate) const TELL_EVERY: u64 = 256;

/// Takes files into an archive.
pub(crate) struct ArchiveWriter<'p> {
    tar: tar::Builder<zstd::Encoder<'static, BufWriter<File>>>,
    files: Vec<BackupFile>,
    bytes: u64,
    progress: &'p mut dyn FnMut(BackupProgress),
}

impl<'p> ArchiveWriter<'p> {
    /// Into an empty file.
    pub(crate) fn begin(
        file: File,
        progress: &'p mut dyn FnMut(BackupProgress),
    ) -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(BufWriter::with_capacity(BUFFER_BYTES, file), LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self {
            tar: tar::Builder::new(encoder),
            files: Vec::new(),
            bytes: 0,
            progress,
        })
    }

    /// Tells a step.
    pub(crate) fn tell(&mut self, step: BackupProgress) {
        (self.progress)(step);
    }

    /// Adds a file of which so many bytes are taken; fewer are an error.
    pub(crate) fn add(&mut self, path: &str, bytes: u64, from: impl Read) -> io::Result<()> {
        let mut reader = DigestReader::new(from.take(bytes));
        self.tar
            .append_data(&mut header(bytes), path, &mut reader)?;
        let (read, sha256) = reader.finish();
        if read != bytes {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was read",
            ));
        }
        self.files.push(BackupFile {
            path: path.to_owned(),
            bytes,
            sha256,
        });
        self.bytes += bytes;
        let files = self.files.len() as u64;
        if files % TELL_EVERY == 1 {
            let bytes = self.bytes;
            (self.progress)(BackupProgress::Files { files, bytes });
        }
        Ok(())
    }

    /// Adds something of our own, which stands in no list.
    pub(crate) fn add_json(&mut self, path: &str, value: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_vec_pretty(value)?;
        self.tar
            .append_data(&mut header(json.len() as u64), path, json.as_slice())
    }

    /// The files so far.
    pub(crate) fn take_files(&mut self) -> Vec<BackupFile> {
        let (files, bytes) = (self.files.len() as u64, self.bytes);
        (self.progress)(BackupProgress::Files { files, bytes });
        std::mem::take(&mut self.files)
    }

    /// Ends the archive and makes it durable.
    pub(crate) fn finish(self) -> io::Result<()> {
        let buffer = self.tar.into_inner()?.finish()?;
        buffer.into_inner()?.sync_all()
    }
}

fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(0);
    header
}

/// An archive as it is read.
pub(crate) type ArchiveReader = tar::Archive<zstd::Decoder<'static, BufReader<File>>>;

/// Opens an archive.
pub(crate) fn open(path: &Path) -> io::Result<ArchiveReader> {
    let file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    Ok(tar::Archive::new(zstd::Decoder::with_buffer(file)?))
}
