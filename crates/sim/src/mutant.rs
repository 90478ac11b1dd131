//! Deliberate bugs in the brains: each has to be found.

use crate::scenario::{Sabotage, Scenario};

/// A deliberate bug. The brains ask for theirs by name, with `jobyard_core::mutated`, in a build with
/// `--cfg jobyard_mutants`; those of the shells are bugs of the simulated ones.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Mutant {
    /// What goes wrong.
    pub name: &'static str,
    worlds: fn() -> Scenario,
    sabotage: Option<Sabotage>,
}

impl Mutant {
    /// Every one that has to be found.
    pub const ALL: &[Self] = &[
        Self::of("a worker of a newer term is taken"),
        Self::of("a removed worker is welcomed"),
        Self::of("an impossible capacity is taken"),
        Self::of("a foreign protocol is taken"),
        Self::of("reconciliation keeps a revoked attempt"),
        Self::of("another boot counts as the same"),
        Self::of("an attempt that its worker does not have is waited for"),
        Self::of("a lease goes on without contact"),
        Self::of("a lease is over before its end"),
        Self::of("a worker that is back is given up"),
        Self::of("a stale attempt counts"),
        Self::of("a suspended worker stays available"),
        Self::of("a removed worker still gets jobs"),
        Self::of("complaints are not heeded"),
        Self::of("capacity is never released"),
        Self::of("capacity is released twice"),
        Self::of("what ran before a restart is not counted"),
        Self::of("an end wins over an accepted stop"),
        Self::of("a tombstone is ignored"),
        Self::of("a repeated call counts again"),
        Self::of("a stopped job stays in the queue"),
        Self::of("a retry is not paid for"),
        Self::of("a job is run again for its own failures without a budget"),
        Self::of("a job that is not repeatable is retried"),
        Self::of("a reply goes before its commit"),
        Self::of("output is given up before it is durable"),
        Self::of("nobody hears that output is kept"),
        Self::of("a held attempt is taken again"),
        Self::of("an attempt of the past is taken"),
        Self::of("a forgotten attempt is started"),
        Self::within("a stopped attempt is started", Scenario::slow),
        Self::within("what is given up counts as never begun", Scenario::forced),
        Self::within(
            "what an earlier term gave up is not asked for",
            Scenario::forced,
        ),
        Self::within(
            "an attempt starts before the journal has it",
            Scenario::forced,
        ),
        Self::of("a new life starts what an earlier one left"),
        Self::of("an end is dropped before it is durable"),
        Self::of("a master of an older term is served"),
        Self::of("a new life forgets the newest term"),
        Self::of("a silent master is believed"),
        Self::of("an end is reported before nothing is left"),
        Self::of("an end is reported twice"),
        Self::of("a timeout is forgotten"),
        Self::of("a kill after the grace is forgotten"),
        Self::of("a stop is blamed on the job"),
        Self::within(
            "a new term does not wait for the leases of the one before",
            Scenario::apart,
        ),
        Self::within("a lease counts without an answer", Scenario::apart),
        Self::within("an attempt outlives its lease", Scenario::apart),
        Self::within("a lease counts from its answer", Scenario::answered_late),
        Self::within(
            "an attempt that does not count is not revoked",
            Scenario::stopped,
        ),
        Self::within("a revoked attempt runs on", Scenario::stopped),
        Self::within(
            "a stop is not repeated to a worker that is back",
            Scenario::stopped,
        ),
        Self::within(
            "a drain is not repeated to a worker that is back",
            Scenario::stopped,
        ),
        Self::within("a stop while it starts is forgotten", Scenario::stopped),
        Self::within("a kill is not heeded", Scenario::stopped),
        Self::within("a signal that fails is forgotten", Scenario::stopped),
        Self::within("the end of a drain's time is forgotten", Scenario::drained),
        Self::within(
            "an attempt that was not journaled is not declined",
            Scenario::unwritten,
        ),
        Self::within("another job is taken under a known id", Scenario::intruded),
        Self::within("an order before the welcome counts", Scenario::intruded),
        Self::within("an unknown worker is welcomed", Scenario::intruded),
        Self::within("a worker that ends takes jobs", Scenario::intruded),
        Self::within("a worker that drains takes jobs", Scenario::intruded),
        Self::within("a worker that is exhausted takes jobs", Scenario::intruded),
        Self::within("a foreign master is served", Scenario::intruded),
        Self::sabotage(
            "leases that nobody enforces",
            Sabotage::ForgetLeases,
            Scenario::apart,
        ),
        Self::sabotage(
            "output is dropped when it is sent",
            Sabotage::TrimBeyondDurable,
            Scenario::rough,
        ),
        Self::sabotage(
            "output goes on a byte too early",
            Sabotage::ShiftOutput,
            Scenario::rough,
        ),
        Self::sabotage(
            "the rest of the output is dropped",
            Sabotage::DropRest,
            Scenario::rough,
        ),
        Self::within("a session that is over is still heard", Scenario::late),
        Self::within("a hello counts before its worker answers", Scenario::late),
        Self::within("a replaced session is still heard", Scenario::late),
        Self::within(
            "an attempt starts after the promise is over",
            Scenario::ordered,
        ),
        Self::within(
            "a stop during a wait for a retry is forgotten",
            Scenario::ordered,
        ),
        Self::within("a drain is acknowledged early", Scenario::ordered),
        Self::within(
            "another attempt does not wait for the lease",
            Scenario::stopped,
        ),
        Self::within("a stop wins over an end", Scenario::ordered),
    ];

    const fn of(name: &'static str) -> Self {
        Self::within(name, Scenario::rough)
    }

    const fn within(name: &'static str, worlds: fn() -> Scenario) -> Self {
        Self {
            name,
            worlds,
            sabotage: None,
        }
    }

    /// A bug of a simulated shell.
    const fn sabotage(name: &'static str, by: Sabotage, worlds: fn() -> Scenario) -> Self {
        let sabotage = Some(by);
        Self {
            sabotage,
            ..Self::within(name, worlds)
        }
    }

    /// The worlds in which it has to be found.
    pub fn scenario(&self) -> Scenario {
        Scenario {
            sabotage: self.sabotage,
            ..(self.worlds)()
        }
    }

    /// Whether this build has them.
    pub const fn are_built_in() -> bool {
        cfg!(jobyard_mutants)
    }

    /// Lets it act in this thread from now on.
    pub fn switch_on(&self) {
        #[cfg(jobyard_mutants)]
        jobyard_core::switch_mutant(Some(self.name));
    }
}
