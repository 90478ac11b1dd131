//! Programs of one screen that use Jobyard. Each runs to its end and checks what it prints:
//! `cargo run -p jobyard-examples --example NAME`.
//!
//! | example | shows |
//! |---|---|
//! | `custom_executor` | an executor for functions of the host program, which runs them through a worker |
//! | `embedded` | master and worker inside one program, through the facade |
//! | `supervisor_only` | the job supervisor alone: limits, output, a tree that is stopped as a whole; the host is its own launcher |
//! | `scheduler_only` | the scheduler alone in a host without runtime: who runs where, and why one waits |

#![forbid(unsafe_code)]
