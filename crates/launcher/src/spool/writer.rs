//! Writing the output of one attempt.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use jobyard_core::{MAX_CHUNK_BYTES, OutputProgress, OutputStream, Timestamp};

use super::filter::{Filter, PassThrough};
use super::frame;

/// How much output one segment holds before the next is begun: large against the cost of a file, small against a disk,
/// since a segment is deleted as a whole.
pub const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// The file of the segment that begins at this offset.
pub fn segment_path(dir: &Path, start: u64) -> PathBuf {
    dir.join(format!("{start:020}"))
}

/// Writes the output of one attempt, from its first byte on. Calls block on the disk.
///
/// Nothing here fails: what the limit or the disk does not let in is counted as dropped, and so is all that comes after
/// it, since what is kept has no holes.
pub struct SpoolWriter {
    dir: PathBuf,
    limit: u64,
    segment_bytes: u64,
    filter: Box<dyn Filter>,
    file: Option<File>,
    progress: OutputProgress,
    problem: Option<io::Error>,
}

impl SpoolWriter {
    /// A writer into `dir`, which is made with the first byte, of at most `limit` bytes. Touches no file.
    pub fn new(dir: PathBuf, limit: u64) -> Self {
        Self {
            dir,
            limit,
            segment_bytes: SEGMENT_BYTES,
            filter: Box::new(PassThrough),
            file: None,
            progress: OutputProgress::default(),
            problem: None,
        }
    }

    /// With a filter before the offsets are given.
    #[must_use]
    pub fn with_filter(mut self, filter: Box<dyn Filter>) -> Self {
        self.filter = filter;
        self
    }

    /// With segments of another size.
    #[must_use]
    pub const fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// How far it is.
    pub const fn progress(&self) -> OutputProgress {
        self.progress
    }

    /// Why the disk took no more, once; the next call gives `None`.
    pub const fn take_problem(&mut self) -> Option<io::Error> {
        self.problem.take()
    }

    /// Takes bytes of one stream, read at this time. Where nothing is filtered, they go to the disk from where they are.
    pub fn write(&mut self, stream: OutputStream, at: Timestamp, bytes: impl AsRef<[u8]>) {
        if self.filter.is_transparent() {
            return self.keep(stream, at, bytes.as_ref());
        }
        let mut kept = BytesMut::new();
        self.filter.filter(stream, bytes.as_ref(), &mut kept);
        self.keep(stream, at, &kept);
    }

    /// Nothing follows on this stream.
    pub fn finish(&mut self, stream: OutputStream, at: Timestamp) {
        let mut kept = BytesMut::new();
        self.filter.finish(stream, &mut kept);
        self.keep(stream, at, &kept);
    }

    fn keep(&mut self, stream: OutputStream, at: Timestamp, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.progress.dropped == 0 {
            let room = self.limit.saturating_sub(self.progress.end);
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let (chunk, rest) = bytes.split_at(bytes.len().min(MAX_CHUNK_BYTES).min(room));
            if chunk.is_empty() {
                break;
            }
            if let Err(error) = self.append(stream, at, chunk) {
                self.problem = Some(error);
                break;
            }
            self.progress.end += chunk.len() as u64;
            bytes = rest;
        }
        self.progress.dropped += bytes.len() as u64;
    }

    fn append(&mut self, stream: OutputStream, at: Timestamp, chunk: &[u8]) -> io::Result<()> {
        let offset = self.progress.end;
        let is_full = offset - self.progress.segment >= self.segment_bytes;
        let file = match &mut self.file {
            Some(file) if !is_full => file,
            _ => {
                let file = begin_segment(&self.dir, offset)?;
                self.progress.segment = offset;
                self.file.insert(file)
            }
        };
        let header = frame::header(offset, stream, at, chunk);
        write_all(file, &mut [IoSlice::new(&header), IoSlice::new(chunk)])
    }
}

/// Writes all of it, mostly with one call.
fn write_all(file: &mut File, mut left: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => IoSlice::advance_slices(&mut left, length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl std::fmt::Debug for SpoolWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpoolWriter")
            .field("dir", &self.dir)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

fn begin_segment(dir: &Path, start: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(segment_path(dir, start)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut builder = DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(dir)?;
            options.open(segment_path(dir, start))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;
    use jobyard_core::LogChunk;

    use super::*;

    const OUT: OutputStream = OutputStream::Stdout;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn read_all(dir: &Path) -> Vec<LogChunk> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        names.sort();
        let mut chunks = Vec::new();
        for name in names {
            let mut file = File::open(name).expect("a segment");
            while let Some(chunk) = frame::read(&mut file).expect("readable") {
                chunks.push(chunk);
            }
        }
        chunks
    }

    /// Makes capitals, and holds the last byte back.
    #[derive(Default)]
    struct Capitals {
        held: Option<u8>,
    }

    impl Filter for Capitals {
        fn filter(&mut self, _stream: OutputStream, bytes: &[u8], out: &mut BytesMut) {
            for byte in bytes {
                out.extend(self.held.replace(byte.to_ascii_uppercase()));
                out.extend((*byte == b'!').then_some(b'!'));
            }
        }

        fn finish(&mut self, _stream: OutputStream, out: &mut BytesMut) {
            out.extend(self.held.take());
        }
    }

    #[test]
    fn output_reads_back_with_offsets_streams_and_times() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = SpoolWriter::new(dir.path().join("a"), 100);
        writer.write(OUT, at(1), Bytes::from_static(b"one"));
        writer.write(OutputStream::Stderr, at(2), Bytes::from_static(b"two!"));
        let chunks = read_all(&dir.path().join("a"));
        assert_eq!(
            chunks,
            [
                LogChunk::new(0, OUT, at(1), Bytes::from_static(b"one")),
                LogChunk::new(3, OutputStream::Stderr, at(2), Bytes::from_static(b"two!")),
            ]
        );
        assert_eq!(writer.progress(), OutputProgress::new(0, 7, 0));
    }

    #[test]
    fn what_exceeds_the_limit_is_counted_and_leaves_no_hole() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = SpoolWriter::new(dir.path().join("a"), 4);
        writer.write(OUT, at(1), Bytes::from_static(b"abcdef"));
        writer.write(OUT, at(2), Bytes::from_static(b"g"));
        assert_eq!(writer.progress(), OutputProgress::new(0, 4, 3));
        assert_eq!(read_all(&dir.path().join("a"))[0].bytes, "abcd");
        assert!(writer.take_problem().is_none(), "a limit is no problem");
    }

    #[test]
    fn a_disk_that_takes_nothing_drops_and_says_why() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, b"").expect("a file");
        let mut writer = SpoolWriter::new(file.join("below"), 100);
        writer.write(OUT, at(1), Bytes::from_static(b"abc"));
        assert_eq!(writer.progress(), OutputProgress::new(0, 0, 3));
        assert!(writer.take_problem().is_some());
    }

    #[test]
    fn a_full_segment_is_followed_by_the_next() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = SpoolWriter::new(dir.path().join("a"), 100).with_segment_bytes(3);
        for text in ["ab", "cd", "ef"] {
            writer.write(OUT, at(1), Bytes::from(text));
        }
        assert_eq!(writer.progress(), OutputProgress::new(4, 6, 0));
        let all: Vec<u8> = read_all(&dir.path().join("a"))
            .iter()
            .flat_map(|chunk| chunk.bytes.to_vec())
            .collect();
        assert_eq!(all, b"abcdef");
    }

    #[test]
    fn much_at_once_is_cut_into_frames_and_segments_as_if_it_had_come_in_pieces() {
        let dir = tempfile::tempdir().expect("a directory");
        let bytes: Vec<u8> = (0..700_000_u32)
            .map(|at| (at / 7).to_le_bytes()[0])
            .collect();
        let chunk = MAX_CHUNK_BYTES as u64;
        for (segment_bytes, last) in [(u64::MAX, 0), (3 * chunk, 9 * chunk), (chunk, 10 * chunk)] {
            let place = dir.path().join(segment_bytes.to_string());
            let writer = SpoolWriter::new(place.clone(), u64::MAX);
            let mut writer = writer.with_segment_bytes(segment_bytes);
            writer.write(OUT, at(1), &bytes);
            assert_eq!(writer.progress(), OutputProgress::new(last, 700_000, 0));
            let chunks = read_all(&place);
            assert_eq!(chunks.len(), bytes.len().div_ceil(MAX_CHUNK_BYTES));
            let mut end = 0;
            for chunk in &chunks {
                assert_eq!(chunk.offset, end);
                end = chunk.end();
            }
            let read: Vec<u8> = chunks
                .iter()
                .flat_map(|chunk| chunk.bytes.to_vec())
                .collect();
            assert!(read == bytes, "as it was");
        }
    }

    #[test]
    fn offsets_count_what_comes_out_of_the_filter() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer =
            SpoolWriter::new(dir.path().join("a"), 100).with_filter(Box::new(Capitals::default()));
        writer.write(OUT, at(1), Bytes::from_static(b"a"));
        assert_eq!(writer.progress().end, 0, "held back");
        writer.write(OUT, at(1), Bytes::from_static(b"b!"));
        writer.finish(OUT, at(2));
        let chunks = read_all(&dir.path().join("a"));
        let all: Vec<u8> = chunks
            .iter()
            .flat_map(|chunk| chunk.bytes.to_vec())
            .collect();
        assert_eq!(all, b"AB!!");
        assert_eq!(
            chunks.last().map(LogChunk::end),
            Some(writer.progress().end)
        );
    }
}
