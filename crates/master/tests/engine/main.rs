//! The engine from outside: what becomes of jobs, attempts, workers and tokens, behaviour by behaviour.

#![forbid(unsafe_code)]

mod assignment;
mod cluster;
mod complaints;
mod demands;
mod drain;
mod enrolment;
mod events;
mod fleet;
mod giving_up;
mod leases;
mod limits;
mod outcomes;
mod properties;
mod queue_time;
mod queues;
mod races;
mod reconcile;
mod requests;
mod restart;
mod retention;
mod retries;
mod secrets;
mod silence;
mod step;
mod stop;
mod submit;
mod vocabulary;
mod world;
