//! The scheduler from outside: its policy case by case, and against a slow and obvious one.

#![forbid(unsafe_code)]

mod assignments;
mod explanations;
mod history;
mod properties;
mod reference;
mod worker_life;
mod yard;
