//! What all simulated programs share: time, chance, the network, and whoever watches.

use std::time::Duration;

use jobyard_core::{AttemptId, Now, Steady, Timestamp};

use crate::agenda::{Agenda, Event};
use crate::fact::Fact;
use crate::fault::Fault;
use crate::network::Network;
use crate::rng::Rng;
use crate::scenario::{Sabotage, Scenario};
use crate::summary::Summary;
use crate::trace::{Note, Trace};

/// The surroundings of the simulated programs.
#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) scenario: Scenario,
    /// The true time, counted from the beginning of the world.
    pub(crate) now: Steady,
    pub(crate) rng: Rng,
    /// Chance for wall clocks alone: with it and without it, everything else stays the same.
    pub(crate) wall_rng: Rng,
    pub(crate) agenda: Agenda,
    pub(crate) network: Network,
    pub(crate) trace: Trace,
    pub(crate) summary: Summary,
    /// What has become true since the invariants were asked last.
    pub(crate) facts: Vec<Fact>,
    /// Whether faults have stopped.
    pub(crate) calm: bool,
}

impl Env {
    pub(crate) fn new(seed: u64, scenario: Scenario) -> Self {
        let summary = Summary {
            worlds: 1,
            ..Summary::default()
        };
        Self {
            now: Steady::from_micros(0),
            rng: Rng::new(seed),
            wall_rng: Rng::new(!seed),
            agenda: Agenda::default(),
            network: Network::new(scenario.workers),
            trace: Trace::default(),
            summary,
            facts: Vec::new(),
            calm: scenario.fault_every.is_none(),
            scenario,
        }
    }

    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        self.agenda.set(self.now + delay, event);
    }

    /// Whether a small fault happens here; so many times in a thousand while faults happen at all.
    pub(crate) fn mishap(&mut self, per_mille: u64, fault: Fault) -> bool {
        let happens = self.rng.chance(per_mille) && !self.calm;
        if happens {
            self.fault(fault);
        }
        happens
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.summary.fault(fault);
    }

    pub(crate) fn note(
        &mut self,
        what: &'static str,
        worker: Option<usize>,
        attempt: Option<AttemptId>,
    ) {
        self.trace.note(Note {
            at: self.now,
            what,
            worker,
            attempt,
        });
    }

    pub(crate) fn is_sabotaged(&self, by: Sabotage) -> bool {
        self.scenario.sabotage == Some(by)
    }
}

/// The clock of one machine: it starts anew with each boot and runs at a rate of its own, and its wall clock is a little
/// off, and jumps when somebody sets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineClock {
    offset: Duration,
    /// How many microseconds it counts in a second.
    rate: u64,
    wall: i64,
}

/// By how much clocks differ from the true time at most, in microseconds a second. The fastest and the slowest differ by
/// less than `(lease + grace) / lease`, which is what leases are made for.
const MAX_DRIFT: u64 = 150_000;

const SECOND: u64 = 1_000_000;

impl MachineClock {
    pub(crate) fn new(env: &mut Env) -> Self {
        let skew = i64::try_from(env.rng.below(10_000_000)).unwrap_or(0);
        let drift = env.rng.below(2 * MAX_DRIFT + 1);
        let drifts = env.scenario.fault_every.is_some();
        Self {
            offset: env.rng.millis(0, 1_000_000),
            rate: if drifts {
                SECOND - MAX_DRIFT + drift
            } else {
                SECOND
            },
            wall: WALL_START + skew,
        }
    }

    pub(crate) fn read(&self, now: Steady) -> Now {
        let counted = scale(now.as_micros(), self.rate, SECOND);
        let micros = i64::try_from(counted).unwrap_or(i64::MAX / 2);
        Now {
            wall: Timestamp::from_micros(self.wall + micros),
            steady: Steady::from_micros(counted) + self.offset,
        }
    }

    /// When this clock will show that time.
    pub(crate) fn true_time(&self, at: Steady) -> Steady {
        let counted = at.since(Steady::from_micros(0) + self.offset);
        let counted = u64::try_from(counted.as_micros()).unwrap_or(u64::MAX);
        Steady::from_micros(scale(counted, SECOND, self.rate).saturating_add(1))
    }

    /// Somebody sets the wall clock, an hour back or a day ahead.
    pub(crate) const fn jump(&mut self, back: bool) {
        let hour = 3_600 * 1_000_000;
        self.wall += if back { -hour } else { 24 * hour };
    }
}

fn scale(number: u64, by: u64, of: u64) -> u64 {
    let scaled = u128::from(number) * u128::from(by) / u128::from(of);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Some day in 2026, in microseconds since the Unix epoch.
const WALL_START: i64 = 1_767_225_600_000_000;
