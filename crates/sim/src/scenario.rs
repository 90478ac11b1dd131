//! What is simulated: sizes, times, and how much goes wrong.

use std::time::Duration;

use jobyard_master::engine::Timings;

/// The sizes of a world and how rough it is. A world is its scenario and its seed: the same two give the same history,
/// event by event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scenario {
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
    /// How long it takes on average until some worker begins or ceases to complain about its machine. `None`: none ever
    /// does.
    pub complain_every: Option<Duration>,
    /// How patient the master is.
    pub timings: Timings,
    /// Whether the hello of a connection that its worker has given up may still arrive, even after that of a newer
    /// connection.
    pub late_hellos: bool,
    /// Whether wall clocks jump. Nothing else may depend on that.
    pub wall_jumps: bool,
    /// A deliberate bug, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

impl Scenario {
    /// Sixty simulated seconds of four workers with every kind of fault.
    pub const fn rough() -> Self {
        Self {
            workers: 4,
            horizon: Duration::from_mins(1),
            drain: Duration::from_mins(5),
            submit_every: Duration::from_secs(1),
            operate_every: Duration::from_secs(1),
            fault_every: Some(Duration::from_millis(1_500)),
            complain_every: Some(Duration::from_secs(2)),
            timings: TIMINGS,
            late_hellos: true,
            wall_jumps: true,
            sabotage: None,
        }
    }

    /// Two workers for ten simulated seconds, and nothing goes wrong.
    pub const fn calm() -> Self {
        Self {
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

    /// The one of that name: `rough` or `calm`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "rough" => Some(Self::rough()),
            "calm" => Some(Self::calm()),
            _ => None,
        }
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
    /// A worker's launcher does not enforce leases, and its agent is stuck.
    ForgetLeases,
    /// The master's shell does not look at tombstones.
    IgnoreTombstones,
    /// The store keeps the first version of a finished job's record when the master is started anew, and calls it
    /// unfinished.
    ReviveFinished,
}
