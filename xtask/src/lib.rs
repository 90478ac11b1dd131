//! The chores of the Jobyard workspace.
//!
//! # What it is
//!
//! `cargo xtask test` is the one definition of "this change is good": CI runs nothing else. The
//! other chores write what is checked in but not written by hand.
//!
//! # Theory of operation
//!
//! [`steps`] knows the order of the checks, runs each and sums up. A check is either a command of
//! cargo that keeps its own output ([`command`]), or a function here that looks at what
//! `cargo metadata`, `cargo tree` or `cargo nextest list` say ([`workspace`]) and returns its
//! findings as data: [`floors`], the gates under [`gates`], [`skips`]. Deciding and asking are
//! apart, so that each rule has unit tests on made-up input, and the rules that need no
//! compilation run on the real workspace as plain tests too.
//!
//! # Example
//!
//! ```
//! use xtask::gates::spdx;
//!
//! let allowed = ["MIT", "Apache-2.0"];
//! assert!(spdx::permits("GPL-3.0-only OR MIT", &allowed)?);
//! assert!(!spdx::permits("GPL-3.0-only AND MIT", &allowed)?);
//! # Ok::<(), spdx::SpdxError>(())
//! ```

#![forbid(unsafe_code)]

pub mod bugs;
pub mod chaos;
pub mod codegen;
pub mod command;
pub mod examples;
pub mod floors;
pub mod gates;
pub mod package;
pub mod portability;
pub mod program_mutants;
pub mod simulate;
pub mod skips;
pub mod steps;
pub mod workspace;
