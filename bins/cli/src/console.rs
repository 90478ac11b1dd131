//! Standard output and standard error.

use std::borrow::Cow;
use std::io::{self, IsTerminal};

use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::escape::{escape_json, escape_text};

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

    /// A line, or several, to standard output: what it holds of other people's text steers no terminal.
    pub(crate) async fn line(&mut self, text: &str) -> io::Result<()> {
        let text = shown(text, self.out_is_terminal);
        self.out(format!("{text}\n").as_bytes()).await
    }

    /// One JSON document on one line. For a terminal with escapes that mean the same.
    pub(crate) async fn json(&mut self, value: &(impl Serialize + Sync)) -> io::Result<()> {
        let mut text = serde_json::to_string(value)?;
        if self.out_is_terminal {
            text = escape_json(&text);
        }
        text.push('\n');
        self.out(text.as_bytes()).await
    }

    /// A remark for people, beside the output. If it cannot be written, nothing is lost that anybody waits for.
    pub(crate) async fn note(&mut self, text: &str) {
        let text = shown(text, self.err_is_terminal);
        let _ = self.err(format!("jobyard: {text}\n").as_bytes()).await;
    }
}

fn shown(text: &str, on_terminal: bool) -> Cow<'_, str> {
    if on_terminal {
        Cow::Owned(escape_text(text))
    } else {
        Cow::Borrowed(text)
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
    #[tokio::test]
    async fn other_peoples_text_steers_no_terminal_xl2() {
        for terminal in [false, true] {
            let (mut console, out, err) = captured();
            console.out_is_terminal = terminal;
            console.err_is_terminal = terminal;
            console.line("a\x1b[2J\nb").await.expect("printed");
            console.note("c\u{202e}d").await;
            let (line, note) = if terminal {
                ("a\\u{1b}[2J\nb\n", "jobyard: c\\u{202e}d\n")
            } else {
                ("a\x1b[2J\nb\n", "jobyard: c\u{202e}d\n")
            };
            assert_eq!((out.text().as_str(), err.text().as_str()), (line, note));
        }
    }

    #[tokio::test]
    async fn json_on_a_terminal_means_the_same_xl2() {
        let value = "\x1b[2J\u{9b}\u{7f}\u{202e}✓";
        for terminal in [false, true] {
            let (mut console, out, _) = captured();
            console.out_is_terminal = terminal;
            console.json(&value).await.expect("printed");
            let read: String = serde_json::from_str(&out.text()).expect("JSON");
            assert_eq!(read, value);
            assert_eq!(out.text().contains('\u{202e}'), !terminal);
            assert_eq!(out.text().contains('\u{9b}'), !terminal);
        }
    }
}
