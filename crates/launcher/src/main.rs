//! The launcher as a program.

#![forbid(unsafe_code)]

fn main() {}
