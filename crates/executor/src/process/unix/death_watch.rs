//! Learning of the death of a process.

pub(crate) use self::system::DeathWatch;

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// Learns of the death of a process, our child or not, without reaping it.
    #[derive(Debug)]
    pub(crate) struct DeathWatch(AsyncFd<OwnedFd>);

    impl DeathWatch {
        /// Needs Linux 5.3 and a runtime.
        pub(crate) fn new(pid: Pid) -> io::Result<Self> {
            let fd = pidfd_open(pid, PidfdFlags::empty())?;
            #[expect(
                deprecated,
                reason = "its successor is unsafe, since a type could change its descriptor; ours never does"
            )]
            let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
            Ok(Self(fd))
        }

        /// Returns when it is dead. Cancel-safe.
        pub(crate) async fn dead(&self) {
            // An error means that the runtime shuts down; whoever waits is dropped with it.
            if self.0.readable().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    use tokio::task::spawn_blocking;

    /// Learns of the death of a child without reaping it, at the price of a waiting thread.
    #[derive(Debug)]
    pub(crate) struct DeathWatch(Pid);

    impl DeathWatch {
        #[expect(clippy::unnecessary_wraps, reason = "the same shape as elsewhere")]
        pub(crate) fn new(pid: Pid) -> io::Result<Self> {
            Ok(Self(pid))
        }

        /// Returns when it is dead. Cancel-safe; the thread waits on.
        pub(crate) async fn dead(&self) {
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
