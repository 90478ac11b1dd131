//! The protocol: who knows what, and what can happen next.

use std::fmt;

/// How long a lease lasts, in ticks.
pub(crate) const LEASE: u8 = 2;
/// How much longer a master waits.
pub(crate) const GRACE: u8 = 1;
/// How long a master may lead without asking the store.
const LEADER: u8 = 2;
/// How many terms there are at most.
const EPOCHS: u8 = 2;
/// How many attempts.
const ATTEMPTS: u8 = 2;
/// How many sessions the workers open, both together.
const SESSIONS: u8 = 3;
/// How many messages are under way at once.
const IN_FLIGHT: usize = 2;

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

    /// Everything that can happen next.
    pub(crate) fn next(&self, without: Option<Rule>, out: &mut Vec<Self>) {
        let holds = |rule| without != Some(rule);
        self.ticks(&holds, out);
        for at in 0..self.messages.len() {
            // Lost, or it arrives.
            let mut lost = self.clone();
            lost.messages.remove(at);
            out.push(lost);
            self.arrive(at, &holds, out);
        }
        for master in 0..2 {
            self.master_acts(master, &holds, out);
        }
        for worker in 0..2 {
            self.worker_acts(worker, out);
        }
    }

    /// Time passes, for each worker a little or not at all.
    fn ticks(&self, holds: &impl Fn(Rule) -> bool, out: &mut Vec<Self>) {
        'choice: for choice in 0..4_u8 {
            let mut next = self.clone();
            next.store.age = (next.store.age + 1).min(LEADER);
            for master in &mut next.masters {
                master.age = (master.age + 1).min(LEADER);
                for heard in &mut master.heard {
                    *heard = (*heard + 1).min(LEASE + GRACE);
                }
            }
            for index in 0..2 {
                let is_slow = choice & (1 << index) != 0;
                let worker = &mut next.workers[index];
                worker.slow = (worker.slow << 1 | u8::from(is_slow)) & WINDOW;
                // In the time that a master waits, at least a lease has passed for the worker.
                if worker.slow.count_ones() > u32::from(GRACE) {
                    continue 'choice;
                }
                if is_slow {
                    continue;
                }
                worker.age = (worker.age + 1).min(LEASE);
                if worker.age >= LEASE && holds(Rule::LauncherFences) {
                    worker.running = 0;
                }
                for message in &mut next.messages {
                    if usize::from(message.worker) == index {
                        message.age = (message.age + 1).min(LEASE);
                    }
                }
                next.messages.sort_unstable();
            }
            out.push(next);
        }
    }

    fn arrive(&self, at: usize, holds: &impl Fn(Rule) -> bool, out: &mut Vec<Self>) {
        let mut next = self.clone();
        let message = next.messages.remove(at);
        let is_done = if message.says.is_of_worker() {
            next.reaches_master(message, holds)
        } else {
            next.reaches_worker(message, holds)
        };
        if is_done {
            out.push(next);
        }
    }

    /// Says whether it had an effect.
    fn reaches_master(&mut self, message: Message, holds: &impl Fn(Rule) -> bool) -> bool {
        let (worker, index) = (usize::from(message.worker), usize::from(message.master));
        let is_sure = self.is_sure(index, holds);
        let is_current = self.masters[index].epoch == self.store.epoch;
        let master = &mut self.masters[index];
        if !is_sure {
            return false;
        }
        match message.says {
            Says::Hello { listed } => {
                let confirmed = !holds(Rule::HelloIsConfirmed);
                master.sessions[worker] = Some(Session {
                    id: message.session,
                    listed,
                    confirmed,
                });
                master.heard[worker] = 0;
                let epoch = master.epoch;
                let is_theirs = self.store.placed == Some(message.worker);
                let keep = listed == 0 || is_theirs && self.store.attempt == listed;
                if confirmed && is_current {
                    self.believe(message.worker, listed);
                }
                self.send(message, Says::Welcome { epoch, keep })
            }
            Says::Heartbeat => {
                let session = master.sessions[worker].as_mut();
                let Some(session) = session.filter(|session| session.id == message.session) else {
                    return false;
                };
                let is_first = !session.confirmed;
                session.confirmed = true;
                let listed = session.listed;
                master.heard[worker] = 0;
                if is_first && is_current {
                    self.believe(message.worker, listed);
                }
                self.send(message, Says::Answer)
            }
            _ => false,
        }
    }

    /// What the worker does not list, it does not have.
    fn believe(&mut self, worker: u8, listed: u8) {
        if self.store.placed == Some(worker) && listed != self.store.attempt {
            self.store.placed = None;
        }
    }

    fn reaches_worker(&mut self, message: Message, holds: &impl Fn(Rule) -> bool) -> bool {
        let worker = &mut self.workers[usize::from(message.worker)];
        let Some((master, is_open)) = worker.session else {
            return false;
        };
        if (master, worker.opened) != (message.master, message.session) {
            return false;
        }
        let age = if holds(Rule::AnchorAtSend) {
            message.age
        } else {
            0
        };
        match message.says {
            Says::Welcome { epoch, keep } if !is_open => {
                if epoch < worker.max_epoch {
                    worker.session = None;
                    return true;
                }
                worker.max_epoch = worker.max_epoch.max(epoch);
                worker.session = Some((master, true));
                worker.age = worker.age.min(age);
                if !keep {
                    worker.running = 0;
                }
                true
            }
            Says::Answer if is_open => {
                worker.age = worker.age.min(age);
                true
            }
            Says::Assign { attempt } if is_open && attempt > worker.accepted => {
                worker.accepted = attempt;
                if worker.age < LEASE {
                    worker.running = attempt;
                }
                true
            }
            _ => false,
        }
    }

    /// Whether a master is sure that it leads.
    fn is_sure(&self, index: usize, holds: &impl Fn(Rule) -> bool) -> bool {
        let master = &self.masters[index];
        master.epoch > 0 && (master.age < LEADER || !holds(Rule::LeaderLease))
    }

    fn master_acts(&self, index: usize, holds: &impl Fn(Rule) -> bool, out: &mut Vec<Self>) {
        if self.store.age >= LEADER && self.store.epoch < EPOCHS {
            let mut next = self.clone();
            next.store.epoch += 1;
            next.store.age = 0;
            let heard = if holds(Rule::FailoverGrace) {
                0
            } else {
                LEASE + GRACE
            };
            next.masters[index] = Master {
                epoch: next.store.epoch,
                age: 0,
                heard: [heard; 2],
                sessions: [None; 2],
            };
            out.push(next);
        }
        let is_leader = self.masters[index].epoch == self.store.epoch;
        if !is_leader || !self.is_sure(index, holds) {
            return;
        }
        if self.masters[index].age > 0 || self.store.age > 0 {
            let mut next = self.clone();
            (next.store.age, next.masters[index].age) = (0, 0);
            out.push(next);
        }
        for worker in 0..2_u8 {
            let heard = self.masters[index].heard[usize::from(worker)];
            let session = self.masters[index].sessions[usize::from(worker)];
            if session.is_some() && heard >= LEASE {
                // It is dead, and whatever still comes of it is nobody's.
                let mut next = self.clone();
                next.masters[index].sessions[usize::from(worker)] = None;
                out.push(next);
            }
            let patience = if holds(Rule::Grace) {
                LEASE + GRACE
            } else {
                LEASE
            };
            let is_silent = session.is_none() || !holds(Rule::SilentSessionsEnd);
            let is_waited_for = self.store.placed == Some(worker) && is_silent;
            if is_waited_for && heard >= patience {
                let mut next = self.clone();
                next.store.placed = None;
                out.push(next);
            }
            self.assign(index, worker, out);
        }
    }

    fn assign(&self, index: usize, worker: u8, out: &mut Vec<Self>) {
        let master = &self.masters[index];
        let session = master.sessions[usize::from(worker)].filter(|session| session.confirmed);
        let Some(session) = session else {
            return;
        };
        let is_silent = master.heard[usize::from(worker)] >= LEASE;
        if self.store.placed.is_some() || self.store.attempt == ATTEMPTS || is_silent {
            return;
        }
        let mut next = self.clone();
        next.store.attempt += 1;
        next.store.placed = Some(worker);
        let attempt = next.store.attempt;
        let to = Message {
            worker,
            master: u8::try_from(index).unwrap(),
            session: session.id,
            age: LEASE,
            says: Says::Assign { attempt },
        };
        if next.send(to, Says::Assign { attempt }) {
            out.push(next);
        }
    }

    fn worker_acts(&self, index: usize, out: &mut Vec<Self>) {
        let worker = &self.workers[index];
        let opened: u8 = self.workers.iter().map(|worker| worker.opened).sum();
        for master in 0..2_u8 {
            if opened < SESSIONS {
                let mut next = self.clone();
                let worker = &mut next.workers[index];
                worker.opened += 1;
                worker.session = Some((master, false));
                let listed = worker.running;
                if next.says(index, Says::Hello { listed }) {
                    out.push(next);
                }
            }
        }
        let asks = |message: &Message| {
            usize::from(message.worker) == index && message.session == worker.opened
        };
        if matches!(worker.session, Some((_, true))) && !self.messages.iter().any(asks) {
            let mut next = self.clone();
            if next.says(index, Says::Heartbeat) {
                out.push(next);
            }
        }
        if worker.running > 0 {
            // It ends by itself, and nobody hears of it.
            let mut next = self.clone();
            next.workers[index].running = 0;
            out.push(next);
        }
    }

    /// A worker says something now.
    fn says(&mut self, index: usize, says: Says) -> bool {
        let worker = &self.workers[index];
        let Some((master, _)) = worker.session else {
            return false;
        };
        let message = Message {
            worker: u8::try_from(index).unwrap(),
            master,
            session: worker.opened,
            age: 0,
            says,
        };
        self.send(message, says)
    }

    /// Says whether there was room for it.
    fn send(&mut self, about: Message, says: Says) -> bool {
        if self.messages.len() >= IN_FLIGHT {
            return false;
        }
        self.messages.push(Message { says, ..about });
        self.messages.sort_unstable();
        true
    }
}

/// The ticks that a master waits, one bit each.
const WINDOW: u8 = (1 << (LEASE + GRACE)) - 1;

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
