use std::collections::VecDeque;

use super::*;
use crate::uploader::READ_BATCH;

/// A way to a master, with one queue; whoever sends has no end of output.
struct Way {
    now: Steady,
    pace: Pace,
    bytes_per_second: u64,
    /// What an answer takes apart from the link: distance, a disk.
    latency: Duration,
    /// By how much more it may take, each a little differently.
    jitter: Duration,
    random: u64,
    /// When the link has carried everything that it was given.
    free_at: Steady,
    /// Under way, with the time at which the answer is here.
    flying: VecDeque<(Steady, Piece)>,
    delivered: u64,
    /// The longest time that anything had to wait before the link, lately.
    longest_queue: Duration,
}

impl Way {
    fn new(bytes_per_second: u64, latency: Duration) -> Self {
        let now = Steady::from_micros(1_000_000);
        Self {
            now,
            pace: Pace::new(now),
            bytes_per_second,
            latency,
            jitter: Duration::ZERO,
            random: 1,
            free_at: now,
            flying: VecDeque::new(),
            delivered: 0,
            longest_queue: Duration::ZERO,
        }
    }

    fn send_all(&mut self) {
        while let Some(size) = self.pace.reserve(self.now, READ_BATCH as u64) {
            let piece = self.pace.sent(self.now, size);
            let starts = self.free_at.max(self.now);
            let takes = Duration::from_micros(size * 1_000_000 / self.bytes_per_second);
            self.free_at = starts + takes;
            self.longest_queue = self.longest_queue.max(self.free_at.since(self.now));
            let answered = self.free_at + self.latency + self.some_jitter();
            // Answers come in order.
            let before = self.flying.back().map_or(answered, |(at, _)| *at);
            self.flying.push_back((answered.max(before), piece));
        }
    }

    /// A part of it, spread evenly: the generator of Lehmer.
    fn some_jitter(&mut self) -> Duration {
        self.random = self.random * 48_271 % 2_147_483_647;
        let most = u64::try_from(self.jitter.as_micros()).expect("seconds");
        Duration::from_micros(most * self.random / 2_147_483_647)
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.send_all();
            let (at, piece) = self.flying.pop_front().expect("something is under way");
            if at > end {
                self.flying.push_front((at, piece));
                self.now = end;
                return;
            }
            self.now = at;
            self.delivered += piece.size;
            self.pace.acknowledged(at, piece);
        }
    }

    /// Which part of what it can carry the link carries in this time, in hundredths.
    fn use_of(&mut self, time: Duration) -> u64 {
        let before = self.delivered;
        self.run(time);
        let could = self.bytes_per_second * time.as_secs();
        (self.delivered - before) * 100 / could
    }
}

const SOON: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_mins(1);
const MS: Duration = Duration::from_millis(1);

#[test]
fn narrow_link_is_used_and_its_queue_stays_short() {
    for bytes_per_second in [8_000, 32_000, 125_000] {
        let mut way = Way::new(bytes_per_second, 20 * MS);
        way.run(SOON);
        assert!(
            way.longest_queue < 2_200 * MS,
            "at first: {:?}",
            way.longest_queue
        );
        way.longest_queue = Duration::ZERO;
        let used = way.use_of(LONG);
        assert!(
            way.longest_queue < 700 * MS,
            "{:?} at {bytes_per_second}",
            way.longest_queue
        );
        assert!(used >= 85, "{used} % at {bytes_per_second}");
    }
}

#[test]
fn fast_link_has_its_whole_window_soon() {
    let mut way = Way::new(400_000_000, 5 * MS);
    way.run(200 * MS);
    assert_eq!(way.pace.window, MAX_WINDOW);
    let used = way.use_of(LONG);
    assert!(used >= 98, "{used} %");
}

#[test]
fn long_way_is_filled() {
    let mut way = Way::new(10_000_000, 150 * MS);
    way.run(SOON);
    let used = way.use_of(LONG);
    assert!(used >= 90, "{used} %");
}

#[test]
fn slow_disk_behind_a_fast_link_does_not_slow_the_output_to_a_trickle() {
    let mut way = Way::new(100_000_000, 2 * MS);
    way.run(SOON);
    // From now on each answer waits for a disk, however little is under way.
    way.latency = 500 * MS;
    way.run(SOON * 2);
    let used = way.use_of(LONG);
    assert!(used >= 20, "{used} %: {:?}", way.pace);
}

#[test]
fn master_that_is_busy_is_not_taken_for_a_narrow_link() {
    // Rounds of a thousand readers, and the disk of a file server.
    for (latency, jitter, least) in [(300, 1_700, 1_000_000), (50, 650, 5_000_000)] {
        let mut way = Way::new(100_000_000, latency * MS);
        way.jitter = jitter * MS;
        way.run(SOON);
        let before = way.delivered;
        way.run(LONG);
        let rate = (way.delivered - before) / LONG.as_secs();
        assert!(rate >= least, "{rate} bytes/s: {:?}", way.pace);
    }
}

#[test]
fn narrow_link_to_a_restless_network_is_used_and_its_queue_stays_short() {
    let mut way = Way::new(8_000, 20 * MS);
    way.jitter = 50 * MS;
    way.run(SOON);
    way.longest_queue = Duration::ZERO;
    let used = way.use_of(LONG);
    assert!(way.longest_queue < 1_000 * MS, "{:?}", way.longest_queue);
    assert!(used >= 85, "{used} %");
}

#[test]
fn link_that_becomes_narrow_is_followed() {
    let mut way = Way::new(1_000_000, 20 * MS);
    way.run(SOON);
    way.bytes_per_second = 8_000;
    way.run(LONG);
    way.longest_queue = Duration::ZERO;
    way.run(LONG);
    assert!(way.longest_queue < 700 * MS, "{:?}", way.longest_queue);
    way.bytes_per_second = 1_000_000;
    way.run(SOON);
    let used = way.use_of(LONG);
    assert!(used >= 85, "{used} %");
}

#[test]
fn trickle_of_output_proves_nothing_about_the_way() {
    let mut pace = Pace::new(Steady::default());
    for second in 1..100 {
        let at = Steady::from_micros(second * 1_000_000);
        let granted = pace
            .reserve(at, READ_BATCH as u64)
            .expect("nothing is under way");
        pace.give_back(granted - 100);
        let piece = pace.sent(at, 100);
        pace.acknowledged(at + MS, piece);
    }
    assert_eq!((pace.window, pace.in_flight), (FIRST_WINDOW, 0));
}

#[test]
fn what_is_given_back_may_be_sent_again() {
    let mut pace = Pace::new(Steady::default());
    let granted: Vec<u64> =
        std::iter::from_fn(|| pace.reserve(Steady::default(), READ_BATCH as u64)).collect();
    assert_eq!(granted.iter().sum::<u64>(), FIRST_WINDOW);
    pace.give_back(FIRST_WINDOW);
    assert!(
        pace.reserve(Steady::default(), 10)
            .is_some_and(|size| size == 10)
    );
}
