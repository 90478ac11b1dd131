//! Looks at every state that can be reached.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, RandomState};

use crate::model::{GRACE, LEASE, Rule, State};

/// More than there are.
const MOST_STATES: usize = 60_000_000;

/// What was found.
pub(crate) struct Explored {
    /// How many there were.
    pub(crate) states: usize,
    /// Whether there was nothing more to look at.
    pub(crate) is_whole: bool,
    /// States in which the job waits for a second attempt.
    pub(crate) waiting_again: usize,
    /// States in which a second master has led.
    pub(crate) takeovers: usize,
    /// The way to a state in which two attempts run.
    pub(crate) overlap: Option<String>,
}

/// Looks at all of them, and ends at the first in which two attempts run. With all rules in place the ways are looked at
/// in the order of their length, so that what is found is short; without one, each to its end, which finds sooner.
///
/// States are told apart by a hash of 64 bits with a random key. That two of so few have the same is a matter of one in a
/// million runs, and then hides one state.
pub(crate) fn explore(first: &State, without: Option<Rule>) -> Explored {
    let hasher = RandomState::new();
    let mut before: HashMap<u64, u64> = HashMap::from([(hasher.hash_one(first), 0)]);
    let mut open = VecDeque::from([first.clone()]);
    let mut found = Explored {
        states: 1,
        is_whole: true,
        waiting_again: 0,
        takeovers: 0,
        overlap: None,
    };
    let mut next = Vec::new();
    while let Some(state) = match without {
        None => open.pop_front(),
        Some(_) => open.pop_back(),
    } {
        let from = hasher.hash_one(&state);
        state.next(without, &mut next);
        for reached in next.drain(..) {
            let reached = reached.canonical(without);
            let key = hasher.hash_one(&reached);
            if before.contains_key(&key) {
                continue;
            }
            before.insert(key, from);
            found.states += 1;
            found.waiting_again += usize::from(reached.waits_again());
            found.takeovers += usize::from(reached.has_taken_over());
            if reached.overlaps() {
                let key = |state: &State| hasher.hash_one(state);
                found.overlap = Some(way(first, &reached, &before, without, key));
                return found;
            }
            if reached.is_open() {
                open.push_back(reached);
            }
        }
        if found.states > MOST_STATES {
            found.is_whole = false;
            break;
        }
    }
    found
}

/// The states on the way, found again from the first one.
fn way(
    first: &State,
    last: &State,
    before: &HashMap<u64, u64>,
    without: Option<Rule>,
    key: impl Fn(&State) -> u64,
) -> String {
    let mut keys = vec![key(last)];
    while let Some(from) = keys
        .last()
        .and_then(|it| before.get(it))
        .filter(|it| **it != 0)
    {
        keys.push(*from);
    }
    let mut at = first.clone();
    let mut told = String::new();
    for wanted in keys.into_iter().rev().skip(1) {
        let mut next = Vec::new();
        at.next(without, &mut next);
        let mut next = next.into_iter().map(|it| it.canonical(without));
        if let Some(reached) = next.find(|it| key(it) == wanted) {
            at = reached;
        }
        let _ = writeln!(told, "{at:?}");
    }
    told
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states (2 masters, 2 workers, 1 job; lease {LEASE}, grace {GRACE} ticks)",
            self.states
        )?;
        match &self.overlap {
            Some(way) => write!(f, "; two attempts run at the same time:\n{way}"),
            None => f.write_str("; no two attempts run at the same time"),
        }
    }
}
