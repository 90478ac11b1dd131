//! Ctrl-C and its relatives, as events.

use tokio::sync::mpsc;

/// How many signals may wait: the second one is the last that changes anything.
const WAITING: usize = 4;

/// Tells of each wish of the person at the keyboard, or of the system, that this program ends.
#[derive(Debug)]
pub(crate) struct Interrupts(mpsc::Receiver<()>);

impl Interrupts {
    /// From now on the signals end nothing by themselves. Needs a runtime.
    pub(crate) fn of_process() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        listen(sender)?;
        Ok(Self(receiver))
    }

    /// Those that a test sends.
    #[cfg(test)]
    pub(crate) const fn of_channel(receiver: mpsc::Receiver<()>) -> Self {
        Self(receiver)
    }

    /// The next one. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
fn listen(sender: mpsc::Sender<()>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = sender.closed() => return,
            }
            // More of them than fit say nothing new.
            let _ = sender.try_send(());
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn listen(sender: mpsc::Sender<()>) -> std::io::Result<()> {
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && !sender.is_closed() {
            let _ = sender.try_send(());
        }
    });
    Ok(())
}
