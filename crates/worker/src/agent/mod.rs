//! What this worker holds and owes, and what it may start: the pure half of a worker.
//!
//! No runtime, no clock, no IO: the shell tells an [`Agent`] what happened ([`Input`]) and carries out what it answers
//! ([`Output`], plain data, in order). The same inputs give the same outputs.
//!
//! # An attempt on its worker
//!
//! ```text
//!              Assign           Journaled           AttemptStarted
//!   (unknown) --------> Journaling ------> Starting ----------------> Running
//!      ^                |      |              |                          |
//!      |  JournalFailed |      | Stop         | AttemptEnded             | AttemptEnded
//!      +----------------+      v              v                          |
//!      |                     Finished <--------+--------------------------+
//!      |        Forget          |
//!      +------------------------+
//! ```
//!
//! * Between `Journaling` and `Starting` it waits, if need be, for the master's promise, see below.
//! * An assignment is written to the journal before anything is done about it, and started only when the journal has
//!   it ([`Input::Journaled`]). An attempt that is held is never started again; one that was held and is gone, or that
//!   was refused, is declined as stale as long as the (bounded) memory goes.
//! * `Forget` ends an attempt without a report: one that runs is killed, and deleted when it is known to be gone.
//! * Finished attempts stay in the inventory until the master says `Forget`.
//!
//! # The session
//!
//! ```text
//!             Start               Connected            Welcome
//!   Idle --------------> Connecting -------> Greeting ---------> Open
//!                          ^   |                |                 |
//!              deadline    |   | ConnectFailed  | SessionLost,    | silence, Closing
//!                          |   v                v                 v
//!                         Waiting <-------------+-----------------+
//! ```
//!
//! Attempts run on while there is no session. A master with an older epoch than one that was seen is refused. What an
//! old session still brings after its end is ignored.
//!
//! # The lease
//!
//! A job may ask not to outlive the contact of its worker with the master
//! ([`OnDisconnect::Stop`](jobyard_core::OnDisconnect::Stop)). The worker counts from the moment at which it *sent* the last
//! heartbeat that was answered, or the hello of the last welcome: whatever the master heard, it heard later. Shortly
//! before the lease ends such attempts are stopped, with or without a session, and what was not started is not started.
//! That is looked at before anything else that has happened, so that a worker that was held up (its machine slept, its
//! process was stopped) does not believe what it reads then; and a stop that was ordered is not undone. An executor that
//! can kills them by itself when the lease ends, whatever becomes of this program: [`Output::Extend`] moves that time
//! on. The next life goes by the lease that stands in the journal until it is welcomed.
//!
//! No attempt *starts* after that time, whatever it asks for: the master may have told somebody that nothing starts here
//! any more. What is in the journal by then waits for the next promise; so does its executor know until when it may begin.
//!
//! # Drained by the master
//!
//! A worker that its master drains declines every assignment, also those that are on their way to the journal; what the
//! executor was told to start begins. That is apart from an end of the worker's own.
//!
//! # Condition
//!
//! A worker may have something against its machine: a full disk, too little memory, too much to do
//! ([`Input::Complaints`]), or processes of an attempt that could not be killed, which taint the machine until a later
//! life finds them gone, or another boot. As long as it complains it takes no assignments, and tells the master why.
//! What the master has sent before it heard is run all the same, unless there is no room for anything.
//!
//! # Ending
//!
//! A worker that detaches says no more, lets go of what runs without ending it, and is over; its next life adopts what
//! it finds, and the master hears of it as after a lost session.
//!
//! A drain takes nothing new, and waits until every attempt has ended and the master has confirmed each. After its
//! time, or at a stop, what runs is stopped; then the worker waits for confirmation for a short while: what is not
//! confirmed stays in the journal, for the next life to report. A worker that was removed kills what runs, deletes its
//! identity and reports nothing.

mod condition;
mod config;
mod entry;
mod input;
mod journal_entry;
mod lease;
mod machine;
mod memory;
mod names;
mod output;
mod recovery;
mod session;
mod shutdown;
#[cfg(test)]
mod tests;

pub use self::config::AgentConfig;
pub use self::input::{AttemptEnd, Input, ShutdownMode};
pub use self::journal_entry::JournalEntry;
pub use self::lease::MAX_FENCE_GRACE;
pub use self::machine::Agent;
pub use self::output::{ExitReason, Output};
pub use self::session::{CONNECT_LIMIT, REFUSED_WAIT, STABLE_AFTER};
pub use self::shutdown::{CONFIRM_WAIT, STOP_LIMIT};
