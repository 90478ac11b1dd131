//! The launcher: the small process that starts jobs, keeps hold of them, and outlives the agent that asked for them.
//!
//! # What
//!
//! * [`protocol`]: what an agent and its launcher say to each other. Everything that an agent needs of a launcher that
//!   lives.
//! * [`spool`]: the format in which the launcher leaves output for the agent.
//! * [`journal`]: what a launcher has written down. Everything that an agent needs of a launcher that is dead.
//! * [`cage`]: what keeps hold of the processes of an attempt.
//! * [`run`], and the program `jobyard-launcher` around it: the launcher itself. A host program that brings no other
//!   program with it calls [`run_if_asked`] first in its `main`, and starts itself.
//!
//! # Theory of operation
//!
//! A launcher is one thread around an epoll, and a few that start attempts, so that the first never waits for a file system
//! or a child: no runtime, a few MiB. It lives in a directory of its
//! own, which it keeps locked, and listens on a socket there, for processes of its own user that do not descend from it.
//!
//! For each attempt it makes pipes, takes a cage, writes down what it is about to do, and forks. The child goes into its
//! cage, puts off what it has of the launcher, and executes the program; what goes wrong on the way is told with the stage
//! at which it did, and nothing of the attempt is left then. The launcher writes what comes out of the pipes into the
//! attempt's directory, and tells the agent how far it is.
//!
//! When the main process has ended, the rest of its tree may go on while the output is open, for a time. Then all that is
//! left is killed and listed. Only when the cage is proven empty is the attempt over.
//!
//! Agents come and go. A launcher tells each of them everything from the start, and forgets an attempt when it is told that
//! the end of it is written down elsewhere. Without an agent it goes on; without an agent and without attempts that run it
//! ends after a while. Its own death takes its jobs along, or leaves them to be found: the journal says what they are.
//!
//! # Example
//!
//! The launcher in a process of its own, and this one as its agent (the other half of every host program that is its own
//! launcher):
//!
//! ```no_run
//! use std::io::{BufRead, BufReader, Read, Write};
//! use std::os::unix::net::UnixStream;
//! use std::process::{Command, Stdio};
//!
//! use jobyard_launcher::protocol::{Decoder, PROTOCOL_VERSION, Reply, Request, SOCKET, encode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! jobyard_launcher::run_if_asked();
//!
//! let dir = std::env::temp_dir().join("launcher");
//! let mut launcher = Command::new(std::env::current_exe()?)
//!     .args([jobyard_launcher::ASKED, "--dir"])
//!     .arg(&dir)
//!     .stdout(Stdio::piped())
//!     .spawn()?;
//! let mut ready = String::new();
//! BufReader::new(launcher.stdout.take().ok_or("no output")?).read_line(&mut ready)?;
//!
//! let mut socket = UnixStream::connect(dir.join(SOCKET))?;
//! let mut bytes = bytes::BytesMut::new();
//! encode(&Request::Hello { version: PROTOCOL_VERSION }, &mut bytes)?;
//! socket.write_all(&bytes)?;
//! let mut decoder = Decoder::default();
//! let welcome = loop {
//!     if let Some(Reply::Welcome(welcome)) = decoder.decode()? {
//!         break welcome;
//!     }
//!     let mut buffer = [0; 4096];
//!     let length = socket.read(&mut buffer)?;
//!     decoder.push(&buffer[..length]);
//! };
//! println!("jobs are held by {}", welcome.cages.mechanism.as_str());
//! # Ok(())
//! # }
//! ```
//!
//! The smallest thing that runs here: what a dead launcher remembers.
//!
//! ```
//! # #[cfg(target_os = "linux")] {
//! let dir = std::env::temp_dir().join("no launcher was ever here");
//! let remembered = jobyard_launcher::journal::read(&dir)?;
//! assert!(remembered.is_empty());
//! # }
//! # Ok::<(), std::io::Error>(())
//! ```

#[cfg(target_os = "linux")]
pub mod cage;
#[cfg(target_os = "linux")]
mod entry;
#[cfg(target_os = "linux")]
pub mod journal;
mod process_stat;
pub mod protocol;
#[cfg(target_os = "linux")]
mod server;
pub mod spool;
#[cfg(target_os = "linux")]
mod sys;

pub use self::process_stat::ProcessStat;

#[cfg(target_os = "linux")]
pub use self::entry::{
    ASKED, LauncherError, LauncherOptions, UsageError, is_alive, main, run, run_if_asked,
};
