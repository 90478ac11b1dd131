//! The event loop.
//!
//! One thread waits for everything at once (`poller`): the agent's socket, the output of each attempt, what is heard of
//! each child, signals, and one deadline, which is the earliest of all. What happens to an attempt goes into its `life`,
//! which says what is to be done; the `yard` does it. What may take long about a start, to open what it names and to fork
//! it, is done by other threads (`starters`); nothing but the launcher's own disk makes the loop wait.

mod attempt;
mod clock;
mod connection;
mod event_loop;
mod life;
mod listener;
mod log;
mod order;
mod peer;
mod pipe;
mod poller;
mod start;
mod starters;
mod yard;

pub(crate) use self::event_loop::{EventLoop, Setup};
pub(crate) use self::listener::Listener;
pub(crate) use self::log::Log;
