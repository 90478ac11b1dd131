//! The scheduler from outside: its policy case by case, and against a slow and obvious one.

#![forbid(unsafe_code)]

mod adversarial;
mod ageing;
mod assignments;
mod backlog;
mod counts;
mod coverage;
mod deadlines;
mod decisions;
mod determinism;
mod explanations;
mod fair_share;
mod helps;
mod history;
mod limits;
mod order;
mod placement;
mod points;
mod reference;
mod room;
mod starvation;
mod verdicts;
mod walk;
mod worker_life;
mod yard;
