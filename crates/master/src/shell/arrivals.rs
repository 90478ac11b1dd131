//! Output that has arrived and waits for the disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jobyard_core::{LogChunk, Refusal, RefusalReason, UploadFrame};

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
    /// is no longer held. A frame that says nothing is refused: no worker sends one, and each would cost a look at the
    /// disk.
    pub(super) fn next(&mut self) -> Result<Option<UploadFrame>, Refusal> {
        self.release(self.at_disk);
        self.at_disk = 0;
        let Some(mut next) = self.frames.pop_front() else {
            return Ok(None);
        };
        let mut taken = size(&next);
        if let UploadFrame::Chunks(chunks) = &mut next {
            if chunks.is_empty() {
                self.frames.push_front(next);
                let problem = "a message with output has at least one chunk of it";
                return Err(Refusal::new(RefusalReason::Invalid, problem));
            }
            while self
                .frames
                .front()
                .is_some_and(|frame| follows(chunks, frame))
            {
                let Some(frame) = self.frames.pop_front() else {
                    break;
                };
                taken += size(&frame);
                if let UploadFrame::Chunks(more) = frame {
                    chunks.extend(more);
                }
            }
        }
        self.at_disk = taken;
        self.waiting -= taken;
        Ok(Some(next))
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

/// What a frame takes in memory: never nothing, so that not even frames that say nothing can be gathered without bound.
fn size(frame: &UploadFrame) -> usize {
    let chunks = match frame {
        UploadFrame::Chunks(chunks) => &chunks[..],
        _ => &[],
    };
    let bytes = chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>();
    bytes + size_of_val(chunks) + size_of::<UploadFrame>()
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

    fn next(arrivals: &mut Arrivals) -> Option<UploadFrame> {
        arrivals.next().expect("nothing to refuse")
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
        assert_eq!(spans(next(&mut arrivals)), [(0, 10), (10, 15), (15, 16)]);
        assert_eq!(
            spans(next(&mut arrivals)),
            [(20, 21)],
            "a hole is seen as such"
        );
        assert_eq!(
            next(&mut arrivals),
            Some(UploadFrame::End(LogEnd::default())),
            "the end is a step of its own"
        );
        assert_eq!(next(&mut arrivals), None);
    }

    #[test]
    fn refuse_a_frame_without_chunks() {
        let mut arrivals = Arrivals::new(Held::default());
        arrivals.add(vec![frame(0, 1), UploadFrame::Chunks(Vec::new())]);
        assert_eq!(spans(next(&mut arrivals)), [(0, 1)]);
        let refusal = arrivals.next().expect_err("it says nothing");
        assert_eq!(refusal.reason, RefusalReason::Invalid);
    }

    #[test]
    fn frames_that_say_nothing_are_not_gathered_without_bound() {
        for nothing in [
            UploadFrame::Chunks(Vec::new()),
            UploadFrame::End(LogEnd::default()),
        ] {
            let held = Held::default();
            let mut arrivals = Arrivals::new(held.clone());
            let most = MAX_GATHERED_BYTES / size_of::<UploadFrame>() + 1;
            arrivals.add(vec![nothing; most]);
            assert!(!arrivals.may_grow());
            drop(arrivals);
            assert_eq!(held.0.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn what_was_gathered_from_many_frames_is_given_back_whole() {
        let held = Held::default();
        let mut arrivals = Arrivals::new(held.clone());
        arrivals.add((0..100).map(|offset| frame(offset, 1)).collect());
        assert_eq!(spans(next(&mut arrivals)).len(), 100);
        assert_eq!(next(&mut arrivals), None);
        assert_eq!((arrivals.waiting, held.0.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn one_upload_gathers_so_much() {
        let mut arrivals = Arrivals::new(Held::default());
        arrivals.add(vec![frame(0, MAX_GATHERED_BYTES - 1_000)]);
        assert!(arrivals.may_grow());
        arrivals.add(vec![frame(0, 1_000)]);
        assert!(!arrivals.may_grow());
        next(&mut arrivals);
        assert!(arrivals.may_grow(), "what is at the disk does not wait");
    }

    #[test]
    fn all_uploads_share_what_may_be_held_until_it_is_durable() {
        let held = Held::default();
        let mut others: Vec<_> = (0..16).map(|_| Arrivals::new(held.clone())).collect();
        for other in &mut others {
            other.add(vec![frame(0, MAX_GATHERED_BYTES)]);
            next(other);
        }
        let late = Arrivals::new(held);
        assert!(!late.may_grow());
        next(&mut others[0]);
        assert!(late.may_grow(), "what was at the disk is durable");
        others[0].add(vec![frame(0, MAX_GATHERED_BYTES)]);
        assert!(!late.may_grow());
        others.pop();
        assert!(late.may_grow(), "an upload that is over holds nothing");
    }
}
