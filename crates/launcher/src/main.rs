//! The launcher as a program: `jobyard-launcher --dir DIR`. What it does is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    jobyard_launcher::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("jobyard-launcher: there is a launcher for Linux only");
    ExitCode::FAILURE
}
