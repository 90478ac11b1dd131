//! The pure life cycle of one attempt: events in, commands out. No IO, no clock, no runtime.
//!
//! # States
//!
//! ```text
//!        Start, Adopt          Started             Exited, Lost           CleanedUp
//!   New -------------> Starting -------> Running ----------------> CleaningUp -------> Done
//!    |                   |   |              | Stop, KillNow,        ^                   ^
//!    |                   |   | Started,     v DeadlineReached       | Exited, Lost      |
//!    |                   |   | with a stop  Stopping{Grace} --------+                   |
//!    |                   |   +----------->  |  KillNow, DeadlineReached, SignalFailed   |
//!    |                   |                  v                       |                   |
//!    |                   |                  Stopping{Killing} ------+                   |
//!    |                   | StartFailed, Gone                                            |
//!    |                   +--------------------------------------------------------------+
//!    +----------------------------------------------------------------------------------+
//!      Stop, KillNow
//! ```
//!
//! # Rules
//!
//! * The timeout counts from the answer of the start, on the steady clock.
//! * A stop sends `Terminate`, waits for its grace, and kills. Without grace, or without an executor that delivers
//!   signals, it kills at once. A further stop shortens the grace and never lengthens it.
//! * An exit before a stop was accepted wins: the outcome is that of the exit. Once a stop is accepted, the outcome is
//!   that of the stop, with the real exit as data: `Cancelled`, `TimedOut`, or, for
//!   [`StopCause::WorkerStopping`](jobyard_core::StopCause::WorkerStopping), `Infra { WorkerRestarted }`, since
//!   it was the worker that did not wait and not the job that failed: such an attempt is run again on the budget for
//!   infrastructure failures. The same holds for [`StopCause::LeaseExpired`](jobyard_core::StopCause::LeaseExpired) and
//!   [`StopCause::Drained`](jobyard_core::StopCause::Drained), whose outcomes name them.
//! * The first cause stays, with one exception: a cause of the job's own displaces these three, so that a job that
//!   somebody cancelled while its worker ended is cancelled, and is not run again.
//! * An end that cannot be known any more (`Lost`: its launcher died) is an end: without a stop its outcome is
//!   `Infra` with the reason that the executor gives, with one that of the stop, without an exit.
//! * A failure after the kernel had enforced a limit is named after that limit, which is known only after the clean-up:
//!   `OutOfMemory`, `ProcessLimit`. A success stays a success, a stop a stop.
//! * A stop while the start is unanswered is remembered; its grace begins when it can be carried out. If the start then
//!   fails, the outcome is that of the stop.
//!
//! # Transitions
//!
//! "-" is a no-op, which can happen in an orderly run (a race between two events); "!" is an input that only a faulty
//! shell sends, answered with [`InvalidInput`] and without any effect. `transitions.snap` among the
//! snapshots holds every pair with its commands, checked by a test.
//!
//! | input | New | Starting | Running | Stopping | CleaningUp | Done |
//! |---|---|---|---|---|---|---|
//! | `Start`, `Adopt` | Starting | ! | ! | ! | ! | - |
//! | `Started` | ! | Running, Stopping | ! | ! | ! | ! |
//! | `StartFailed` after `Start`, `Gone` after `Adopt` | ! | Done | ! | ! | ! | ! |
//! | `Exited`, `Lost` | ! | ! | CleaningUp | CleaningUp | - | - |
//! | `CleanedUp` | ! | ! | ! | ! | Done | ! |
//! | `Stop`, `KillNow` | Done | remembered | Stopping | shortens | - | - |
//! | `DeadlineReached` | - | - | Stopping, - | Killing, - | - | - |
//! | `SignalFailed` | ! | ! | ! | Killing, - | - | - |

mod command;
mod input;
mod machine;
mod plan;
mod state;

pub use command::{Command, Ending, SupervisorEvent};
pub use input::Input;
pub use machine::{InvalidInput, Supervisor, stronger};
pub use plan::Plan;
