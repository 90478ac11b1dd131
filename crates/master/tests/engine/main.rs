//! The engine from outside: what becomes of jobs, attempts, workers and tokens, behaviour by behaviour.

#![forbid(unsafe_code)]

mod assignment;
mod cluster;
mod enrolment;
mod fleet;
mod limits;
mod properties;
mod reconcile;
mod restart;
mod silence;
mod step;
mod stop;
mod submit;
mod world;
