//! Suites that check an implementation of Jobyard's ports against their contracts.
//!
//! # What
//!
//! Whoever writes a [`Store`](jobyard_core::Store), a [`LogStore`](jobyard_core::LogStore) or another port of
//! `jobyard-core` runs the suite of that port against it; the implementations of Jobyard itself pass the same suites.
//!
//! # Theory of operation
//!
//! A suite is a list of cases. A case is an async function that gets fresh instances from a factory, uses them through
//! the trait alone, and panics with a sentence when the contract is broken. A macro per suite makes a test of each case,
//! under an attribute that the user chooses, so that no runtime is prescribed; `run_all` runs the cases of a suite
//! one after another. No case sleeps, and random input comes from a fixed seed.
//!
//! # Example
//!
//! ```ignore
//! // tests/contract.rs of a crate with a store
//! jobyard_testkit::store_suite!(#[tokio::test], MyStoreFactory::new());
//! ```

#![forbid(unsafe_code)]

pub mod executor;
pub mod log_store;
mod random;
pub mod store;
pub mod transport;
