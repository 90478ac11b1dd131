//! The task that owns the connection to a launcher.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::Residue;
use jobyard_launcher::protocol::{CodecError, KnownState, LaunchFailure, Reply, Request, Welcome};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::burial::bury;
use super::cell::Stage;
use super::directory::{self, DeadLock};
use super::link::{Board, Link, ORDERS, Order};
use super::wire::{Turn, Wire, WireError};
use crate::process::DeathWatch;

/// Carries requests to a launcher and what it says into the cells. Ends when nobody can send requests any more, or
/// when the launcher is dead and its journal was read.
pub(super) struct Connection {
    board: Arc<Board>,
    wire: Wire,
    orders: mpsc::Receiver<Order>,
    /// What was pushed and not sent as a whole, with where it ends on the wire. As bounded as that, by [`MAX_UNSENT`].
    unsent: VecDeque<(u64, Request)>,
    /// Who is to be told when all up to here on the wire was sent.
    curious: VecDeque<(u64, oneshot::Sender<()>)>,
    /// `None`: it could not be watched. Most often it was dead already; but there may have been no descriptor left.
    death: Option<DeathWatch>,
    connected_at: Instant,
    /// How long to wait before the next try to connect.
    pause: Duration,
}

/// Why a conversation is over.
enum Over {
    /// Nobody has anything to say any more.
    Unused,
    /// The connection is broken.
    Broken(WireError),
}

impl Connection {
    /// Takes over a wire whose welcome has come, in a task of the current runtime.
    pub(super) fn spawn(dir: std::path::PathBuf, wire: Wire, welcome: &Welcome) -> Link {
        let board = Arc::new(Board::new(dir, welcome.pid));
        board.fill(welcome);
        let (sender, orders) = mpsc::channel(ORDERS);
        let connection = Self {
            death: watch_death(welcome.pid),
            board: Arc::clone(&board),
            wire,
            orders,
            unsent: VecDeque::new(),
            curious: VecDeque::new(),
            connected_at: Instant::now(),
            pause: Duration::ZERO,
        };
        tokio::spawn(connection.run());
        Link::new(board, sender)
    }

    async fn run(mut self) {
        loop {
            match self.converse().await {
                Over::Unused => return self.part().await,
                Over::Broken(error) => {
                    let (launcher, dir) = (self.board.pid, self.board.dir.display());
                    tracing::debug!(launcher, %dir, %error, "the connection to a launcher broke");
                    if self.is_unused() {
                        return;
                    }
                }
            }
            match self.regain().await {
                Some((wire, welcome)) => {
                    self.settle();
                    self.wire = wire;
                    self.connected_at = Instant::now();
                    self.resume(&welcome);
                }
                None => return self.bury().await,
            }
        }
    }

    /// Whether nobody is left who could ask for anything, and nothing that was asked for is unsent. To connect again would
    /// only take the launcher from somebody who uses it.
    fn is_unused(&self) -> bool {
        self.orders.is_closed() && self.orders.is_empty() && self.unsent.is_empty()
    }

    async fn converse(&mut self) -> Over {
        match self.exchange().await {
            Ok(()) => Over::Unused,
            Err(error) => Over::Broken(error),
        }
    }

    /// Carries messages in both directions until there is nobody to carry any for.
    async fn exchange(&mut self) -> Result<(), WireError> {
        loop {
            while let Some(reply) = self.wire.next()? {
                self.on_reply(reply);
            }
            let orders = &mut self.orders;
            let has_room = self.wire.unsent() < MAX_UNSENT;
            let order = async {
                if has_room {
                    orders.recv().await
                } else {
                    std::future::pending().await
                }
            };
            match self.wire.turn(order).await? {
                Turn::Moved => self.settle(),
                Turn::Other(None) => return Ok(()),
                Turn::Other(Some(order)) => self.take(order)?,
            }
        }
    }

    /// Carries out an order, and others that have come meanwhile: what is sent at once takes one call, and wakes the launcher
    /// once.
    fn take(&mut self, order: Order) -> Result<(), WireError> {
        let mut next = Some(order);
        while let Some(order) = next {
            match order {
                Order::Send(request) => self.hand_over(request),
                Order::Tell(curious) => self.curious.push_back((self.wire.pushed(), curious)),
            }
            let has_room = self.wire.unsent() < MAX_UNSENT;
            next = has_room.then(|| self.orders.try_recv().ok()).flatten();
        }
        self.send()
    }

    /// Sends what goes at once.
    fn send(&mut self) -> Result<(), WireError> {
        let sent = self.wire.send();
        self.settle();
        sent
    }

    /// Pushes a request, and keeps it until it was sent as a whole: half a message is none.
    fn hand_over(&mut self, request: Request) {
        if self.is_void(&request) {
            return;
        }
        match self.wire.push(&request) {
            Ok(()) => self.unsent.push_back((self.wire.pushed(), request)),
            Err(error) => self.refuse(&request, &error),
        }
    }

    /// Lets go of what was sent.
    fn settle(&mut self) {
        let sent = self.wire.sent();
        while self.curious.front().is_some_and(|(end, _)| *end <= sent) {
            if let Some((_, curious)) = self.curious.pop_front() {
                // Whoever asked may have gone.
                let _ = curious.send(());
            }
        }
        while self.unsent.front().is_some_and(|(end, _)| *end <= sent) {
            if let Some((_, Request::Start(launch))) = self.unsent.pop_front()
                && let Some(cell) = self.board.find(launch.attempt)
            {
                cell.on_sent();
            }
        }
    }

    /// A request that no connection can carry.
    fn refuse(&self, request: &Request, error: &CodecError) {
        tracing::warn!(%error, "a launcher cannot be asked for something");
        if let Request::Start(launch) = request
            && let Some(cell) = self.board.find(launch.attempt)
        {
            cell.advance(Stage::Lost {
                pid: None,
                problem: format!("the launcher cannot be asked for it: {error}"),
                residue: Box::default(),
            });
        }
    }

    /// A start that was given up while the connection was broken.
    fn is_void(&self, request: &Request) -> bool {
        let Request::Start(launch) = request else {
            return false;
        };
        self.board
            .find(launch.attempt)
            .is_none_or(|cell| cell.look(|stage| *stage != Stage::Asked))
    }

    fn on_reply(&self, reply: Reply) {
        let attempt = match &reply {
            Reply::Started { attempt, .. }
            | Reply::NotStarted { attempt, .. }
            | Reply::Output { attempt, .. }
            | Reply::Exited { attempt, .. }
            | Reply::Ended { attempt, .. } => *attempt,
            // A second welcome, or what a later version may say.
            _ => return,
        };
        let Some(cell) = self.board.find(attempt) else {
            return;
        };
        let pid = || cell.look(Stage::pid).unwrap_or(0);
        let stage = match reply {
            Reply::Output { progress, .. } => return cell.on_output(progress),
            Reply::Started {
                pid, start_time, ..
            } => Stage::Running { pid, start_time },
            Reply::NotStarted {
                failure,
                unconfirmed,
                ..
            } => not_started(failure, unconfirmed),
            Reply::Exited { exit, at, .. } => Stage::Exited {
                pid: pid(),
                exit,
                at,
            },
            Reply::Ended { end, .. } => Stage::Ended {
                pid: pid(),
                end: Box::new(end),
            },
            _ => return,
        };
        cell.advance(stage);
    }

    /// Connects again; `None`: the launcher is dead.
    async fn regain(&mut self) -> Option<(Wire, Welcome)> {
        if self.connected_at.elapsed() > LASTED {
            self.pause = Duration::ZERO;
        }
        loop {
            // Also after a connection that was made and did not last: somebody else may want it as well, and two who take
            // it from each other without a pause would do nothing else.
            let pause = self.pause;
            self.pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            let open = async {
                sleep(pause).await;
                Wire::open(&self.board.dir).await
            };
            let connected = tokio::select! {
                biased;
                () = dead(self.death.as_ref()) => return None,
                connected = open => connected,
            };
            match connected {
                Ok(connected) => return Some(connected),
                Err(error) => {
                    tracing::debug!(launcher = self.board.pid, %error, "a launcher is not reached");
                }
            }
            if self.death.is_none() && self.is_unlocked().await {
                return None;
            }
        }
    }

    /// Whether the lock of the launcher can be taken, which proves that it is dead as well. Jobs of one that lives must
    /// not be ended only because nobody could watch it.
    async fn is_unlocked(&self) -> bool {
        let dir = self.board.dir.clone();
        let lock = spawn_blocking(move || directory::take_if_dead(&dir)).await;
        matches!(lock, Ok(Ok(Some(_))))
    }

    /// After the connection was made again: what was said meanwhile is said once more, on both sides.
    fn resume(&mut self, welcome: &Welcome) {
        let mut again = Vec::new();
        for known in &welcome.attempts {
            let attempt = known.attempt;
            match (self.board.find(attempt), &known.state) {
                (Some(cell), _) if cell.is_kill_wanted() => again.push(Request::Kill { attempt }),
                (None, KnownState::Ended { .. }) => again.push(Request::Forget { attempt }),
                _ => {}
            }
        }
        let held = |attempt| {
            welcome
                .attempts
                .iter()
                .any(|known| known.attempt == attempt)
        };
        let forgotten = |request: &Request| match request {
            Request::Forget { attempt } => Some(*attempt),
            _ => None,
        };
        let mut news = welcome.clone();
        news.attempts.retain(|known| {
            !again
                .iter()
                .filter_map(forgotten)
                .any(|f| f == known.attempt)
        });
        let missing: Vec<_> = self
            .board
            .cells()
            .iter()
            .filter(|(attempt, cell)| !held(**attempt) && !cell.stage().is_final() && !cell.waits())
            .map(|(attempt, _)| *attempt)
            .collect();
        self.board.fill(&news);
        for attempt in missing {
            if let Some(cell) = self.board.find(attempt) {
                let pid = cell.stage().pid();
                if pid.is_some() {
                    cell.cut_short();
                }
                cell.advance(Stage::Lost {
                    pid,
                    problem: "its launcher does not know it".to_owned(),
                    residue: Box::default(),
                });
            }
        }
        for request in again {
            // If it breaks again, all of this is done again.
            let _ = self.wire.push(&request);
        }
        for (_, request) in std::mem::take(&mut self.unsent) {
            self.hand_over(request);
        }
        // On another wire, and perhaps later than needed.
        for (end, _) in &mut self.curious {
            *end = self.wire.pushed();
        }
        // If it breaks again, this is still unsent.
        let _ = self.send();
    }

    /// Sends what is left to be sent, and closes.
    async fn part(mut self) {
        let flush = async {
            while self.wire.unsent() > 0 {
                self.wire.turn(std::future::pending::<()>()).await?;
                while self.wire.next()?.is_some() {}
            }
            Ok::<_, WireError>(())
        };
        let _ = timeout(PARTING, flush).await;
    }

    /// The launcher is dead: ends what it left, and learns what its journal says.
    async fn bury(mut self) {
        // First of all: a start that was handed over after what is open was given up would never be answered.
        self.orders.close();
        self.board.die();
        let dir = self.board.dir.clone();
        tracing::warn!(
            launcher = self.board.pid,
            "a launcher died; what it held is ended"
        );
        let work = move || (take_lock(&dir), bury(&dir));
        let lock = match spawn_blocking(work).await {
            Ok((lock, Ok(buried))) => {
                self.board.bury(buried);
                lock
            }
            Ok((_, Err(error))) => {
                tracing::error!(%error, "the journal of a launcher cannot be read");
                return self.board.abandon();
            }
            Err(error) if error.is_panic() => return self.board.abandon(),
            // The runtime ends.
            Err(_) => return,
        };
        if self.board.cells().is_empty() {
            let dir = self.board.dir.clone();
            let _ = spawn_blocking(move || directory::remove(&dir)).await;
        }
        drop(lock);
    }
}

/// A start that failed is a refusal only if nothing is left of it.
fn not_started(failure: LaunchFailure, unconfirmed: bool) -> Stage {
    if !unconfirmed {
        return Stage::Refused(failure);
    }
    let mut residue = Residue::default();
    residue.unconfirmed = true;
    Stage::Lost {
        pid: None,
        problem: failure.problem,
        residue: Box::new(residue),
    }
}

/// The lock of a launcher that is known to be dead. Blocks on the disk. `None`: somebody else has it. What is left is
/// ended all the same, since it may be that nobody else does.
fn take_lock(dir: &Path) -> Option<DeadLock> {
    let lock = directory::take_if_dead(dir).unwrap_or_else(|error| {
        tracing::warn!(dir = %dir.display(), %error, "the lock of a dead launcher cannot be taken");
        None
    });
    if lock.is_none() {
        tracing::debug!(dir = %dir.display(), "a dead launcher is buried without its lock");
    }
    lock
}

/// Returns when it is dead; never, if it is not watched.
async fn dead(watch: Option<&DeathWatch>) {
    match watch {
        Some(watch) => watch.dead().await,
        None => std::future::pending().await,
    }
}

fn watch_death(pid: u32) -> Option<DeathWatch> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)?;
    DeathWatch::new(pid).ok()
}

/// How many bytes may wait to be sent before further requests wait: more than one of the longest.
const MAX_UNSENT: usize = 1024 * 1024;
/// A connection that was there for longer than this is made again at once.
const LASTED: Duration = Duration::from_secs(10);
/// How long to wait before a second try to connect, and the most between later ones.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the last words may take.
const PARTING: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
