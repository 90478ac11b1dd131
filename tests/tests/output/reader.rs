//! One who reads a log with the CLI, piece by piece.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use jobyard_tests::GUARD;

/// A CLI that prints a log to a pipe, which is emptied as fast as it fills.
pub(crate) struct Reader {
    child: Child,
    pieces: Receiver<Vec<u8>>,
    pub(crate) read: Vec<u8>,
}

impl Reader {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the CLI starts");
        let mut output = child.stdout.take().expect("standard output is piped");
        let (sender, pieces) = channel();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            pieces,
            read: Vec::new(),
        }
    }

    /// Waits until so many bytes were read.
    pub(crate) fn wait_for(&mut self, bytes: usize) {
        while self.read.len() < bytes {
            let piece = self.pieces.recv_timeout(GUARD);
            self.read.extend(piece.expect("the log goes on"));
        }
    }

    /// Waits for the end; all that was read.
    pub(crate) fn end(mut self) -> Vec<u8> {
        while let Ok(piece) = self.pieces.recv_timeout(GUARD) {
            self.read.extend(piece);
        }
        let status = self.child.wait().expect("a child can be waited for");
        assert!(status.success(), "it ends well");
        self.read
    }
}

/// A CLI whose output nobody reads.
pub(crate) struct Stalled(Child);

impl Stalled {
    pub(crate) fn of(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("the CLI starts"))
    }

    /// Waits until it has printed something, and reads no more.
    pub(crate) fn taste(&mut self) {
        let output = self.0.stdout.as_mut().expect("standard output is piped");
        let mut byte = [0];
        output.read_exact(&mut byte).expect("a first byte");
    }

    /// Whether it is still in the middle: it ends only when somebody has taken all that it prints.
    pub(crate) fn stands(&mut self) -> bool {
        self.0.try_wait().expect("ours").is_none()
    }

    /// Reads it after all, to the end.
    pub(crate) fn wake(mut self) -> Vec<u8> {
        let mut read = Vec::new();
        let mut output = self.0.stdout.take().expect("standard output is piped");
        output.read_to_end(&mut read).expect("it can be read");
        assert!(self.0.wait().expect("it ends").success());
        read
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a file with these bytes; its path as a word for a script.
pub(crate) fn file_with(path: &std::path::Path, bytes: &[u8]) -> String {
    let mut file = std::fs::File::create(path).expect("a new file");
    file.write_all(bytes).expect("there is room");
    path.display().to_string()
}
