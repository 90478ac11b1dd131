//! How much output may be on its way at once.

use std::time::Duration;

use jobyard_core::Steady;

/// How much of the output of a worker may be sent and not yet acknowledged, over all of its links together.
///
/// Control messages and output have a connection each, but often the same narrow link, and what waits in the buffers on
/// the way delays both. So the output keeps these buffers nearly empty by itself: it counts for how long its own bytes are
/// on their way, until the master calls them durable, and lets no more out than the way carries within
/// [`base`](Self::base) and [`TARGET`]. The idea is that of LEDBAT (RFC 6817): a delay that grows is felt before anything is
/// lost. As in BBR, the delay of an idle way is measured anew every [`PROBE_EVERY`], with next to nothing under way, so
/// that neither a queue of our own nor a disk that has become slow is taken for the way itself for long.
///
/// Pure: times are values.
#[derive(Debug)]
pub(super) struct Pace {
    window: u64,
    in_flight: u64,
    /// How long a piece takes when nothing is before it.
    base: Option<Duration>,
    /// When that was measured.
    measured_at: Steady,
    /// What is under way runs out, so that it is measured.
    probes: bool,
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
            shrunk_at: None,
        }
    }

    /// How large a piece may be sent now, at most `most`; it counts as under way until it is
    /// [acknowledged](Self::acknowledged) or [given back](Self::give_back). `None`: none, until one of the two happens.
    pub(super) fn reserve(&mut self, now: Steady, most: u64) -> Option<u64> {
        if self.base.is_some() && now.since(self.measured_at) >= PROBE_EVERY {
            self.probes = true;
        }
        let window = if self.probes { MIN_WINDOW } else { self.window };
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
        let queued = delay.saturating_sub(base);
        if queued > TARGET {
            self.shrink(now, piece, delay, base);
        } else if piece.flight.saturating_mul(2) >= self.window {
            // Only a window that was made use of has proved itself.
            self.grow(piece, queued);
        }
    }

    /// How long it takes on an idle way, with what this piece tells of it.
    fn measure(&mut self, now: Steady, piece: Piece, delay: Duration) -> Duration {
        let was_alone = piece.flight <= MIN_WINDOW;
        let base = match self.base {
            Some(base) if !was_alone => base.min(delay),
            _ => delay,
        };
        if was_alone || self.base.is_none() {
            self.measured_at = now;
            self.probes = false;
        }
        self.base = Some(base);
        base
    }

    /// To what the way has carried in the time that is wanted, at most by half at once, and once for all that was under
    /// way together.
    fn shrink(&mut self, now: Steady, piece: Piece, delay: Duration, base: Duration) {
        if self.shrunk_at.is_some_and(|shrunk| piece.at < shrunk) {
            return;
        }
        let carried = u128::from(piece.flight) * (base + TARGET).as_micros();
        let carried = u64::try_from(carried / delay.as_micros().max(1)).unwrap_or(u64::MAX);
        let at_most = self.window;
        self.window = carried.max(at_most / 2).min(at_most).max(MIN_WINDOW);
        self.shrunk_at = Some(now);
    }

    /// By as much as arrives while the way is idle, which doubles it in each round; less the more it is used.
    fn grow(&mut self, piece: Piece, queued: Duration) {
        let by = if queued <= TARGET / 2 {
            piece.size
        } else {
            let left = TARGET.saturating_sub(queued).as_micros();
            let by = u128::from(piece.size) * left / TARGET.as_micros() / 4;
            u64::try_from(by).unwrap_or(0)
        };
        self.window = (self.window + by).min(MAX_WINDOW);
    }
}

#[cfg(test)]
mod tests;
