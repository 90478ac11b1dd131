//! Output that has arrived and waits for the disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jobyard_core::{LogChunk, UploadFrame};

/// How much of one upload is gathered while an append of it is at the disk. Each append costs the disk one
/// synchronisation, so that what is gathered goes at the disk's speed, however small the messages are.
const MAX_GATHERED_BYTES: usize = 2 * 1024 * 1024;

/// How much all uploads hold together beyond a message each: a bound for the master's memory when its disk is slow.
const MAX_HELD_BYTES: usize = 32 * 1024 * 1024;

/// How much all uploads of a master hold. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<AtomicUsize>);

/// What has arrived of one upload, in order: what waits, and what is at the disk.
#[derive(Debug)]
pub(super) struct Arrivals {
    frames: VecDeque<UploadFrame>,
    /// What those frames hold.
    waiting: usize,
    /// What was taken out last.
    at_disk: usize,
    held: Held,
}

impl Arrivals {
    /// Nothing yet.
    pub(super) fn new(held: Held) -> Self {
        Self {
            frames: VecDeque::new(),
            waiting: 0,
            at_disk: 0,
            held,
        }
    }

    /// Whether more may be received before what was taken out is durable.
    pub(super) fn may_grow(&self) -> bool {
        self.waiting < MAX_GATHERED_BYTES && self.held.0.load(Ordering::Relaxed) < MAX_HELD_BYTES
    }

    /// Takes in what was received.
    pub(super) fn add(&mut self, frames: Vec<UploadFrame>) {
        let size = frames.iter().map(size).sum();
        self.waiting += size;
        self.held.0.fetch_add(size, Ordering::Relaxed);
        self.frames.extend(frames);
    }

    /// The next step, which is the end or as many chunks as follow each other without holes. What was taken out before
    /// is no longer held.
    pub(super) fn next(&mut self) -> Option<UploadFrame> {
        self.release(self.at_disk);
        self.at_disk = 0;
        let mut next = self.frames.pop_front()?;
        if let UploadFrame::Chunks(chunks) = &mut next {
            while self
                .frames
                .front()
                .is_some_and(|frame| follows(chunks, frame))
            {
                if let Some(UploadFrame::Chunks(more)) = self.frames.pop_front() {
                    chunks.extend(more);
                }
            }
        }
        self.at_disk = size(&next);
        self.waiting -= self.at_disk;
        Some(next)
    }

    fn release(&self, size: usize) {
        self.held.0.fetch_sub(size, Ordering::Relaxed);
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.release(self.waiting + self.at_disk);
    }
}

/// Whether a frame begins where these chunks end.
fn follows(chunks: &[LogChunk], frame: &UploadFrame) -> bool {
    let UploadFrame::Chunks(more) = frame else {
        return false;
    };
    match (chunks.last(), more.first()) {
        (Some(last), Some(first)) => last.end() == first.offset,
        _ => false,
    }
}

/// What a frame takes in memory.
fn size(frame: &UploadFrame) -> usize {
    let UploadFrame::Chunks(chunks) = frame else {
        return 0;
    };
    let bytes = chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>();
    bytes + chunks.len() * size_of::<LogChunk>()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jobyard_core::{LogEnd, OutputStream, Timestamp};

    use super::*;

    fn frame(offset: u64, length: usize) -> UploadFrame {
        UploadFrame::Chunks(vec![LogChunk::new(
            offset,
            OutputStream::Stdout,
            Timestamp::from_micros(1),
            Bytes::from(vec![b'x'; length]),
        )])
    }

    fn spans(frame: Option<UploadFrame>) -> Vec<(u64, u64)> {
        match frame {
            Some(UploadFrame::Chunks(chunks)) => chunks
                .iter()
                .map(|chunk| (chunk.offset, chunk.end()))
                .collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn what_follows_without_a_hole_is_taken_together() {
        let mut arrivals = Arrivals::new(Held::default());
        arrivals.add(vec![frame(0, 10), frame(10, 5)]);
        arrivals.add(vec![frame(15, 1), frame(20, 1)]);
        arrivals.add(vec![UploadFrame::End(LogEnd::default())]);
        assert_eq!(spans(arrivals.next()), [(0, 10), (10, 15), (15, 16)]);
        assert_eq!(spans(arrivals.next()), [(20, 21)], "a hole is seen as such");
        assert_eq!(
            arrivals.next(),
            Some(UploadFrame::End(LogEnd::default())),
            "the end is a step of its own"
        );
        assert_eq!(arrivals.next(), None);
    }

    #[test]
    fn an_empty_frame_is_a_step_of_its_own() {
        let mut arrivals = Arrivals::new(Held::default());
        arrivals.add(vec![UploadFrame::Chunks(Vec::new()), frame(0, 1)]);
        assert_eq!(arrivals.next(), Some(UploadFrame::Chunks(Vec::new())));
        assert_eq!(spans(arrivals.next()), [(0, 1)]);
    }

    #[test]
    fn one_upload_gathers_so_much() {
        let mut arrivals = Arrivals::new(Held::default());
        arrivals.add(vec![frame(0, MAX_GATHERED_BYTES - 1_000)]);
        assert!(arrivals.may_grow());
        arrivals.add(vec![frame(0, 1_000)]);
        assert!(!arrivals.may_grow());
        arrivals.next();
        assert!(arrivals.may_grow(), "what is at the disk does not wait");
    }

    #[test]
    fn all_uploads_share_what_may_be_held_until_it_is_durable() {
        let held = Held::default();
        let mut others: Vec<_> = (0..16).map(|_| Arrivals::new(held.clone())).collect();
        for other in &mut others {
            other.add(vec![frame(0, MAX_GATHERED_BYTES)]);
            other.next();
        }
        let late = Arrivals::new(held);
        assert!(!late.may_grow());
        others[0].next();
        assert!(late.may_grow(), "what was at the disk is durable");
        others[0].add(vec![frame(0, MAX_GATHERED_BYTES)]);
        assert!(!late.may_grow());
        others.pop();
        assert!(late.may_grow(), "an upload that is over holds nothing");
    }
}
