//! What is simulated: sizes, times, and how much goes wrong.

use std::time::Duration;

use jobyard_master::engine::Timings;

use crate::trouble::Trouble;

/// The sizes of a world and how rough it is. A world is its scenario and its seed: the same two give the same history,
/// event by event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scenario {
    /// What it is called, to ask for it again.
    pub name: &'static str,
    /// How many workers there are; at least 1. The first one can run every job and is never removed, so that every job
    /// can end.
    pub workers: usize,
    /// For how long jobs are submitted and faults happen, in simulated time.
    pub horizon: Duration,
    /// How long the world may take after that until every job is finished and nothing is left over.
    pub drain: Duration,
    /// How long it takes on average until somebody submits the next few jobs.
    pub submit_every: Duration,
    /// How long it takes on average until an operator does something.
    pub operate_every: Duration,
    /// How long it takes on average until the next fault of the network, of a machine or of a program. `None`: never;
    /// the small faults (slow disks, failed starts, lost answers) do not happen then either.
    pub fault_every: Option<Duration>,
    /// Which of these faults there are; empty: every kind.
    pub troubles: &'static [Trouble],
    /// How long it takes on average until some worker begins or ceases to complain about its machine. `None`: none ever
    /// does.
    pub complain_every: Option<Duration>,
    /// How patient the master is.
    pub timings: Timings,
    /// Whether the hello of a connection that its worker has given up may still arrive, even after that of a newer
    /// connection.
    pub late_hellos: bool,
    /// For how long a job runs at most by itself.
    pub longest_run: Duration,
    /// How many jobs in a thousand must not outlive a lease.
    pub leased_per_mille: u64,
    /// How many stops in a thousand are by force.
    pub force_per_mille: u64,
    /// How many hellos in a thousand take seconds to arrive, if they may.
    pub late_hellos_per_mille: u64,
    /// How many hellos in a thousand arrive a second time, if they may.
    pub ghosts_per_mille: u64,
    /// How many writes of an attempt into the journal in a thousand fail.
    pub unwritten_per_mille: u64,
    /// How many of these writes in a thousand take up to two seconds.
    pub slow_journal_per_mille: u64,
    /// Whether somebody tries what must be refused: another job under a known id, orders of a master that leads no more,
    /// a master of a foreign protocol, a hello of a worker that nobody knows, assignments to workers that take none.
    pub intruders: bool,
    /// Whether wall clocks jump. Nothing else may depend on that.
    pub wall_jumps: bool,
    /// A deliberate bug, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

impl Scenario {
    /// Sixty simulated seconds of four workers with every kind of fault.
    pub const fn rough() -> Self {
        Self {
            name: "rough",
            workers: 4,
            horizon: Duration::from_mins(1),
            drain: Duration::from_mins(5),
            submit_every: Duration::from_secs(1),
            operate_every: Duration::from_secs(1),
            fault_every: Some(Duration::from_millis(1_500)),
            troubles: &[],
            complain_every: Some(Duration::from_secs(2)),
            timings: TIMINGS,
            late_hellos: true,
            longest_run: Duration::from_secs(10),
            leased_per_mille: 250,
            force_per_mille: 150,
            late_hellos_per_mille: 100,
            ghosts_per_mille: 15,
            unwritten_per_mille: 20,
            slow_journal_per_mille: 40,
            intruders: false,
            wall_jumps: true,
            sabotage: None,
        }
    }

    /// Two workers for ten simulated seconds, and nothing goes wrong.
    pub const fn calm() -> Self {
        Self {
            name: "calm",
            workers: 2,
            horizon: Duration::from_secs(10),
            drain: Duration::from_mins(1),
            fault_every: None,
            complain_every: None,
            late_hellos: false,
            wall_jumps: false,
            ..Self::rough()
        }
    }

    /// Long jobs, most of which must not outlive a lease, on workers that are cut off, held up or stuck, under masters that
    /// die.
    pub const fn apart() -> Self {
        Self {
            name: "apart",
            // So many long jobs take their time.
            drain: Duration::from_mins(20),
            submit_every: Duration::from_millis(2_500),
            operate_every: Duration::from_secs(4),
            fault_every: Some(Duration::from_millis(1_200)),
            troubles: &[
                Trouble::CutOneWay,
                Trouble::CutOneWay,
                Trouble::Stall,
                Trouble::Freeze,
                Trouble::Freeze,
                Trouble::CutSession,
                Trouble::CrashMaster,
            ],
            complain_every: None,
            longest_run: Duration::from_secs(40),
            leased_per_mille: 800,
            ..Self::rough()
        }
    }

    /// Long jobs that are stopped, often by force, on workers that drain and leave and come back.
    pub const fn stopped() -> Self {
        Self {
            name: "stopped",
            drain: Duration::from_mins(20),
            horizon: Duration::from_secs(30),
            operate_every: Duration::from_millis(400),
            fault_every: Some(Duration::from_secs(3)),
            troubles: &[
                Trouble::CutSession,
                Trouble::CutSession,
                Trouble::Stall,
                Trouble::CrashMaster,
                Trouble::CrashAgent,
            ],
            complain_every: None,
            longest_run: Duration::from_mins(1),
            leased_per_mille: 500,
            force_per_mille: 400,
            ..Self::rough()
        }
    }

    /// Long jobs that are stopped while a slow disk takes down that they are here.
    pub const fn slow() -> Self {
        Self {
            name: "slow",
            fault_every: Some(Duration::from_secs(10)),
            unwritten_per_mille: 0,
            slow_journal_per_mille: 700,
            ..Self::stopped()
        }
    }

    /// Jobs that are ended by force before a slow journal has them, on workers that drain and are cut off, under masters
    /// that die.
    pub const fn forced() -> Self {
        Self {
            name: "forced",
            fault_every: Some(Duration::from_millis(600)),
            troubles: &[
                Trouble::Stall,
                Trouble::Stall,
                Trouble::CutSession,
                Trouble::CrashMaster,
            ],
            force_per_mille: 900,
            unwritten_per_mille: 0,
            slow_journal_per_mille: 700,
            ..Self::ordered()
        }
    }

    /// Long jobs on workers that drain, for as long as they are given.
    pub const fn drained() -> Self {
        Self {
            name: "drained",
            horizon: Duration::from_mins(1),
            // So many long jobs take their time.
            submit_every: Duration::from_secs(3),
            operate_every: Duration::from_secs(2),
            longest_run: Duration::from_mins(2),
            ..Self::stopped()
        }
    }

    /// Journals that cannot be written while sessions break.
    pub const fn unwritten() -> Self {
        Self {
            name: "unwritten",
            horizon: Duration::from_secs(8),
            submit_every: Duration::from_millis(300),
            operate_every: Duration::from_secs(20),
            fault_every: Some(Duration::from_secs(5)),
            troubles: &[Trouble::CutSession],
            complain_every: None,
            late_hellos_per_mille: 900,
            unwritten_per_mille: 80,
            longest_run: Duration::from_secs(1),
            ..Self::rough()
        }
    }

    /// Hellos that are late and come twice, sessions that are held up and break.
    pub const fn late() -> Self {
        Self {
            name: "late",
            fault_every: Some(Duration::from_millis(700)),
            troubles: &[
                Trouble::CutSession,
                Trouble::CutSession,
                Trouble::HoldUpSession,
                Trouble::Stall,
            ],
            complain_every: None,
            late_hellos_per_mille: 400,
            ghosts_per_mille: 300,
            ..Self::rough()
        }
    }

    /// Short jobs and many orders, on workers that are stuck.
    pub const fn ordered() -> Self {
        Self {
            name: "ordered",
            horizon: Duration::from_secs(40),
            submit_every: Duration::from_millis(400),
            operate_every: Duration::from_millis(120),
            fault_every: Some(Duration::from_millis(800)),
            troubles: &[Trouble::Freeze, Trouble::Freeze, Trouble::Stall],
            complain_every: None,
            longest_run: Duration::from_secs(1),
            ..Self::rough()
        }
    }

    /// Jobs that must not outlive a lease, on workers whose master answers late and then hears nothing.
    pub const fn answered_late() -> Self {
        Self {
            name: "answered-late",
            // So that another worker has room for what is lost.
            submit_every: Duration::from_secs(4),
            fault_every: Some(Duration::from_secs(3)),
            troubles: &[Trouble::AnswerLate],
            leased_per_mille: 1_000,
            ..Self::apart()
        }
    }

    /// As rough as can be, and somebody tries what must be refused.
    pub const fn intruded() -> Self {
        Self {
            name: "intruded",
            intruders: true,
            ..Self::rough()
        }
    }

    /// Every one that something goes wrong in.
    pub const ROUGH: [Self; 11] = [
        Self::rough(),
        Self::apart(),
        Self::stopped(),
        Self::slow(),
        Self::forced(),
        Self::drained(),
        Self::unwritten(),
        Self::late(),
        Self::ordered(),
        Self::answered_late(),
        Self::intruded(),
    ];

    /// The one of that name: `calm`, or one of [`ROUGH`](Self::ROUGH).
    pub fn named(name: &str) -> Option<Self> {
        let all = Self::ROUGH.into_iter().chain([Self::calm()]);
        all.into_iter().find(|scenario| scenario.name == name)
    }

    /// The same with a deliberate bug.
    #[must_use]
    pub fn with(mut self, sabotage: Sabotage) -> Self {
        self.sabotage = Some(sabotage);
        self
    }
}

/// Shorter than in earnest, in about the same proportions, so that a minute sees many leases end.
const TIMINGS: Timings = Timings {
    heartbeat: Duration::from_secs(1),
    lease: Duration::from_secs(5),
    margin: Duration::from_secs(1),
    grace: Duration::from_secs(2),
    failover_grace: Duration::from_secs(5),
    reconcile_for: Duration::from_secs(15),
    log_drain: Duration::from_secs(2),
    fleet_grace: Duration::from_secs(3),
    retry_first: Duration::from_millis(200),
    retry_most: Duration::from_secs(3),
};

/// A deliberate bug of the simulated surroundings. None of them touches the code that is simulated: they show that the
/// invariants see what they are there to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sabotage {
    /// The master's shell lets effects go before their batch is durable.
    SpeakBeforeCommit,
    /// A worker's executor starts an attempt anew where it should find it again.
    AdoptByStarting,
    /// A worker loses its journal when its agent is started anew.
    ForgetJournal,
    /// The master's shell doubles the slots that a worker offers.
    OverstateSlots,
    /// The master's shell leaves out which tags a worker keeps for jobs that name them.
    HideExclusive,
    /// The master's shell leaves out what workers complain about, and that they take nothing.
    HideComplaints,
    /// The store loses the settings of queues when the master is started anew.
    ForgetQueues,
    /// The store loses the groups of jobs when the master is started anew.
    ForgetGroups,
    /// The master's messages that an attempt is done with do not arrive.
    DropForgets,
    /// A worker drops output when it has sent it, and not when it is confirmed.
    TrimBeyondDurable,
    /// A worker that goes on sending output begins a byte too early, and calls it the right place.
    ShiftOutput,
    /// A worker drops the output of an attempt that is over where the master does not have it yet, and calls that its
    /// end.
    DropRest,
    /// A worker's launcher does not enforce leases, and its agent is stuck.
    ForgetLeases,
    /// The master's shell does not look at tombstones.
    IgnoreTombstones,
    /// The store keeps the first version of a finished job's record when the master is started anew, and calls it
    /// unfinished.
    ReviveFinished,
}
