//! The main process of an attempt, which leads its process group.

use std::io;
use std::process::Child;

use jobyard_core::Exit;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::sync::OnceCell;

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

pub(super) use death_watch::DeathWatch;

#[cfg(target_os = "linux")]
mod death_watch {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// Learns of the death of a process, our child or not, without reaping it.
    #[derive(Debug)]
    pub(in super::super) struct DeathWatch(AsyncFd<OwnedFd>);

    impl DeathWatch {
        /// Needs Linux 5.3 and a runtime.
        pub(in super::super) fn new(pid: Pid) -> io::Result<Self> {
            let fd = pidfd_open(pid, PidfdFlags::empty())?;
            #[expect(
                deprecated,
                reason = "its successor is unsafe, since a type could change its descriptor; ours never does"
            )]
            let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
            Ok(Self(fd))
        }

        /// Returns when it is dead. Cancel-safe.
        pub(in super::super) async fn dead(&self) {
            // An error means that the runtime shuts down; whoever waits is dropped with it.
            if self.0.readable().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod death_watch {
    use std::io;

    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    use tokio::task::spawn_blocking;

    /// Learns of the death of a child without reaping it, at the price of a waiting thread.
    #[derive(Debug)]
    pub(in super::super) struct DeathWatch(Pid);

    impl DeathWatch {
        #[expect(clippy::unnecessary_wraps, reason = "the same shape as elsewhere")]
        pub(in super::super) fn new(pid: Pid) -> io::Result<Self> {
            Ok(Self(pid))
        }

        /// Returns when it is dead. Cancel-safe; the thread waits on.
        pub(in super::super) async fn dead(&self) {
            let pid = self.0;
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = spawn_blocking(move || {
                while matches!(
                    waitid(WaitId::Pid(pid), options),
                    Err(rustix::io::Errno::INTR)
                ) {}
            })
            .await;
        }
    }
}
