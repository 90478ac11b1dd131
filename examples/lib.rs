//! Programs of one screen that use Jobyard. Each runs to its end and checks what it prints:
//! `cargo run -p jobyard-examples --example NAME`.
//!
//! | example | shows |
//! |---|---|
//! | `embedded` | master and worker inside one program, through the facade |
//! | `scheduler_only` | the scheduler alone in a host without runtime: who runs where, and why one waits |

#![forbid(unsafe_code)]
