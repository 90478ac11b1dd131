//! What can happen next.

use super::{GRACE, LEADER, LEASE, Master, Message, Rule, Says, Session, State};

/// How many terms there are at most.
const EPOCHS: u8 = 2;
/// How many attempts.
const ATTEMPTS: u8 = 2;
/// How many sessions the workers open, both together.
const SESSIONS: u8 = 3;
/// How many messages are under way at once.
const IN_FLIGHT: usize = 2;
/// The ticks that a master waits, one bit each.
const WINDOW: u8 = (1 << (LEASE + GRACE)) - 1;

impl State {
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
