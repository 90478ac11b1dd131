//! The threads that start attempts, so that the loop never waits for a file system or for a child.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jobyard_core::Steady;
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::Pid;

use super::clock;
use super::order::Order;
use crate::protocol::{Launch, LaunchFailure, Stage};
use crate::sys::{Child, Newborn, Starter, be_as_others, be_patient, hold_back_signals};

/// How many threads there are from the beginning. A start takes one for as long as the child takes to get its turn on a
/// processor and to execute its program, some milliseconds on a busy machine. From 3 to 16 there was no difference that
/// could be told from noise.
const FIRST_THREADS: usize = 4;

/// How many there are at most, when some hang: in a file system that does not answer, or with a child that somebody
/// stops before it has executed its program.
const MOST_THREADS: usize = 32;

/// How long a start may wait for a thread before there is one more.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long it may wait when there are as many as there may be. Then it is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What a thread does for most of its life needs little.
const STACK_BYTES: usize = 128 * 1024;

/// A number of threads that start attempts, each one at a time.
///
/// They live as long as the process, since the kernel kills the children of one that ends. Nothing of a start but the
/// fork and what comes before it is theirs: what they made is told by [`take_done`](Self::take_done), after a word at the
/// descriptor.
#[derive(Debug)]
pub(super) struct Starters {
    shared: Arc<Shared>,
    starter: Starter,
    /// Whether the thread that begins them has become patient. They are not: their children have to be as others, and they
    /// only wait for those.
    is_patient: bool,
}

/// A start that is over: which, and what was forked, or why nothing was.
pub(super) type Done = (u64, Result<Child, LaunchFailure>);

/// What they have in common.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    /// Told of each start that is over, unless another one was not taken yet.
    done: OwnedFd,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Waiting>,
    done: Vec<Done>,
    /// What those were told. The loop has made it and lets go of it: memory that one thread gives back for another is dear.
    #[expect(
        clippy::vec_box,
        reason = "the boxes are handed over, not what is in them"
    )]
    spent: Vec<Box<Launch>>,
    threads: Vec<Thread>,
    idle: usize,
    /// When the next thread may follow, if one is missing.
    patient_until: Steady,
}

#[derive(Debug)]
struct Waiting {
    key: u64,
    order: Box<Order>,
    since: Steady,
}

#[derive(Debug)]
struct Thread {
    doing: Doing,
    newborn: Newborn,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// It waits for something to do, or must not go on with what it does.
    Nothing,
    /// It looks for what this start needs. Nothing was forked.
    Opening(u64),
    /// It forks.
    Forking(u64),
}

impl Starters {
    /// Begins them. Signals that this thread holds back are held back by them. This thread alone
    /// reaps children, and [is patient](be_patient) from now on.
    pub(super) fn new() -> io::Result<Self> {
        let mut starters = Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                work: Condvar::new(),
                done: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            }),
            starter: Starter::new().without_descriptors(),
            is_patient: false,
        };
        for _ in 0..FIRST_THREADS {
            starters.begin_thread()?;
        }
        starters.is_patient = be_patient();
        Ok(starters)
    }

    fn begin_thread(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut starter = self.starter.another();
        let is_patient = self.is_patient;
        let mut state = self.shared.lock();
        let index = state.threads.len();
        let newborn = starter.newborn();
        // The name of the process, so that nobody is in doubt whose thread it is.
        std::thread::Builder::new()
            .name("jobyard-launch".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                hold_back_signals();
                if is_patient {
                    be_as_others();
                }
                let _guard = NeverEnds;
                loop {
                    shared.start_one(index, &mut starter);
                }
            })?;
        state.threads.push(Thread {
            doing: Doing::Nothing,
            newborn,
        });
        Ok(())
    }

    /// Has somebody start this. The key names it, and no other one.
    pub(super) fn submit(&self, key: u64, order: Box<Order>) {
        let since = clock::steady();
        let mut state = self.shared.lock();
        if state.queue.is_empty() {
            state.patient_until = since + PATIENCE;
        }
        state.queue.push_back(Waiting { key, order, since });
        if state.idle > 0 {
            self.shared.work.notify_one();
        }
    }

    /// Has nobody start this. `false`: it is being forked, or was, and that will be told.
    pub(super) fn withdraw(&self, key: u64) -> bool {
        let mut state = self.shared.lock();
        if let Some(place) = state.queue.iter().position(|waiting| waiting.key == key) {
            state.queue.remove(place);
            return true;
        }
        let thread = state
            .threads
            .iter_mut()
            .find(|thread| thread.doing == Doing::Opening(key));
        thread.is_some_and(|thread| {
            thread.doing = Doing::Nothing;
            true
        })
    }

    /// All starts that are over, once each.
    pub(super) fn take_done(&self) -> Vec<Done> {
        let mut state = self.shared.lock();
        let (done, spent) = (
            std::mem::take(&mut state.done),
            std::mem::take(&mut state.spent),
        );
        drop(state);
        drop(spent);
        done
    }

    /// Whether this dead child may be of a start that was not taken yet.
    pub(super) fn may_have_forked(&self, pid: Pid) -> bool {
        let state = self.shared.lock();
        let is_it = |done: &Done| matches!(&done.1, Ok(child) if child.pid().as_raw_nonzero() == pid.as_raw_nonzero());
        state
            .threads
            .iter()
            .any(|thread| thread.newborn.may_be(pid))
            || state.done.iter().any(is_it)
    }

    /// When to call [`on_time`](Self::on_time).
    pub(super) fn deadline(&self) -> Option<Steady> {
        let state = self.shared.lock();
        let oldest = state.queue.front()?.since + LONGEST_WAIT;
        if state.threads.len() < MOST_THREADS {
            return Some(state.patient_until.min(oldest));
        }
        Some(oldest)
    }

    /// Gives those that wait another thread, if they have waited for long. Where there are enough, says which have waited
    /// for too long: those are not started, and why.
    pub(super) fn on_time(&self) -> Vec<Done> {
        let now = clock::steady();
        let mut state = self.shared.lock();
        if state.queue.is_empty() {
            return Vec::new();
        }
        let may_grow = state.threads.len() < MOST_THREADS;
        if may_grow && now >= state.patient_until {
            state.patient_until = now + PATIENCE;
            drop(state);
            // If there is none to be had, one may be later.
            let _ = self.begin_thread();
            state = self.shared.lock();
        }
        let mut refused = Vec::new();
        while let Some(waiting) = state.queue.front()
            && now >= waiting.since + LONGEST_WAIT
        {
            refused.push((waiting.key, Err(all_held_up(state.threads.len()))));
            state.queue.pop_front();
        }
        refused
    }
}

impl AsFd for Starters {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.done.as_fd()
    }
}

impl Shared {
    /// Whoever panics ends the process, so there is nothing to be poisoned.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a start, and makes it.
    fn start_one(&self, index: usize, starter: &mut Starter) {
        let Waiting { key, order, .. } = self.wait(index);
        let newborn = starter.newborn();
        let (launch, result) = (*order).carry_out(starter, || self.go_on(index, key));
        let mut state = self.lock();
        // At one moment, so that whoever looks finds the child in one of the two.
        newborn.is_told();
        state.threads[index].doing = Doing::Nothing;
        let Some(result) = result else {
            return;
        };
        state.spent.push(launch);
        let is_first = state.done.is_empty();
        state.done.push((key, result));
        drop(state);
        if is_first {
            // It fails only for a counter that is full, and that tells as well.
            let _ = rustix::io::write(&self.done, &1_u64.to_ne_bytes());
        }
    }

    fn wait(&self, index: usize) -> Waiting {
        let mut state = self.lock();
        loop {
            if let Some(waiting) = state.queue.pop_front() {
                state.threads[index].doing = Doing::Opening(waiting.key);
                return waiting;
            }
            state.idle += 1;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Whether nobody has withdrawn it. From then on nobody can.
    fn go_on(&self, index: usize, key: u64) -> bool {
        let mut state = self.lock();
        let thread = &mut state.threads[index];
        let goes_on = thread.doing == Doing::Opening(key);
        if goes_on {
            thread.doing = Doing::Forking(key);
        }
        goes_on
    }
}

/// Ends the process with a thread that ends by a panic: the kernel would kill its children, and nobody would know why.
struct NeverEnds;

impl Drop for NeverEnds {
    fn drop(&mut self) {
        std::process::abort();
    }
}

fn all_held_up(threads: usize) -> LaunchFailure {
    LaunchFailure::new(
        Stage::Resources,
        rustix::io::Errno::AGAIN.raw_os_error(),
        format!(
            "the {threads} threads of the launcher that start attempts are all held up, by file systems that do not \
             answer or by children that were stopped"
        ),
    )
}
