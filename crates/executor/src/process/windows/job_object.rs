//! The job object that an attempt is in.

use std::io;

use jobyard_core::{Exit, InfraReason, Lost};
use process_wrap::tokio::ChildWrapper;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// A process that we started, in a job object of its own, of which nobody else has a handle. A task holds both: only one
/// can wait for the process and end the job object, and that takes turns. When this value is dropped, the task ends
/// everything in the job object and closes it.
#[derive(Debug)]
pub(super) struct JobObject {
    pid: Option<u32>,
    kills: mpsc::Sender<Answer>,
    exit: watch::Receiver<Option<Result<Exit, Lost>>>,
    task: JoinHandle<io::Result<()>>,
}

/// Where it is said what became of a kill.
type Answer = oneshot::Sender<io::Result<()>>;

impl JobObject {
    /// Takes over a child that was wrapped into a job object, and into nothing around that. Needs a runtime.
    pub(super) fn new(child: Box<dyn ChildWrapper>) -> Self {
        let pid = child.id();
        let (kills, orders) = mpsc::channel(1);
        let (ended, exit) = watch::channel(None);
        let holder = Holder {
            child,
            ended,
            orders,
        };
        Self {
            pid,
            kills,
            exit,
            task: tokio::spawn(holder.hold()),
        }
    }

    /// The number of the main process.
    pub(super) const fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Returns when the main process has ended. May be called by many, and again. Cancel-safe.
    pub(super) async fn ended(&self) -> Result<Exit, Lost> {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        let ended = ended.ok().and_then(|ended| ended.clone());
        ended.unwrap_or_else(|| {
            Err(lost(
                "nobody waits for it any more, since this program ends",
            ))
        })
    }

    /// Ends all processes in the job object, unless the main process has ended. Returns without waiting for their end.
    pub(super) async fn kill(&self) -> io::Result<()> {
        let (answer, answered) = oneshot::channel();
        if self.kills.send(answer).await.is_err() {
            return Ok(());
        }
        // A task that is gone has closed the job object.
        answered.await.unwrap_or(Ok(()))
    }

    /// Ends everything that is in the job object and closes it. Returns when the main process has ended.
    ///
    /// # Errors
    ///
    /// The system refused to end it. Closing it does the same, but nothing tells whether that came to pass.
    pub(super) async fn close(self) -> io::Result<()> {
        drop(self.kills);
        self.task.await.unwrap_or_else(|error| Err(error.into()))
    }
}

/// Has the process and the job object.
struct Holder {
    child: Box<dyn ChildWrapper>,
    ended: watch::Sender<Option<Result<Exit, Lost>>>,
    orders: mpsc::Receiver<Answer>,
}

impl Holder {
    /// Waits for the end and for orders, until nobody can give any more.
    async fn hold(mut self) -> io::Result<()> {
        let mut has_ended = false;
        loop {
            tokio::select! {
                // Beneath the wrapper, which would wait for more than the main process.
                status = self.child.inner_mut().wait(), if !has_ended => {
                    has_ended = true;
                    self.ended.send_replace(Some(exit(status)));
                }
                order = self.orders.recv() => {
                    let Some(answer) = order else { break };
                    let killed = if has_ended { Ok(()) } else { self.child.start_kill() };
                    // Whoever went away does not want to know.
                    let _ = answer.send(killed);
                }
            }
        }
        let killed = self.child.start_kill();
        if killed.is_ok() && !has_ended {
            let status = self.child.inner_mut().wait().await;
            self.ended.send_replace(Some(exit(status)));
        }
        // With the last handle, the system ends whatever got into it meanwhile.
        drop(self.child);
        killed
    }
}

fn exit(status: io::Result<std::process::ExitStatus>) -> Result<Exit, Lost> {
    let status = status.map_err(|error| lost(&format!("it cannot be waited for: {error}")))?;
    let code = status.code();
    code.map(Exit::Exited)
        .ok_or_else(|| lost("it has no exit code"))
}

fn lost(problem: &str) -> Lost {
    Lost::new(InfraReason::WorkerFault, problem)
}
