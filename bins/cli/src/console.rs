//! Standard output and standard error.

use std::io::{self, IsTerminal};

use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Where a command prints. Every write is flushed, so that a reader sees it at once.
pub(crate) struct Console {
    out: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    err: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    /// Whether a person reads standard output.
    pub(crate) out_is_terminal: bool,
    /// Whether a person reads standard error.
    pub(crate) err_is_terminal: bool,
}

impl Console {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        Self {
            out: Box::new(tokio::io::stdout()),
            err: Box::new(tokio::io::stderr()),
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
        }
    }

    /// Bytes to standard output.
    pub(crate) async fn out(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes).await?;
        self.out.flush().await
    }

    /// Bytes to standard error.
    pub(crate) async fn err(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.err.write_all(bytes).await?;
        self.err.flush().await
    }

    /// A line to standard output.
    pub(crate) async fn line(&mut self, text: &str) -> io::Result<()> {
        self.out(format!("{text}\n").as_bytes()).await
    }

    /// One JSON document on one line.
    pub(crate) async fn json(&mut self, value: &(impl Serialize + Sync)) -> io::Result<()> {
        let mut text = serde_json::to_vec(value)?;
        text.push(b'\n');
        self.out(&text).await
    }

    /// A remark for people, beside the output. If it cannot be written, nothing is lost that anybody waits for.
    pub(crate) async fn note(&mut self, text: &str) {
        let _ = self.err(format!("jobyard: {text}\n").as_bytes()).await;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll};

    /// What was printed.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn bytes(&self) -> Vec<u8> {
            self.0.lock().expect("no panic while printing").clone()
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8_lossy(&self.bytes()).into_owned()
        }
    }

    impl AsyncWrite for Captured {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0
                .lock()
                .expect("no panic while printing")
                .extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A console that remembers.
    pub(crate) fn captured() -> (Console, Captured, Captured) {
        let (out, err) = (Captured::default(), Captured::default());
        let console = Console {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            out_is_terminal: false,
            err_is_terminal: false,
        };
        (console, out, err)
    }
}
