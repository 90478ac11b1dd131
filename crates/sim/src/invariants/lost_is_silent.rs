//! Slow is not dead: no attempt is given up for lost whose worker was heard all the time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jobyard_core::{InfraReason, Outcome, Steady, WorkerId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

/// When a worker that is given up cannot have been heard: a lease and a grace of the fastest clock before its end is
/// durable, and up to the slowest two commits before that, after which it may be back.
const SILENCE: (Duration, Duration) = (Duration::from_millis(5_600), Duration::from_millis(3_200));

#[derive(Debug, Default)]
pub(super) struct LostIsSilent {
    heard: BTreeMap<WorkerId, VecDeque<Steady>>,
}

impl Invariant for LostIsSilent {
    fn name(&self) -> &'static str {
        "only the silent are given up for lost"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::Heard {
                worker,
                by_master: true,
            } => {
                let heard = self.heard.entry(*worker).or_default();
                heard.push_back(books.now);
                while heard
                    .front()
                    .is_some_and(|at| books.now.since(*at) > SILENCE.0)
                {
                    heard.pop_front();
                }
            }
            Fact::JobWritten { before, after } => {
                let known = before.as_ref().map_or(&[][..], |before| &before.attempts);
                for (index, attempt) in after.attempts.iter().enumerate() {
                    let earlier = known.get(index).and_then(|attempt| attempt.outcome);
                    let lost = Outcome::Infra {
                        reason: InfraReason::WorkerLost,
                    };
                    let mut heard = self.heard.get(&attempt.worker).into_iter().flatten();
                    let was_heard = heard.any(|at| {
                        let ago = books.now.since(*at);
                        ago < SILENCE.0 && ago > SILENCE.1
                    });
                    if earlier.is_none() && attempt.outcome == Some(lost) && was_heard {
                        return Err(format!(
                            "{} is given up, and its worker is heard",
                            attempt.id
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
