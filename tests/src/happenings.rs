//! What happens in a cluster, as it happens.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use crate::program::GUARD;

/// `jobyard events --follow`, which is what tests wait for: what has happened, durably, in order.
#[derive(Debug)]
pub struct Happenings {
    child: Child,
    lines: Receiver<Value>,
}

impl Happenings {
    /// From this command, which prints one JSON object a line.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = child.stdout.take().expect("standard output is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("one JSON object a line");
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// The next thing that happens.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub fn next(&self) -> Value {
        let event = self.lines.recv_timeout(GUARD);
        event.expect("nothing happens")
    }

    /// Waits for one like this.
    ///
    /// # Panics
    ///
    /// When nothing happens any more before.
    pub fn wait_for(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next();
            if is_it(&event) {
                return event;
            }
        }
    }
}

impl Drop for Happenings {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
