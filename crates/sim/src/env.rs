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

/// The clock of one machine: it starts anew with each boot, and its wall clock is a little off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineClock {
    offset: Duration,
    wall: i64,
}

impl MachineClock {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let skew = i64::try_from(rng.below(10_000_000)).unwrap_or(0);
        Self {
            offset: rng.millis(0, 1_000_000),
            wall: WALL_START + skew,
        }
    }

    pub(crate) fn read(&self, now: Steady) -> Now {
        let micros = i64::try_from(now.as_micros()).unwrap_or(i64::MAX / 2);
        Now {
            wall: Timestamp::from_micros(self.wall + micros),
            steady: now + self.offset,
        }
    }

    /// When this clock will show that time.
    pub(crate) fn true_time(&self, at: Steady) -> Steady {
        Steady::from_micros(0) + at.since(Steady::from_micros(0) + self.offset)
    }
}

/// Some day in 2026, in microseconds since the Unix epoch.
const WALL_START: i64 = 1_767_225_600_000_000;
