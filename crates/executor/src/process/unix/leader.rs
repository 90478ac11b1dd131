//! The main process of an attempt, which leads its process group.

use std::io;
use std::process::Child;

use jobyard_core::Exit;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::sync::OnceCell;

use super::death_watch::DeathWatch;

/// A process that we started and have not reaped: as long as this value lives, its number, and that of the group that
/// it leads, are not given to others. That is why its death is noticed without reaping it.
#[derive(Debug)]
pub(super) struct Leader {
    pid: Pid,
    child: Child,
    watch: DeathWatch,
    exit: OnceCell<Exit>,
}

impl Leader {
    /// Takes over a child that leads its own group. Needs a runtime. On an error the child is handed back.
    pub(super) fn new(child: Child) -> Result<Self, (Child, io::Error)> {
        let pid = Pid::from_child(&child);
        match DeathWatch::new(pid) {
            Ok(watch) => Ok(Self {
                pid,
                child,
                watch,
                exit: OnceCell::new(),
            }),
            Err(error) => Err((child, error)),
        }
    }

    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether its end was noticed.
    pub(super) fn has_ended(&self) -> bool {
        self.exit.initialized()
    }

    /// Returns when it has ended. May be called by many, and again. Cancel-safe.
    pub(super) async fn ended(&self) -> Exit {
        *self
            .exit
            .get_or_init(async || {
                self.watch.dead().await;
                look_at_exit(self.pid)
            })
            .await
    }

    /// Waits for its end and reaps it. Its number is free from now on.
    pub(super) async fn reap(mut self) {
        self.ended().await;
        if let Err(error) = self.child.wait() {
            tracing::warn!(pid = self.pid.as_raw_nonzero(), %error, "a process could not be reaped");
        }
    }
}

/// How a dead child ended, without reaping it.
fn look_at_exit(pid: Pid) -> Exit {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let status = loop {
        match waitid(WaitId::Pid(pid), options) {
            Err(Errno::INTR) => {}
            Ok(Some(status)) => break status,
            other => {
                // Somebody else in this program reaps children that are not theirs.
                tracing::error!(
                    pid = pid.as_raw_nonzero(),
                    ?other,
                    "the exit of a process is lost: this program ignores or reaps SIGCHLD elsewhere"
                );
                return UNKNOWN;
            }
        }
    };
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Exited(code),
        (None, Some(signal)) => Exit::Signaled(signal),
        (None, None) => UNKNOWN,
    }
}

/// What stands for an exit that somebody else took away: no success, and no signal that exists.
const UNKNOWN: Exit = Exit::Signaled(0);
