//! Queues of one class share what there is by their weights.

use std::time::Duration;

use jobyard_core::Resources;
use proptest::prelude::*;

use crate::backlog::{Backlog, Stream, scatter};
use crate::yard::{Yard, wants};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Whose jobs run as long as they said.
fn exact(number: u64) -> (Option<Duration>, Duration) {
    let time = Duration::from_millis(1 + scatter(number, 5_000));
    (Some(time), time)
}

/// Whose jobs run as long as they like.
fn wild(number: u64) -> (Option<Duration>, Duration) {
    let said = Duration::from_millis(scatter(number, 5_000));
    let runs = Duration::from_millis(1 + scatter(number + (1 << 40), 5_000));
    (Some(said), runs)
}

/// Who say nothing.
fn silent(number: u64) -> (Option<Duration>, Duration) {
    (None, Duration::from_millis(1 + scatter(number, 5_000)))
}

type Times = fn(u64) -> (Option<Duration>, Duration);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn queues_whose_jobs_keep_their_word_differ_by_one_job_at_most(
        weights in prop::collection::vec(1..1000_u32, 2..=3),
        workers in 1..8_u32,
    ) {
        let mut shares = Shares::new(&weights, workers, exact);
        for _ in 0..400 {
            shares.step();
            let (difference, single) = shares.differ();
            prop_assert!(difference <= single, "{difference} is more than {single}");
        }
        shares.are_as_the_weights()?;
    }

    #[test]
    fn queues_differ_by_one_job_more_than_they_run_at_most(
        weights in prop::collection::vec(1..1000_u32, 2..=3),
        workers in 1..8_u32,
        times in prop_oneof![Just(wild as Times), Just(silent as Times)],
    ) {
        let mut shares = Shares::new(&weights, workers, times);
        for _ in 0..400 {
            shares.step();
            let (difference, single) = shares.differ();
            let most = single * (1 + u128::from(workers));
            prop_assert!(difference <= most, "{difference} is more than {most}");
        }
    }

    #[test]
    fn queues_that_have_one_worker_differ_by_one_job_at_most(
        weights in prop::collection::vec(1..1000_u32, 2..=3),
    ) {
        let mut shares = Shares::new(&weights, 1, wild);
        for _ in 0..400 {
            shares.step();
            let (difference, single) = shares.differ();
            prop_assert!(difference <= single, "{difference} is more than {single}");
        }
    }
}

/// Queues that always have work, and what the host reckons that they have had.
struct Shares {
    backlog: Backlog,
    weights: Vec<u32>,
    workers: u32,
    times: Times,
    /// What jobs that ended have had, against the weight.
    had: Vec<u128>,
    /// The same as they said, while they run.
    averages: Vec<u64>,
    charged: std::collections::BTreeMap<u64, u128>,
    /// The largest of a single job of each queue.
    largest: Vec<u128>,
}

impl Shares {
    fn new(weights: &[u32], workers: u32, times: Times) -> Self {
        let wants = wants("", Resources::of_slots(1));
        let stream = |queue: &&'static str| Stream {
            queue,
            wants: wants.clone(),
            times,
        };
        let streams = NAMES.iter().take(weights.len()).map(stream).collect();
        let mut backlog = Backlog::new(|policy| policy.ageing = None, streams);
        for (queue, weight) in NAMES.iter().zip(weights) {
            backlog
                .yard
                .set(queue, |settings| settings.weight = *weight);
        }
        backlog.fill(workers as usize + 2);
        for number in 0..workers {
            let offer = crate::yard::offer(u128::from(number) + 1, "", 1);
            backlog
                .yard
                .tell(jobyard_scheduler::Event::WorkerJoined(offer));
        }
        let mut shares = Self {
            backlog,
            weights: weights.to_vec(),
            workers,
            times,
            had: vec![0; weights.len()],
            averages: vec![60_000; weights.len()],
            charged: std::collections::BTreeMap::new(),
            largest: vec![0; weights.len()],
        };
        for number in 0..workers {
            shares.backlog.worker(u128::from(number) + 1, "", 1);
            shares.charge_new();
        }
        shares
    }

    fn price(&self, queue: usize, millis: u128) -> u128 {
        let share = (1_u128 << 32) / u128::from(self.workers);
        share * millis.max(1) * (1 << 20) / u128::from(self.weights[queue])
    }

    /// Reckons what jobs that have just started are expected to cost.
    fn charge_new(&mut self) {
        for (number, run) in self.backlog.running.clone() {
            let said = (self.times)(number).0.map(|said| said.as_millis());
            let expected = said.unwrap_or(self.averages[run.stream].into());
            let price = self.price(run.stream, expected);
            if self.charged.contains_key(&number) {
                continue;
            }
            self.charged.insert(number, price);
            self.largest[run.stream] = self.largest[run.stream].max(price);
        }
    }

    fn step(&mut self) {
        let (number, run, _) = self.backlog.step();
        let ran = (self.backlog.yard.now - run.since).as_millis();
        let price = self.price(run.stream, ran);
        self.charged.remove(&number);
        self.had[run.stream] += price;
        self.largest[run.stream] = self.largest[run.stream].max(price);
        let (ran, average) = (
            u64::try_from(ran).expect("not so long"),
            self.averages[run.stream],
        );
        self.averages[run.stream] = if ran > average {
            average + (ran - average) / 8
        } else {
            average - (average - ran) / 8
        };
        self.charge_new();
    }

    /// The largest difference between two queues, and the largest single charge so far.
    fn differ(&self) -> (u128, u128) {
        let mut charges = self.had.clone();
        for (number, run) in &self.backlog.running {
            charges[run.stream] += self.charged[number];
        }
        let most = charges.iter().max().expect("queues");
        let least = charges.iter().min().expect("queues");
        let single = self.largest.iter().max().expect("queues");
        (most - least, *single)
    }

    /// Over a long run nobody has had more than a few jobs beyond his weight.
    fn are_as_the_weights(&self) -> Result<(), TestCaseError> {
        let total: u128 = self.weights.iter().map(|weight| u128::from(*weight)).sum();
        let had = |queue: usize| self.had[queue] * u128::from(self.weights[queue]);
        let all: u128 = (0..self.had.len()).map(had).sum();
        let job = (1_u128 << 52) * 5_000;
        for queue in 0..self.had.len() {
            let due = all * u128::from(self.weights[queue]) / total;
            let single = self.largest.iter().max().expect("queues");
            let slack = single * u128::from(self.weights[queue]) + 2 * job;
            prop_assert!(had(queue).abs_diff(due) <= slack, "queue {queue}");
        }
        Ok(())
    }
}

use proptest::test_runner::TestCaseError;

#[test]
fn a_queue_of_triple_weight_gets_three_of_four() {
    let mut shares = Shares::new(&[3, 1], 4, |_| {
        (Some(Duration::from_secs(1)), Duration::from_secs(1))
    });
    for _ in 0..400 {
        shares.step();
    }
    let of_a = shares.had[0] * 3;
    let of_b = shares.had[1];
    let part = of_a * 100 / (of_a + of_b);
    assert!((74..=76).contains(&part), "{part} of 100");
}

#[test]
fn nobody_saves_up_by_waiting() {
    let mut yard = Yard::default();
    yard.worker(9, "", 1);
    for number in 1..=10 {
        yard.submit(number, "", 1, |demand| demand.queue = "busy".into());
    }
    for number in 1..=5 {
        yard.wait(60_000);
        yard.release(number);
    }
    for number in 11..=13 {
        yard.submit(number, "", 1, |demand| demand.queue = "new".into());
    }
    yard.wait(60_000);
    assert_eq!(yard.release(6), [(11, 9)]);
    yard.wait(60_000);
    assert_eq!(yard.release(11), [(7, 9)], "they take turns at once");
    yard.wait(60_000);
    assert_eq!(yard.release(7), [(12, 9)]);
}

#[test]
fn nobody_is_forgiven_by_leaving() {
    let mut yard = Yard::default();
    yard.worker(9, "", 1);
    yard.submit(1, "", 1, |demand| demand.queue = "greedy".into());
    yard.submit(2, "", 1, |demand| demand.queue = "other".into());
    yard.wait(600_000);
    assert_eq!(yard.release(1), [(2, 9)]);
    for number in 3..=6 {
        let queue = if number == 3 { "greedy" } else { "other" };
        yard.submit(number, "", 1, |demand| demand.queue = queue.into());
    }
    for (ended, next) in [(2, 4), (4, 5), (5, 6)] {
        yard.wait(60_000);
        assert_eq!(yard.release(ended), [(next, 9)]);
    }
}
