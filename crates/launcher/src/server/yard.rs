//! All attempts that are held.

mod commands;
mod exited;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;

use jobyard_core::{AttemptId, Steady};
use rustix::process::Pid;

use self::exited::Exited;
use super::attempt::Attempt;
use super::clock;
use super::life::{Command, Ending, Event, Main, Phase};
use super::log::Log;
use super::order::Order;
use super::pipe::Buffer;
use super::poller::{Interest, Part, Poller, Source};
use super::starters::{Done, Starters};
use crate::cage::{Cage, Cages};
use crate::journal::{Journal, Record};
use crate::protocol::{End, Known, KnownState, LaunchFailure, Reply, Signal, Stage};
use crate::sys::{Child, Dead, Report, reap_any};

/// How many attempts are known at once, ended ones that nobody has forgotten with them: their list fits a welcome.
const MOST_ATTEMPTS: usize = 4096;

/// How many descriptors an attempt needs at most: pipes, child, cage, output.
const DESCRIPTORS_PER_ATTEMPT: u64 = 20;

/// For how many news room is kept: as many as come at once when a machine is busy with short jobs.
const MOST_NEWS_KEPT: usize = 256;

/// All attempts, and what is needed to hold them. Takes what happens to each, and does what its life says.
#[derive(Debug)]
pub(super) struct Yard {
    pub(super) poller: Poller,
    pub(super) cages: Cages,
    pub(super) journal: Journal,
    pub(super) log: Log,
    pub(super) is_accepting: bool,
    /// Who starts them.
    pub(super) starters: Starters,
    /// What they are to start, once that is written down.
    pub(super) orders: Vec<(u64, Box<Order>)>,
    /// Dead children that may be of starts of which was not heard yet.
    early: Vec<Dead>,
    /// Attempts that were given up while they were being started, of which it may be heard yet.
    overdue: BTreeMap<u64, Cage>,
    most_held: usize,
    last_key: u64,
    /// Boxed: they are large, and those in a tree are moved about.
    held: BTreeMap<u64, Box<Attempt>>,
    keys: BTreeMap<AttemptId, u64>,
    children: HashMap<Pid, u64>,
    /// Boxed for the same reason.
    ended: BTreeMap<AttemptId, (u32, Box<End>)>,
    deadlines: BTreeSet<(Steady, u64)>,
    /// Those whose output has grown since that was told.
    grown: BTreeSet<u64>,
    /// Main processes that have ended in this round, of which nothing was written down nor told.
    exits: Vec<Exited>,
    news: Vec<Reply>,
    buffer: Buffer,
}

impl Yard {
    /// An empty one, of a launcher that may have so many descriptors. Its thread is the one that reaps.
    pub(super) fn new(
        poller: Poller,
        cages: Cages,
        journal: Journal,
        log: Log,
        descriptors: u64,
    ) -> io::Result<Self> {
        // A quarter is kept for everything else: the socket, the pool of cages, a start in its midst.
        let most_held = (descriptors - descriptors / 4) / DESCRIPTORS_PER_ATTEMPT;
        let starters = Starters::new()?;
        poller.add(&starters, Source::Starters, Interest::News)?;
        Ok(Self {
            poller,
            cages,
            journal,
            log,
            is_accepting: true,
            starters,
            orders: Vec::new(),
            early: Vec::new(),
            overdue: BTreeMap::new(),
            most_held: usize::try_from(most_held).unwrap_or(usize::MAX),
            last_key: 0,
            held: BTreeMap::new(),
            keys: BTreeMap::new(),
            children: HashMap::new(),
            ended: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            grown: BTreeSet::new(),
            exits: Vec::new(),
            news: Vec::new(),
            buffer: Buffer::new(),
        })
    }

    /// Whether this attempt is known.
    pub(super) fn knows(&self, attempt: AttemptId) -> bool {
        self.keys.contains_key(&attempt) || self.ended.contains_key(&attempt)
    }

    /// Whether there is no room for one more.
    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= self.most_held || self.held.len() + self.ended.len() >= MOST_ATTEMPTS
    }

    /// Whether all attempts have ended.
    pub(super) fn is_quiet(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether no attempt is known.
    pub(super) fn is_void(&self) -> bool {
        self.held.is_empty() && self.ended.is_empty()
    }

    /// A number for the next attempt, which none had before.
    pub(super) const fn next_key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }

    /// Takes an attempt that is about to be forked.
    pub(super) fn insert(&mut self, attempt: Attempt) {
        let key = attempt.key;
        self.keys.insert(attempt.id, key);
        self.held.insert(key, Box::new(attempt));
    }

    /// Starts are over.
    pub(super) fn on_starters(&mut self) {
        for done in self.starters.take_done() {
            self.on_done(done);
        }
        let starters = &self.starters;
        self.early
            .retain(|dead| starters.may_have_forked(dead.pid()));
    }

    /// This start is over.
    pub(super) fn on_done(&mut self, (key, result): Done) {
        let Some(attempt) = self.held.get_mut(&key) else {
            return self.on_overdue(key, result);
        };
        match result {
            Ok(child) => self.on_child(key, child),
            Err(failure) => {
                attempt.has_no_child();
                self.happen(key, Event::Failed(failure));
                self.look_for_emptiness(key);
            }
        }
    }

    fn on_child(&mut self, key: u64, mut child: Child) {
        let Some(attempt) = self.held.get_mut(&key) else {
            return;
        };
        let pid = child.pid();
        let early = take_early(&mut self.early, pid);
        if early.is_some() {
            child.will_be_told_of_its_end();
        }
        let has_news = child.has_news();
        attempt.has_child(child, early.is_some());
        if let Some((pid, start_time)) = attempt.cage.warden() {
            let attempt = attempt.id;
            let record = Record::Warden {
                attempt,
                pid,
                start_time,
            };
            note(&mut self.journal, &mut self.log, &record);
        }
        self.children.insert(pid, key);
        if let Err(error) = attempt.listen(&self.poller) {
            let errno = error.raw_os_error().unwrap_or_default();
            let problem = format!("the child cannot be waited for: {error}");
            let failure = LaunchFailure::new(Stage::Resources, errno, problem);
            self.happen(key, Event::Failed(failure));
        } else if has_news {
            self.on_part(key, Part::Report);
        } else if attempt.life.is_killed() {
            self.obey(key, Command::Kill);
        }
        if let Some(dead) = early {
            self.on_dead(&dead);
        }
    }

    /// What was given up is there after all, and must not be.
    fn on_overdue(&mut self, key: u64, result: Result<Child, LaunchFailure>) {
        let Some(mut cage) = self.overdue.remove(&key) else {
            return;
        };
        if let Ok(child) = result {
            let is_reaped = take_early(&mut self.early, child.pid()).is_some();
            let forked = (!is_reaped).then(|| child.pid());
            let killed = cage.kill(forked);
            let killed = killed.and_then(|()| forked.map_or(Ok(()), |_| child.kill()));
            if let Err(error) = killed {
                self.log.say(format_args!(
                    "something that was given up cannot be killed: {error}"
                ));
            }
        }
        self.cages.abandon(cage);
    }

    /// Delivers a signal, if the attempt still runs, or as soon as it does.
    pub(super) fn signal(&mut self, attempt: AttemptId, signal: Signal) {
        let key = self.keys.get(&attempt);
        let held = key.and_then(|key| self.held.get_mut(key));
        if let Some(Err(error)) = held.map(|held| held.signal(signal)) {
            self.log.say(format_args!(
                "{attempt}: a signal was not delivered: {error}"
            ));
        }
    }

    /// Kills all of an attempt, if it still runs.
    pub(super) fn kill(&mut self, attempt: AttemptId) {
        if let Some(key) = self.keys.get(&attempt) {
            self.happen(*key, Event::Kill);
        }
    }

    /// Moves on the time by which an attempt is over, if it has one, and it has not come.
    pub(super) fn extend(&mut self, attempt: AttemptId, until: Steady) {
        if let Some(key) = self.keys.get(&attempt) {
            self.happen(*key, Event::Extend(until));
        }
    }

    /// Forgets an attempt that has ended.
    pub(super) fn forget(&mut self, attempt: AttemptId) {
        if self.ended.remove(&attempt).is_some() {
            let record = Record::Forgotten { attempt };
            note(&mut self.journal, &mut self.log, &record);
        }
    }

    /// Something happened to a part of an attempt.
    pub(super) fn on_part(&mut self, key: u64, part: Part) {
        // It may be that it ended a moment ago.
        let Some(attempt) = self.held.get_mut(&key) else {
            return;
        };
        match part {
            Part::Stdout | Part::Stderr => {
                let event = attempt.read(part, &self.poller, &mut self.buffer);
                self.on_output(key);
                if let Some(event) = event {
                    self.happen(key, event);
                }
            }
            Part::Report => {
                let mut reports = Vec::new();
                if let Some(child) = attempt.child_mut() {
                    child.read_report(&mut reports);
                }
                self.on_reports(key, reports);
            }
            Part::OutOfMemory => {
                attempt.drain_oom();
                self.happen(key, Event::Kill);
            }
            Part::Killed => {
                attempt.on_death(&self.poller);
                self.look_for_emptiness(key);
            }
            Part::Emptied => self.look_for_emptiness(key),
        }
    }

    /// Somebody is dead: a child, or an orphan of a job that fell to the launcher.
    pub(super) fn on_deaths(&mut self) {
        while let Some(dead) = reap_any() {
            if self.children.contains_key(&dead.pid()) {
                self.on_dead(&dead);
            } else if self.starters.may_have_forked(dead.pid()) {
                self.early.push(dead);
            }
        }
    }

    fn on_dead(&mut self, dead: &Dead) {
        let Some(key) = self.children.remove(&dead.pid()) else {
            return;
        };
        let Some(attempt) = self.held.get_mut(&key) else {
            return;
        };
        let mut reports = Vec::new();
        attempt.was_reaped(dead, &mut reports);
        self.on_reports(key, reports);
        // If nobody has said by now how the main process ended, nobody will.
        self.happen(key, Event::Orphaned);
        self.look_for_emptiness(key);
    }

    fn on_reports(&mut self, key: u64, reports: Vec<Report>) {
        for report in reports {
            match report {
                Report::Running { main, start_time } => {
                    let pid = main.as_raw_nonzero().get().unsigned_abs();
                    self.happen(key, Event::Running(Main { pid, start_time }));
                }
                Report::Failed(failure) => self.happen(key, Event::Failed(failure)),
                Report::Exited { exit, usage } => {
                    // What it wrote may be at its end already.
                    self.read_on(key);
                    let at = clock::wall();
                    let usage = Some(usage);
                    self.happen(key, Event::Exited(Ending { exit, at, usage }));
                }
                Report::Empty => {}
            }
        }
    }

    fn read_on(&mut self, key: u64) {
        let Some(attempt) = self.held.get_mut(&key) else {
            return;
        };
        let event = attempt.read_on(&self.poller, &mut self.buffer);
        self.on_output(key);
        if let Some(event) = event {
            self.happen(key, event);
        }
    }

    fn on_output(&mut self, key: u64) {
        self.grown.insert(key);
        if let Some(attempt) = self.held.get_mut(&key)
            && let Some(problem) = attempt.take_problem()
        {
            let id = attempt.id;
            self.log.say(format_args!(
                "{id}: its output is lost from here on: {problem}"
            ));
        }
    }

    fn look_for_emptiness(&mut self, key: u64) {
        if let Some(event) = self.look(key) {
            self.happen(key, event);
        }
    }

    /// If that is what an attempt waits for, says that nothing of it is left, or begins to wait for that.
    fn look(&mut self, key: u64) -> Option<Event> {
        let attempt = self.held.get_mut(&key)?;
        if !attempt.life.awaits_emptiness() {
            return None;
        }
        if attempt.is_empty() {
            return Some(Event::Empty);
        }
        attempt.watch(&self.poller);
        None
    }

    /// Looks at those whose time has come.
    pub(super) fn on_time(&mut self) {
        let now = clock::steady();
        if self.starters.deadline().is_some_and(|at| at <= now) {
            for refused in self.starters.on_time() {
                self.on_done(refused);
            }
        }
        while let Some((deadline, key)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.pop_first();
            if let Some(attempt) = self.held.get_mut(&key) {
                attempt.deadline = None;
                self.happen(key, Event::Time);
                self.look_for_emptiness(key);
            }
        }
    }

    /// When to call [`on_time`](Self::on_time).
    pub(super) fn deadline(&self) -> Option<Steady> {
        let first = self.deadlines.first().map(|(deadline, _)| *deadline);
        first.into_iter().chain(self.starters.deadline()).min()
    }

    fn happen(&mut self, key: u64, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(attempt) = self.held.get_mut(&key) else {
                return;
            };
            let mut commands = Vec::new();
            if attempt
                .life
                .handle(clock::now(), event, &mut commands)
                .is_err()
            {
                let id = attempt.id;
                let phase = attempt.life.phase();
                self.log
                    .say(format_args!("{id}: something out of turn in {phase:?}"));
            }
            for command in commands {
                events.extend(self.obey(key, command).into_iter().flatten());
            }
        }
        self.reschedule(key);
    }

    fn reschedule(&mut self, key: u64) {
        let Some(attempt) = self.held.get_mut(&key) else {
            return;
        };
        let deadline = attempt.life.deadline();
        if attempt.deadline == deadline {
            return;
        }
        if let Some(old) = attempt.deadline {
            self.deadlines.remove(&(old, key));
        }
        attempt.deadline = deadline;
        self.deadlines
            .extend(deadline.map(|deadline| (deadline, key)));
    }

    /// What is to be told, once.
    pub(super) fn take_news(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.news)
    }

    /// Takes back what news were in, so that there is room for the next.
    pub(super) fn keep_room(&mut self, news: Vec<Reply>) {
        if news.is_empty() && self.news.is_empty() && news.capacity() <= MOST_NEWS_KEPT {
            self.news = news;
        }
    }

    /// How far the output is of those whose output has grown, once. Of those of which nobody knows yet that they run, it
    /// is said afterwards.
    pub(super) fn take_progress(&mut self) -> Vec<Reply> {
        let held = &mut self.held;
        let mut replies = Vec::new();
        self.grown.retain(|key| {
            let Some(held) = held.get_mut(key) else {
                return false;
            };
            if matches!(held.life.phase(), Phase::Starting { .. }) {
                return true;
            }
            let attempt = held.id;
            let progress = held.new_progress();
            replies.extend(progress.map(|progress| Reply::Output { attempt, progress }));
            false
        });
        replies
    }

    /// Everything that is known.
    pub(super) fn known(&self) -> Vec<Known> {
        let held = self.held.values().map(|held| {
            let state = match (held.life.main(), held.life.ending()) {
                (None, _) => KnownState::Starting,
                (Some(Main { pid, start_time }), None) => KnownState::Running { pid, start_time },
                (Some(Main { pid, .. }), Some(Ending { exit, at, .. })) => {
                    KnownState::Exited { pid, exit, at }
                }
            };
            Known::new(held.id, state, held.progress())
        });
        let ended = self.ended.iter().map(|(attempt, (pid, end))| {
            let output = end.output;
            let state = KnownState::Ended {
                pid: *pid,
                end: End::clone(end),
            };
            Known::new(*attempt, state, output)
        });
        held.chain(ended).collect()
    }

    /// Ends it. Nothing runs any more.
    pub(super) fn close(self) {
        self.cages.close();
        self.journal.close();
    }
}

/// A child that was found dead before it was known.
fn take_early(early: &mut Vec<Dead>, pid: Pid) -> Option<Dead> {
    let place = early.iter().position(|dead| dead.pid() == pid)?;
    Some(early.swap_remove(place))
}

/// Writes down what has happened already, whether that can be written or not.
pub(super) fn note(journal: &mut Journal, log: &mut Log, record: &Record) {
    if let Err(error) = journal.append(record) {
        let attempt = record.attempt();
        log.say(format_args!(
            "{attempt}: nothing can be written to the journal: {error}"
        ));
    }
}
