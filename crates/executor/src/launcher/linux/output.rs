//! Reading output that a launcher writes.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use jobyard_core::{LogChunk, OutputProgress};
use jobyard_launcher::spool::{frame, segment_path};

/// Reads the output of one attempt in order, and deletes what was read. Blocks on the disk.
#[derive(Debug)]
pub(crate) struct SpoolReader {
    dir: PathBuf,
    /// The segment that is read, and the offset at which it begins.
    open: Option<(u64, BufReader<File>)>,
    /// The offset up to which everything was read.
    next: u64,
}

impl SpoolReader {
    /// From the first byte that is still there.
    pub(crate) fn open(dir: PathBuf) -> Self {
        let next = segments(&dir).first().copied().unwrap_or(0);
        Self {
            dir,
            open: None,
            next,
        }
    }

    /// The next chunk, if `end`, up to which output was announced, is not reached.
    pub(crate) fn read(&mut self, end: u64) -> io::Result<Option<LogChunk>> {
        while self.next < end {
            let segment = if let Some((_, file)) = &mut self.open {
                file
            } else {
                let file = File::open(segment_path(&self.dir, self.next))?;
                &mut self.open.insert((self.next, BufReader::new(file))).1
            };
            if let Some(chunk) = frame::read(segment)? {
                self.next = chunk.end();
                return Ok(Some(chunk));
            }
            // The end of a segment that is full: what follows is in the next one.
            let Some((start, _)) = self.open.take() else {
                continue;
            };
            if start == self.next {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            fs::remove_file(segment_path(&self.dir, start))?;
        }
        Ok(None)
    }
}

/// How far the output in a directory is that nobody writes any more. What was dropped is unknown.
pub(super) fn progress(dir: &Path) -> OutputProgress {
    let Some(segment) = segments(dir).last().copied() else {
        return OutputProgress::default();
    };
    let mut end = segment;
    if let Ok(file) = File::open(segment_path(dir, segment)) {
        let mut from = BufReader::new(file);
        while let Ok(Some(chunk)) = frame::read(&mut from) {
            end = chunk.end();
        }
    }
    OutputProgress::new(segment, end, 0)
}

/// The offsets at which segments begin, in order.
fn segments(dir: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut starts: Vec<u64> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    starts.sort_unstable();
    starts
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jobyard_core::{OutputStream, Timestamp};
    use jobyard_launcher::spool::SpoolWriter;

    use super::*;

    fn write(writer: &mut SpoolWriter, text: &'static str) {
        let at = Timestamp::from_micros(1);
        writer.write(OutputStream::Stdout, at, Bytes::from(text));
    }

    fn read_all(reader: &mut SpoolReader, end: u64) -> String {
        let mut text = String::new();
        while let Some(chunk) = reader.read(end).expect("readable") {
            text.push_str(&String::from_utf8_lossy(&chunk.bytes));
        }
        text
    }

    #[test]
    fn output_is_read_while_it_is_written_and_deleted_behind() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = base.path().join("out");
        let mut writer = SpoolWriter::new(dir.clone(), 100).with_segment_bytes(4);
        let mut reader = SpoolReader::open(dir.clone());
        assert_eq!(read_all(&mut reader, 0), "");
        for text in ["one", "two", "three"] {
            write(&mut writer, text);
            assert_eq!(read_all(&mut reader, writer.progress().end), text);
        }
        assert_eq!(segments(&dir).len(), 1, "only the newest is left");
        assert_eq!(progress(&dir), writer.progress());
        write(&mut writer, "four");
        let mut later = SpoolReader::open(dir);
        let kept = read_all(&mut later, writer.progress().end);
        assert!(kept.ends_with("four"), "{kept}");
    }

    #[test]
    fn output_that_was_announced_and_is_not_there_is_an_error() {
        let base = tempfile::tempdir().expect("a directory");
        let mut writer = SpoolWriter::new(base.path().join("out"), 100);
        write(&mut writer, "one");
        let mut reader = SpoolReader::open(base.path().join("out"));
        assert!(reader.read(9).is_ok());
        assert!(reader.read(9).is_err());
    }
}
