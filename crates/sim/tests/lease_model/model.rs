//! The protocol: who knows what.

mod steps;

use std::fmt;

/// How long a lease lasts, in ticks.
pub(crate) const LEASE: u8 = 2;
/// How much longer a master waits.
pub(crate) const GRACE: u8 = 1;
/// How long a master may lead without asking the store.
const LEADER: u8 = 2;

/// What the promise rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// What runs ends with its lease, whatever the agent does.
    LauncherFences,
    /// A lease is counted from when the heartbeat was sent, not from its answer.
    AnchorAtSend,
    /// A master waits for the lease and the grace.
    Grace,
    /// All leases count as renewed when a master begins to lead.
    FailoverGrace,
    /// A master answers only while it is sure that it leads.
    LeaderLease,
    /// A master gives up an attempt only once it listens to no session of its worker any more.
    SilentSessionsEnd,
    /// That a worker does not list an attempt is believed once it has said something after the welcome.
    HelloIsConfirmed,
}

/// What the masters share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Store {
    epoch: u8,
    /// Ticks since the leader was sure of itself last.
    age: u8,
    /// The number of the last attempt.
    attempt: u8,
    /// Who has it; `None`: nobody, the job waits.
    placed: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Master {
    /// Its term; 0: none.
    epoch: u8,
    /// Ticks since it was sure that it leads.
    age: u8,
    /// By worker: ticks since it was heard.
    heard: [u8; 2],
    /// By worker.
    sessions: [Option<Session>; 2],
}

/// What a master knows of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Session {
    id: u8,
    /// The attempt that the hello listed; 0: none.
    listed: u8,
    /// Whether the worker has answered the welcome.
    confirmed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Worker {
    max_epoch: u8,
    /// Sessions opened so far.
    opened: u8,
    /// The present one: with which master, and whether it was welcomed.
    session: Option<(u8, bool)>,
    /// Ticks of its own clock since its lease began.
    age: u8,
    /// The attempt that runs; 0: none.
    running: u8,
    /// The last attempt that it has accepted: its journal.
    accepted: u8,
    /// In which of the last ticks its clock stood still, one bit each.
    slow: u8,
}

/// Something under way. `age`: ticks of the worker's clock since the worker sent what this belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    worker: u8,
    master: u8,
    session: u8,
    age: u8,
    says: Says,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Says {
    Hello { listed: u8 },
    Welcome { epoch: u8, keep: bool },
    Heartbeat,
    Answer,
    Assign { attempt: u8 },
}

impl Says {
    const fn is_of_worker(self) -> bool {
        matches!(self, Self::Hello { .. } | Self::Heartbeat)
    }
}

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct State {
    store: Store,
    masters: [Master; 2],
    workers: [Worker; 2],
    messages: Vec<Message>,
}

impl State {
    /// Nobody leads, nothing runs.
    pub(crate) fn first() -> Self {
        let master = Master {
            epoch: 0,
            age: LEADER,
            heard: [LEASE + GRACE; 2],
            sessions: [None; 2],
        };
        let worker = Worker {
            max_epoch: 0,
            opened: 0,
            session: None,
            age: LEASE,
            running: 0,
            accepted: 0,
            slow: 0,
        };
        Self {
            store: Store {
                epoch: 0,
                age: LEADER,
                attempt: 0,
                placed: None,
            },
            masters: [master.clone(), master],
            workers: [worker.clone(), worker],
            messages: Vec::new(),
        }
    }

    /// Whether two attempts may still come to run at the same time: the first one runs, or may still begin. From all
    /// others on there is nothing left to find.
    pub(crate) fn is_open(&self) -> bool {
        let may_begin = |message: &Message| message.says == Says::Assign { attempt: 1 };
        self.store.attempt == 0
            || self.workers.iter().any(|worker| worker.running == 1)
            || self.messages.iter().any(may_begin)
    }

    /// The same without what makes no difference: what nobody will listen to, what is not asked any more, and which of
    /// two alike is the first.
    pub(crate) fn canonical(mut self, without: Option<Rule>) -> Self {
        for master in &mut self.masters {
            // It was not sure in time, and never will be in this term.
            if master.age >= LEADER && without != Some(Rule::LeaderLease) {
                *master = Self::first().masters[0].clone();
            }
            for worker in 0..2_u8 {
                let heard = &mut master.heard[usize::from(worker)];
                if self.store.placed != Some(worker) && *heard >= LEASE {
                    *heard = LEASE + GRACE;
                }
            }
        }
        let mut messages = std::mem::take(&mut self.messages);
        messages.retain(|message| self.is_heard(*message));
        self.messages = messages;
        let swapped = [
            self.clone().swap_masters(),
            self.clone().swap_workers(),
            self.clone().swap_masters().swap_workers(),
        ];
        swapped.into_iter().fold(self, Ord::min)
    }

    /// Whether it may still have an effect.
    fn is_heard(&self, message: Message) -> bool {
        let (worker, master) = (usize::from(message.worker), usize::from(message.master));
        let worker_listens = {
            let worker = &self.workers[worker];
            worker.opened == message.session
                && worker
                    .session
                    .is_some_and(|(with, _)| with == message.master)
        };
        match message.says {
            Says::Hello { .. } => true,
            Says::Heartbeat => self.masters[master].sessions[worker]
                .is_some_and(|session| session.id == message.session),
            Says::Welcome { .. } | Says::Answer | Says::Assign { .. } => worker_listens,
        }
    }

    fn swap_masters(mut self) -> Self {
        self.masters.swap(0, 1);
        for worker in &mut self.workers {
            worker.session = worker.session.map(|(master, open)| (1 - master, open));
        }
        for message in &mut self.messages {
            message.master = 1 - message.master;
        }
        self.messages.sort_unstable();
        self
    }

    fn swap_workers(mut self) -> Self {
        self.workers.swap(0, 1);
        self.store.placed = self.store.placed.map(|worker| 1 - worker);
        for master in &mut self.masters {
            master.heard.swap(0, 1);
            master.sessions.swap(0, 1);
        }
        for message in &mut self.messages {
            message.worker = 1 - message.worker;
        }
        self.messages.sort_unstable();
        self
    }

    /// Whether two attempts run.
    pub(crate) fn overlaps(&self) -> bool {
        self.workers.iter().all(|worker| worker.running > 0)
    }

    /// Whether the job waits for a second attempt.
    pub(crate) fn waits_again(&self) -> bool {
        self.store.attempt == 1 && self.store.placed.is_none()
    }

    /// Whether a second master has begun to lead.
    pub(crate) fn has_taken_over(&self) -> bool {
        self.store.epoch > 1
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store,
            masters,
            workers,
            messages,
        } = self;
        writeln!(f, "{store:?}")?;
        masters.iter().try_for_each(|it| writeln!(f, "{it:?}"))?;
        workers.iter().try_for_each(|it| writeln!(f, "{it:?}"))?;
        messages.iter().try_for_each(|it| writeln!(f, "{it:?}"))
    }
}
