//! The command line of Jobyard.

#![forbid(unsafe_code)]

mod console;
mod escape;
mod failure;
mod follow;
mod job_file;
mod printer;
mod quantity;
mod retry;
#[cfg(test)]
mod testing;
mod views;

fn main() {}
