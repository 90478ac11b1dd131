//! One launcher, as the rest of this program sees it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobyard_core::{AttemptId, Output, Residue};
use jobyard_launcher::protocol::{Launch, Request, Welcome};
use tokio::sync::{mpsc, oneshot};

use super::burial::Buried;
use super::cell::{Cell, Stage};

/// The way to one launcher. When the last handle is gone, its connection is closed.
#[derive(Debug)]
pub(crate) struct Link {
    board: Arc<Board>,
    /// `None`: it was dead from the beginning.
    orders: Option<mpsc::Sender<Order>>,
}

/// What the connection to a launcher is told.
#[derive(Debug)]
pub(super) enum Order {
    /// To send this.
    Send(Request),
    /// To say when all that came before was sent.
    Tell(oneshot::Sender<()>),
}

/// Room for one request; none, if the launcher is gone.
#[derive(Debug)]
pub(crate) struct Room<'a>(Option<mpsc::Permit<'a, Order>>);

/// What is known of a launcher and what it holds, shared with the task of its connection.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) dir: PathBuf,
    pub(super) pid: u32,
    is_alive: AtomicBool,
    /// Whether it ends attempts by itself when their time is over.
    knows_leases: AtomicBool,
    cells: Mutex<BTreeMap<AttemptId, Arc<Cell>>>,
}

impl Link {
    /// A living launcher, whose connection takes these orders.
    pub(super) const fn new(board: Arc<Board>, orders: mpsc::Sender<Order>) -> Self {
        Self {
            board,
            orders: Some(orders),
        }
    }

    /// A dead launcher.
    pub(super) fn buried(dir: PathBuf, buried: Vec<Buried>) -> Self {
        let board = Board::new(dir, 0);
        board.is_alive.store(false, Ordering::Relaxed);
        board.bury(buried);
        Self {
            board: Arc::new(board),
            orders: None,
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.board.dir
    }

    pub(super) fn pid(&self) -> u32 {
        self.board.pid
    }

    /// Whether it lives, as far as is known.
    pub(crate) fn is_alive(&self) -> bool {
        self.board.is_alive.load(Ordering::Acquire)
    }

    /// Whether it knows of times by which attempts are over. One from before them would not understand.
    pub(crate) fn knows_leases(&self) -> bool {
        self.board.knows_leases.load(Ordering::Relaxed)
    }

    /// Whether nothing of it is to be remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.board.cells().is_empty()
    }

    pub(super) fn cell(&self, attempt: AttemptId) -> Option<Arc<Cell>> {
        self.board.cells().get(&attempt).cloned()
    }

    /// Drops an attempt that is over from what is remembered here.
    pub(super) fn remove(&self, attempt: AttemptId) {
        self.board.cells().remove(&attempt);
    }

    /// Room for one request. Cancel-safe: nothing has happened before this returns.
    pub(crate) async fn room(&self) -> Room<'_> {
        Room(match &self.orders {
            Some(orders) => orders.reserve().await.ok(),
            None => None,
        })
    }

    /// Asks for a start. Its answer, and all that follows, comes into the cell.
    pub(crate) fn start(
        &self,
        room: Room<'_>,
        launch: Launch,
        output: Option<Output>,
    ) -> Arc<Cell> {
        let attempt = launch.attempt;
        let cell = Arc::new(Cell::waiting());
        cell.tell(output);
        self.board.cells().insert(attempt, Arc::clone(&cell));
        match room.0 {
            Some(room) => room.send(Order::Send(Request::Start(Box::new(launch)))),
            // This one alone: what else was asked for was perhaps started, which the journal will tell.
            None => self.board.lose(|other, _| *other == attempt),
        }
        cell
    }

    /// Hands a request to the connection; `false`: the launcher is gone. If the future is dropped, it may not have been
    /// handed over.
    pub(crate) async fn send(&self, request: Request) -> bool {
        match &self.orders {
            Some(orders) => orders.send(Order::Send(request)).await.is_ok(),
            None => false,
        }
    }

    /// Returns when all that was handed over before was sent, or when the launcher is gone. Cancel-safe.
    pub(super) async fn all_sent(&self) {
        let Some(orders) = &self.orders else { return };
        let (told, sent) = oneshot::channel();
        if orders.send(Order::Tell(told)).await.is_ok() {
            // An error: the launcher is gone.
            let _ = sent.await;
        }
    }

    /// As [`send`](Self::send), where nothing can be waited for: `false` also if there is no room.
    pub(crate) fn try_send(&self, request: Request) -> bool {
        self.orders
            .as_ref()
            .is_some_and(|orders| orders.try_send(Order::Send(request)).is_ok())
    }
}

impl Board {
    pub(super) fn new(dir: PathBuf, pid: u32) -> Self {
        Self {
            dir,
            pid,
            is_alive: AtomicBool::new(true),
            knows_leases: AtomicBool::new(false),
            cells: Mutex::default(),
        }
    }

    /// Never held across an await.
    pub(super) fn cells(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Arc<Cell>>> {
        // Nothing in here can be left half done.
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, attempt: AttemptId) -> Option<Arc<Cell>> {
        self.cells().get(&attempt).cloned()
    }

    /// Takes in a welcome: all that the launcher holds.
    pub(super) fn fill(&self, welcome: &Welcome) {
        self.knows_leases.store(welcome.leases, Ordering::Relaxed);
        let mut cells = self.cells();
        for known in &welcome.attempts {
            let cell = cells
                .entry(known.attempt)
                .or_insert_with(|| Arc::new(Cell::new()));
            cell.on_output(known.output);
            cell.advance(known.state.clone().into());
        }
    }

    /// It is dead: nobody is to ask it for more.
    pub(super) fn die(&self) {
        self.is_alive.store(false, Ordering::Release);
    }

    /// It is dead: takes in what its journal said. What that does not know was never started.
    pub(super) fn bury(&self, buried: Vec<Buried>) {
        self.die();
        {
            let mut cells = self.cells();
            for Buried {
                attempt,
                stage,
                output,
                is_cut_short,
            } in buried
            {
                let cell = cells
                    .entry(attempt)
                    .or_insert_with(|| Arc::new(Cell::new()));
                cell.on_output(output);
                // What the launcher said counts, even if it could not write that down.
                if is_cut_short && !cell.look(Stage::is_final) {
                    cell.cut_short();
                }
                cell.advance(stage);
            }
        }
        self.lose(|_, stage| !stage.is_final());
    }

    /// It is dead, and what it left could not be found out, nor ended.
    pub(super) fn abandon(&self) {
        self.die();
        let mut residue = Residue::default();
        residue.unconfirmed = true;
        self.lose_leaving(|_, stage| !stage.is_final(), &residue);
    }

    fn lose(&self, is_lost: impl Fn(&AttemptId, &Stage) -> bool) {
        self.lose_leaving(is_lost, &Residue::default());
    }

    fn lose_leaving(&self, is_lost: impl Fn(&AttemptId, &Stage) -> bool, residue: &Residue) {
        for (attempt, cell) in &*self.cells() {
            let stage = cell.stage();
            if is_lost(attempt, &stage) {
                if stage.pid().is_some() || residue.unconfirmed {
                    cell.cut_short();
                }
                cell.advance(Stage::Lost {
                    pid: stage.pid(),
                    problem: "its launcher is gone".to_owned(),
                    residue: Box::new(residue.clone()),
                });
            }
        }
    }
}

/// How many requests may wait for the connection, which takes them at once.
pub(super) const ORDERS: usize = 256;
