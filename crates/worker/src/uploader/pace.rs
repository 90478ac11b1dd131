//! How much output may be on its way at once.

use std::time::Duration;

use jobyard_core::{Steady, mutated};

/// How much of the output of a worker may be sent and not yet acknowledged, over all of its links together.
///
/// Control messages and output have a connection each, but often the same narrow link, and what waits in the buffers on
/// the way delays both. So the output keeps these buffers nearly empty by itself: it counts for how long its own bytes are
/// on their way, until the master calls them durable, and lets no more out than the way carries within
/// [`base`](Self::base) and [`TARGET`]. The idea is that of LEDBAT (RFC 6817): a delay that grows is felt before anything is
/// lost. As in BBR, the delay of an idle way is measured anew every [`PROBE_EVERY`], with next to nothing under way, so
/// that neither a queue of our own nor a disk that has become slow is taken for the way itself for long.
///
/// A master that is busy, or whose disk is, delays acknowledgements too, by now more and now less, and less output under
/// way would not change that. So the delay of an idle way is the longest of [`PROBES`] in a row, it is forgotten slowly
/// while shorter ones are seen, and where it is long, more is forgiven beyond it.
///
/// Pure: times are values.
#[derive(Debug)]
pub(super) struct Pace {
    window: u64,
    in_flight: u64,
    /// How long a piece may take when nothing is before it.
    base: Option<Duration>,
    /// When that was measured.
    measured_at: Steady,
    /// What is under way runs out, so that it is measured.
    probes: bool,
    /// How many pieces had nothing before them since it was measured, and how long one of them took at most.
    alone: u32,
    longest_alone: Duration,
    /// When the window was made smaller: what was sent before says nothing about the new one.
    shrunk_at: Option<Steady>,
}

/// A piece that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    size: u64,
    at: Steady,
    /// How much was under way with it.
    flight: u64,
}

/// By how much longer than on an idle way output may be on its way: small against every heartbeat, large against the
/// jitter of networks and disks.
pub(super) const TARGET: Duration = Duration::from_millis(200);

/// The same where an idle way takes long, and then mostly differs by as much: half of that, but not more.
const MAX_TARGET: Duration = Duration::from_secs(1);

/// The least that may be under way: what a link of 64 kbit/s carries in a quarter of a second.
pub(super) const MIN_WINDOW: u64 = 2 * 1024;

/// The most: what a gigabit per second carries in an eighth of a second. It also bounds what a worker holds in memory of
/// its output.
pub(super) const MAX_WINDOW: u64 = 16 * 1024 * 1024;

/// How much may be under way while nothing is known: on a fast link it doubles with each round trip.
const FIRST_WINDOW: u64 = 8 * 1024;

/// Into how many pieces a window is cut at least, so that acknowledgements come while others are under way.
const PIECES: u64 = 4;

/// Smaller pieces would be mostly headers.
const MIN_PIECE: u64 = 1024;

/// How old what is known of the idle way may become.
const PROBE_EVERY: Duration = Duration::from_secs(10);

/// How many pieces that are alone on the way tell how long it takes: one may have met a moment without work of a master
/// that is busy.
const PROBES: u32 = 4;

impl Piece {
    /// How much of the window it takes.
    pub(super) const fn size(self) -> u64 {
        self.size
    }
}

impl Pace {
    /// Nothing is known, nothing is under way.
    pub(super) const fn new(now: Steady) -> Self {
        Self {
            window: FIRST_WINDOW,
            in_flight: 0,
            base: None,
            measured_at: now,
            probes: false,
            alone: 0,
            longest_alone: Duration::ZERO,
            shrunk_at: None,
        }
    }

    /// How large a piece may be sent now, at most `most`; it counts as under way until it is
    /// [acknowledged](Self::acknowledged) or [given back](Self::give_back). `None`: none, until one of the two happens.
    pub(super) fn reserve(&mut self, now: Steady, most: u64) -> Option<u64> {
        if self.base.is_some() && now.since(self.measured_at) >= PROBE_EVERY {
            if !self.probes {
                (self.alone, self.longest_alone) = (0, Duration::ZERO);
            }
            self.probes = true;
        }
        let window = match self.probes {
            _ if mutated("uploads are not paced") => u64::MAX,
            true => MIN_WINDOW,
            false => self.window,
        };
        let piece = (window / PIECES).max(MIN_PIECE).min(most);
        if self.in_flight + piece > window {
            return None;
        }
        self.in_flight += piece;
        Some(piece)
    }

    /// Of what was reserved, this much was not sent, or will not be acknowledged any more.
    pub(super) const fn give_back(&mut self, size: u64) {
        self.in_flight = self.in_flight.saturating_sub(size);
    }

    /// A piece of this size is sent now; it was reserved.
    pub(super) const fn sent(&self, now: Steady, size: u64) -> Piece {
        Piece {
            size,
            at: now,
            flight: self.in_flight,
        }
    }

    /// The master has this piece.
    pub(super) fn acknowledged(&mut self, now: Steady, piece: Piece) {
        self.give_back(piece.size);
        let delay = now.since(piece.at);
        let base = self.measure(now, piece, delay);
        let target = (base / 2).clamp(TARGET, MAX_TARGET);
        let queued = delay.saturating_sub(base);
        if queued > target {
            self.shrink(now, piece, delay, base + target);
        } else if piece.flight.saturating_mul(2) >= self.window {
            // Only a window that was made use of has proved itself.
            self.grow(piece, queued, target);
        }
    }

    /// How long it may take on an idle way, with what this piece tells of it.
    fn measure(&mut self, now: Steady, piece: Piece, delay: Duration) -> Duration {
        let known = *self.base.get_or_insert_with(|| {
            self.measured_at = now;
            delay
        });
        let base = if piece.flight <= MIN_WINDOW {
            self.measure_alone(now, known, delay)
        } else {
            let too_long = known.saturating_sub(delay).as_micros();
            let part = u128::from(piece.size) * too_long / u128::from(self.window.max(piece.size));
            known.saturating_sub(Duration::from_micros(u64::try_from(part / 4).unwrap_or(0)))
        };
        self.base = Some(base);
        base
    }

    /// The same for a piece that had nothing before it: however long it took, that was no queue of ours.
    fn measure_alone(&mut self, now: Steady, known: Duration, delay: Duration) -> Duration {
        self.alone += 1;
        self.longest_alone = self.longest_alone.max(delay);
        if self.alone < PROBES {
            return known.max(delay);
        }
        self.measured_at = now;
        self.probes = false;
        self.alone = 0;
        std::mem::take(&mut self.longest_alone)
    }

    /// To what the way has carried in the time that is wanted, at most by half at once, and once for all that was under
    /// way together.
    fn shrink(&mut self, now: Steady, piece: Piece, delay: Duration, wanted: Duration) {
        if self.shrunk_at.is_some_and(|shrunk| piece.at < shrunk) {
            return;
        }
        let carried = u128::from(piece.flight) * wanted.as_micros();
        let carried = u64::try_from(carried / delay.as_micros().max(1)).unwrap_or(u64::MAX);
        let at_most = self.window;
        self.window = carried.max(at_most / 2).min(at_most).max(MIN_WINDOW);
        self.shrunk_at = Some(now);
    }

    /// By as much as arrives while the way is idle, which doubles it in each round; less the more it is used.
    fn grow(&mut self, piece: Piece, queued: Duration, target: Duration) {
        let by = if queued <= target / 2 {
            piece.size
        } else {
            let left = target.saturating_sub(queued).as_micros();
            let by = u128::from(piece.size) * left / target.as_micros() / 4;
            u64::try_from(by).unwrap_or(0)
        };
        self.window = (self.window + by).min(MAX_WINDOW);
    }
}

#[cfg(test)]
mod tests;
