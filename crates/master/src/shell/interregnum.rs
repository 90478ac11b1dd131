//! Between two terms: a commit has failed, and the engine is loaded anew from what is durable.
//!
//! Nobody waits in vain meanwhile: whoever asks or tells something is refused and may repeat it. The first new term
//! begins at once. If it fails before it has made anything durable, the next ones wait longer and longer, since each
//! loads everything. A full disk alone ends no term: see [`stall`](super::stall).

use std::time::Duration;

use jobyard_core::{CommitError, LeadError, LoadError, Refusal, RefusalReason, mutated};
use tokio::sync::mpsc;
use tracing::error;

use super::ended::MasterEnded;
use super::ports::Order;
use super::requests::Request;
use super::shared::Shared;
use super::term::{StartError, Term, begin};
use crate::engine::Input;

/// The first pause before another try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest: how long a master may stand still after its disk has room again.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How long to wait before the next try.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// None at first, then longer and longer up to this.
    pub(super) fn up_to(longest: Duration) -> Self {
        Self {
            next: Duration::ZERO,
            longest,
        }
    }

    pub(super) fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).clamp(FIRST_PAUSE, self.longest);
        pause
    }
}

impl Default for Pauses {
    fn default() -> Self {
        Self::up_to(LONGEST_PAUSE)
    }
}

/// Leads anew until that succeeds. `None` if the master is told to stop, or cannot go on: then it is noted why.
pub(super) async fn bridge(
    shared: &Shared,
    inbox: &mut mpsc::Receiver<Request>,
    pauses: &mut Pauses,
    problem: CommitError,
) -> Option<Term> {
    let mut problem = match of_commit(problem) {
        Ok(problem) => problem,
        Err(fatal) => return give_up(shared, fatal),
    };
    loop {
        let pause = pauses.take();
        error!(
            %problem, retry_in = ?pause,
            "the term ends: what is durable is loaded anew, and whoever was not answered may repeat the call"
        );
        if !wait(shared, inbox, pause).await {
            return None;
        }
        match begin(shared).await {
            Ok(term) => return Some(term),
            Err(failed) => match of_start(failed) {
                Ok(temporary) => problem = temporary,
                Err(fatal) => return give_up(shared, fatal),
            },
        }
    }
}

fn give_up(shared: &Shared, why: MasterEnded) -> Option<Term> {
    error!("{why}");
    // Only the task of the terms writes it, and only once.
    let _ = shared.ended.set(why);
    None
}

/// What a failed commit means: something that may pass, or the end.
fn of_commit(problem: CommitError) -> Result<String, MasterEnded> {
    match problem {
        CommitError::Fenced { current } => Err(MasterEnded::AnotherLeads { current }),
        CommitError::Broken { problem } if !mutated("a failed fsync is tried again") => {
            Err(MasterEnded::DiskFailed { problem })
        }
        CommitError::Full { .. } => Ok(format!("{problem}; make room on the disk of the store")),
        problem => Ok(problem.to_string()),
    }
}

/// The same of a term that could not begin.
fn of_start(problem: StartError) -> Result<String, MasterEnded> {
    match problem {
        StartError::Lead(LeadError::Broken { problem }) => Err(MasterEnded::DiskFailed { problem }),
        StartError::Lead(LeadError::Held { holder }) => Err(MasterEnded::Held { holder }),
        StartError::Lead(LeadError::Fenced { current }) => {
            Err(MasterEnded::AnotherLeads { current })
        }
        StartError::Load(problem @ (LoadError::Damaged { .. } | LoadError::Corrupt { .. })) => {
            let problem = problem.to_string();
            Err(MasterEnded::Damaged { problem })
        }
        StartError::Damaged(problem) => {
            let problem = problem.to_string();
            Err(MasterEnded::Damaged { problem })
        }
        problem => Ok(problem.to_string()),
    }
}

/// Waits, and refuses what comes meanwhile. False if the master is told to stop.
async fn wait(shared: &Shared, inbox: &mut mpsc::Receiver<Request>, pause: Duration) -> bool {
    let over = tokio::time::sleep(pause);
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            () = shared.stopping.cancelled() => return false,
            () = &mut over => return true,
            request = inbox.recv() => match request {
                Some(request) => refuse(shared, request),
                None => return false,
            },
        }
    }
}

fn refuse(shared: &Shared, request: Request) {
    match request {
        Request::Tell(Input::SessionOpened { session, .. }) => {
            let refusal = Refusal::new(
                RefusalReason::Unavailable,
                "the master starts anew; try again in a moment",
            );
            shared.ports.order(session, Order::Refuse(refusal));
        }
        // Whoever waits for an answer learns that there is none.
        Request::Tell(_) => shared.replies.abandon_all(),
        // An asker learns it from the sender that is dropped.
        Request::Ask(ask) => drop(ask),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_comes_at_once_and_the_next_ones_later_and_later() {
        let mut pauses = Pauses::default();
        let taken: Vec<u64> = (0..7).map(|_| pauses.take().as_secs()).collect();
        assert_eq!(taken, [0, 1, 2, 4, 8, 15, 15]);
    }

    #[test]
    fn a_disk_that_failed_is_no_reason_to_try_again() {
        let problem = "input/output error".to_owned();
        let ended = of_commit(CommitError::Broken {
            problem: problem.clone(),
        });
        assert_eq!(ended, Err(MasterEnded::DiskFailed { problem }));
        let full = CommitError::Full {
            problem: "disk full".to_owned(),
        };
        assert!(of_commit(full).is_ok_and(|said| said.contains("make room")));
    }
}
