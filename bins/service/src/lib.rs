//! What the service programs of Jobyard have in common: their log, and how they end.
//!
//! # What
//!
//! [`run`] is all of a program's `main`: it serves with what the program was told, says on standard error in one
//! sentence what went wrong, and chooses the exit code. [`start_logging`] writes the log to standard error, in a
//! [`LogFormat`].
//!
//! # Theory of operation
//!
//! A library of Jobyard installs no logger; this one is for programs, which do, and which know when. Nothing happens
//! before it is asked for, and nothing is read from the environment.
//!
//! # Example
//!
//! ```no_run
//! use std::error::Error;
//! use std::process::ExitCode;
//!
//! use jobyard_service::{LogFormat, run, start_logging};
//!
//! fn serve(level: String) -> Result<(), Box<dyn Error + Send + Sync>> {
//!     start_logging(LogFormat::Text, &level)?;
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     let level = std::env::args().nth(1).ok_or("say how much is to be logged");
//!     run("my-service", level.map_err(Into::into), serve)
//! }
//! ```

#![forbid(unsafe_code)]

mod ending;
mod logging;

pub use ending::run;
pub use logging::{LogFormat, StartLoggingError, start_logging};
