//! What is known of one attempt.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use jobyard_core::{ExecutionTrace, Exit, Output, OutputProgress, Residue, Timestamp};
use jobyard_launcher::protocol::{End, KnownState, LaunchFailure};
use tokio::sync::watch;

/// The one place where the state of an attempt is; written by the task of the connection, watched by everybody else.
#[derive(Debug)]
pub(crate) struct Cell {
    stage: watch::Sender<Stage>,
    progress: watch::Sender<OutputProgress>,
    /// Who is told of output that the launcher writes to its place itself.
    output: Mutex<Option<Output>>,
    kill_wanted: AtomicBool,
    /// Whether its launcher died before it had seen the end of the output.
    cut_short: AtomicBool,
    /// Whether the launcher cannot know of it yet, since the start waits to be sent.
    waits: AtomicBool,
    /// What its main process was, kept for when it has ended.
    trace: OnceLock<ExecutionTrace>,
}

/// How far an attempt is. Later ones never become earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The launcher was asked to start it, or has not answered yet.
    Asked,
    /// Its main process runs.
    Running { pid: u32, start_time: u64 },
    /// Its main process has ended.
    Exited { pid: u32, exit: Exit, at: Timestamp },
    /// It was not started, and nothing is left of it.
    Refused(LaunchFailure),
    /// Nothing of it runs any more, or what runs cannot be killed.
    Ended { pid: u32, end: Box<End> },
    /// Its launcher is gone, and with it the knowledge of how it ended.
    Lost {
        pid: Option<u32>,
        problem: String,
        residue: Box<Residue>,
    },
}

impl Cell {
    /// An attempt that the launcher is asked for.
    pub(super) fn new() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Asked),
            progress: watch::Sender::new(OutputProgress::default()),
            output: Mutex::new(None),
            kill_wanted: AtomicBool::new(false),
            cut_short: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            trace: OnceLock::new(),
        }
    }

    /// An attempt that the launcher is to be asked for, see [`waits`](Self::waits).
    pub(super) fn waiting() -> Self {
        let cell = Self::new();
        cell.waits.store(true, Ordering::Relaxed);
        cell
    }

    /// Whether its start waits to be sent: that the launcher does not know it says nothing.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Its start was sent as a whole.
    pub(super) fn on_sent(&self) {
        self.waits.store(false, Ordering::Relaxed);
    }

    /// Something of where it is now, without a copy of all of it.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Stage) -> T) -> T {
        at(&self.stage.borrow())
    }

    /// Where it is now.
    pub(crate) fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// Returns when it is at a stage of this kind. Cancel-safe.
    pub(crate) async fn reached(&self, is_it: impl FnMut(&Stage) -> bool) -> Stage {
        let mut seen = self.stage.subscribe();
        let reached = seen.wait_for(is_it).await.map(|stage| stage.clone());
        match reached {
            Ok(stage) => stage,
            // We hold the sender.
            Err(_) => std::future::pending().await,
        }
    }

    /// Its main process, once it was known to run.
    pub(crate) fn trace(&self) -> Option<ExecutionTrace> {
        self.trace.get().cloned()
    }

    /// How far its output is; changes are seen by the receiver.
    pub(crate) fn progress(&self) -> watch::Receiver<OutputProgress> {
        self.progress.subscribe()
    }

    /// Says who is told of output from now on, and tells it how far that is if there is any: who was told counts on the
    /// launcher to write the rest, and takes no line any more that says why an attempt was not started.
    pub(crate) fn tell(&self, output: Option<Output>) {
        let mut told = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = *self.progress.borrow();
        if let Some(output) = &output
            && progress != OutputProgress::default()
        {
            output.advanced(progress);
        }
        *told = output;
    }

    pub(crate) fn want_kill(&self) {
        self.kill_wanted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_kill_wanted(&self) -> bool {
        self.kill_wanted.load(Ordering::Relaxed)
    }

    /// Nobody will ever know whether there was more output than has come so far. To be said before the last stage is.
    pub(super) fn cut_short(&self) {
        self.cut_short.store(true, Ordering::Release);
    }

    /// Whether that is so. Known at the last stage.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.cut_short.load(Ordering::Acquire)
    }

    /// Takes in a stage, unless it is at a later one.
    pub(super) fn advance(&self, stage: Stage) {
        match &stage {
            Stage::Running { pid, start_time } => {
                self.trace
                    .get_or_init(|| ExecutionTrace::new(*pid, *start_time));
            }
            Stage::Ended { end, .. } => self.on_output(end.output),
            _ => {}
        }
        self.stage.send_if_modified(|now| {
            let is_later = stage.rank() > now.rank();
            if is_later {
                *now = stage;
            }
            is_later
        });
    }

    /// Takes in how far the output is.
    pub(super) fn on_output(&self, progress: OutputProgress) {
        let is_new = self.progress.send_if_modified(|now| {
            let is_new = progress.end > now.end || progress.dropped > now.dropped;
            if is_new {
                *now = progress;
            }
            is_new
        });
        if is_new {
            let told = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(output) = &*told {
                output.advanced(progress);
            }
        }
    }
}

impl Stage {
    /// Whether nothing follows.
    pub(crate) const fn is_final(&self) -> bool {
        self.rank() == Self::FINAL
    }

    /// Whether its main process has ended, as far as can be known.
    pub(crate) const fn has_exited(&self) -> bool {
        matches!(self, Self::Exited { .. }) || self.is_final()
    }

    /// The main process, if there was one.
    pub(crate) const fn pid(&self) -> Option<u32> {
        match self {
            Self::Running { pid, .. } | Self::Exited { pid, .. } | Self::Ended { pid, .. } => {
                Some(*pid)
            }
            Self::Lost { pid, .. } => *pid,
            Self::Asked | Self::Refused(_) => None,
        }
    }

    const FINAL: u8 = 3;

    const fn rank(&self) -> u8 {
        match self {
            Self::Asked => 0,
            Self::Running { .. } => 1,
            Self::Exited { .. } => 2,
            Self::Refused(_) | Self::Ended { .. } | Self::Lost { .. } => Self::FINAL,
        }
    }
}

impl From<KnownState> for Stage {
    fn from(state: KnownState) -> Self {
        match state {
            KnownState::Running { pid, start_time } => Self::Running { pid, start_time },
            KnownState::Exited { pid, exit, at } => Self::Exited { pid, exit, at },
            KnownState::Ended { pid, end } => Self::Ended {
                pid,
                end: Box::new(end),
            },
            // Also what a later version may know: it is not over yet.
            _ => Self::Asked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_stage_never_becomes_an_earlier_one() {
        let cell = Cell::new();
        let exited = Stage::Exited {
            pid: 1,
            exit: Exit::Exited(0),
            at: Timestamp::from_micros(1),
        };
        cell.advance(exited.clone());
        cell.advance(Stage::Running {
            pid: 1,
            start_time: 2,
        });
        assert_eq!(cell.stage(), exited);
        let end = End::new(
            Exit::Exited(0),
            Timestamp::from_micros(1),
            OutputProgress::new(0, 9, 0),
        );
        let ended = Stage::Ended {
            pid: 1,
            end: Box::new(end),
        };
        cell.advance(ended.clone());
        cell.advance(Stage::Lost {
            pid: None,
            problem: String::new(),
            residue: Box::default(),
        });
        assert_eq!(cell.stage(), ended);
        assert_eq!(
            cell.progress().borrow().end,
            9,
            "the end says how far the output is"
        );
    }
}
