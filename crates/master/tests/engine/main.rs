//! The engine from outside: what becomes of jobs, attempts, workers and tokens, behaviour by behaviour.

#![forbid(unsafe_code)]

mod assignment;
mod cluster;
mod complaints;
mod demands;
mod enrolment;
mod fleet;
mod giving_up;
mod limits;
mod outcomes;
mod properties;
mod queue_time;
mod queues;
mod reconcile;
mod restart;
mod silence;
mod step;
mod stop;
mod submit;
mod world;
