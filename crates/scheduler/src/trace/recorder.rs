//! The side that writes.

use jobyard_core::Now;

use super::digest::Digest;
use super::encoder::Encoder;
use super::writer::Writer;
use super::{MAGIC, VERSION};
use crate::{Decision, Event, Policy, Scheduler};

/// How many bytes may wait to be [taken](Recorder::take): some million events.
pub const MAX_PENDING_BYTES: usize = 64 << 20;

/// Writes down what goes into a scheduler.
///
/// Every event has to pass through [`handle`](Self::handle), from the scheduler's first on: what is not written down
/// cannot be replayed. The host takes the bytes whenever it likes and puts them one behind the other. If it does not, and
/// more than [`MAX_PENDING_BYTES`] wait, recording ends: what was recorded so far stays good, and
/// [`is_stopped`](Self::is_stopped) says so. Deciding goes on in any case.
#[derive(Debug)]
pub struct Recorder {
    encoder: Encoder,
    pending: Writer,
    stopped: bool,
}

impl Recorder {
    /// The beginning of a trace of a scheduler with this policy, which has not seen any event.
    ///
    /// A host's own [`Score`](crate::Score) is not recorded, only that there was one.
    pub fn new(policy: &Policy) -> Self {
        let mut recorder = Self {
            encoder: Encoder::new(policy.hash_seed),
            pending: Writer::default(),
            stopped: false,
        };
        recorder.pending.raw(&MAGIC);
        recorder.pending.byte(VERSION);
        recorder.encoder.policy(policy);
        recorder.append();
        recorder
    }

    /// As [`Scheduler::handle`], and writes it down.
    pub fn handle(
        &mut self,
        scheduler: &mut Scheduler,
        now: Now,
        event: Event,
        out: &mut Vec<Decision>,
    ) {
        if self.stopped {
            return scheduler.handle(now, event, out);
        }
        self.encoder.event(now, &event);
        let before = out.len();
        scheduler.handle(now, event, out);
        let followed = out.get(before..).unwrap_or_default();
        self.encoder.decisions(followed);
        self.append();
    }

    /// What was recorded since it was last taken.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending).into_bytes()
    }

    /// How many bytes wait to be taken.
    pub fn pending(&self) -> usize {
        self.pending.as_bytes().len()
    }

    /// Whether it records no more, because too much waited to be taken.
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Frames the body that was just written.
    fn append(&mut self) {
        let body = self.encoder.body();
        if self.pending.as_bytes().len() + body.len() > MAX_PENDING_BYTES {
            self.stopped = true;
            return;
        }
        self.pending.size(body.len());
        self.pending.raw(body);
        self.pending.raw(&Digest::of(body));
    }
}
