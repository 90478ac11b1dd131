//! Whose turn it is to send output.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobyard_core::Steady;
use tokio::sync::{Mutex as Turn, Notify};
use tokio::time::Instant;

use super::pace::{Pace, Piece};

/// The [`Pace`] of a session, and the queue of the links that want to send. Links take turns, piece by piece. Clones share
/// it.
#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    pace: Mutex<Pace>,
    /// Held by the one who waits for room; the others wait for this, in order.
    turn: Turn<()>,
    room: Notify,
}

impl Pacer {
    /// For a way of which nothing is known.
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                began: Instant::now(),
                pace: Mutex::new(Pace::new(Steady::default())),
                turn: Turn::new(()),
                room: Notify::new(),
            }),
        }
    }

    /// Waits for room for a piece of output, at most so large. Cancel-safe.
    pub(super) async fn grant(&self, most: usize) -> Grant {
        let shared = &self.shared;
        let _turn = shared.turn.lock().await;
        loop {
            let reserved = shared.pace().reserve(shared.now(), most as u64);
            if let Some(size) = reserved {
                return Grant {
                    shared: Arc::clone(shared),
                    size,
                };
            }
            shared.room.notified().await;
        }
    }
}

impl Shared {
    fn now(&self) -> Steady {
        Steady::default() + self.began.elapsed()
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // Nothing is left half done by a panic that could make the values wrong: they are numbers.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, size: u64) {
        if size > 0 {
            self.pace().give_back(size);
            self.room.notify_one();
        }
    }
}

/// Room for a piece, given back with this value if nothing is sent.
#[derive(Debug)]
pub(super) struct Grant {
    shared: Arc<Shared>,
    size: u64,
}

impl Grant {
    /// How large the piece may be.
    pub(super) fn size(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    /// A piece is sent now that takes this much of it.
    fn sent(mut self, size: usize) -> Flight {
        let unused = self.size.saturating_sub(size as u64);
        self.shared.give_back(unused);
        self.size -= unused;
        let piece = self.shared.pace().sent(self.shared.now(), self.size);
        self.size = 0;
        Flight {
            shared: Arc::clone(&self.shared),
            piece: Some(piece),
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.shared.give_back(self.size);
    }
}

/// A piece on its way. Dropping it says that it will not be acknowledged.
#[derive(Debug)]
struct Flight {
    shared: Arc<Shared>,
    piece: Option<Piece>,
}

impl Flight {
    fn acknowledged(mut self) {
        if let Some(piece) = self.piece.take() {
            self.shared.pace().acknowledged(self.shared.now(), piece);
            self.shared.room.notify_one();
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(piece) = self.piece.take() {
            self.shared.give_back(piece.size());
        }
    }
}

/// What of one link is on its way, oldest first, each with the offset after its last byte.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<VecDeque<(u64, Flight)>>);

impl Flights {
    /// A piece is sent that takes so much of its grant and ends at this offset.
    pub(super) fn add(&self, grant: Grant, size: usize, end: u64) {
        let flight = grant.sent(size);
        self.lock().push_back((end, flight));
    }

    /// The master has everything below this offset.
    pub(super) fn durable(&self, offset: u64) {
        let mut flights = self.lock();
        while flights.front().is_some_and(|(end, _)| *end <= offset) {
            if let Some((_, flight)) = flights.pop_front() {
                flight.acknowledged();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Flight)>> {
        // A panic leaves at most a piece in it that is not acknowledged.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    const MOST: usize = 256 * 1024;

    #[tokio::test(start_paused = true)]
    async fn links_take_turns_while_there_is_no_room() {
        let pacer = Pacer::new();
        let mut held = Vec::new();
        while let Ok(grant) = timeout(Duration::from_secs(1), pacer.grant(MOST)).await {
            held.push(grant);
        }
        let (said, mut order) = tokio::sync::mpsc::channel(8);
        for link in 0..3 {
            let (pacer, said) = (pacer.clone(), said.clone());
            tokio::spawn(async move {
                let grant = pacer.grant(MOST).await;
                said.send((link, grant)).await.unwrap();
            });
            // Each of them has asked before the next one does.
            sleep(Duration::from_millis(1)).await;
        }
        for wanted in 0..3 {
            held.pop().expect("there were some");
            let (link, grant) = order.recv().await.expect("one of them");
            assert_eq!(link, wanted);
            held.insert(0, grant);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn link_that_breaks_gives_back_what_it_had_under_way() {
        let pacer = Pacer::new();
        let flights = Flights::default();
        let mut end = 0;
        while let Ok(grant) = timeout(Duration::from_secs(1), pacer.grant(MOST)).await {
            let size = grant.size();
            end += size as u64;
            flights.add(grant, size, end);
        }
        flights.durable(end - 1);
        drop(flights);
        let grant = timeout(Duration::from_secs(1), pacer.grant(MOST)).await;
        assert!(grant.is_ok(), "there is room again");
    }
}
