//! What an agent and its launcher say to each other.
//!
//! # The wire
//!
//! A stream socket of the family `AF_UNIX`, named `socket` in the launcher's directory, for its own user alone. Each
//! message is a length (4 bytes, big-endian, at most [`MAX_MESSAGE_BYTES`]) and so many bytes of JSON. Unknown fields are
//! ignored, so that fields can be added; an unknown kind of message is an error.
//!
//! # The conversation
//!
//! 1. The agent says [`Request::Hello`], the launcher [`Reply::Welcome`] with all that it knows: what it can enforce,
//!    and every attempt that it holds, with its state. A launcher that speaks another version says which in its
//!    welcome and then only takes [`Request::Retire`], so that its jobs end in peace.
//! 2. [`Request::Start`] is answered by [`Reply::Started`] or [`Reply::NotStarted`]. After the latter nothing of the
//!    attempt runs, unless it says `unconfirmed`, and it need not be forgotten.
//! 3. [`Reply::Output`] says how far the output in the attempt's directory is; several changes may become one.
//! 4. [`Reply::Exited`] comes as soon as the main process has ended. The launcher then waits until the output is closed,
//!    for as long as the launch says, kills what is left, and makes sure that nothing runs any more. If that is so already,
//!    there is no `Exited`.
//! 5. [`Reply::Ended`] says that this is so, or that it cannot be, and once more how the main process has ended. It is the
//!    last of the attempt, and repeated in each welcome until [`Request::Forget`].
//!
//! A launch may say by when the attempt has to be over. The launcher kills it then by itself, whether an agent is there or
//! not; [`Request::Extend`] moves that time on. [`Reply::Ended`] then says `expired`, and no `Exited` comes before it.
//! Both came after the first launchers: one that knows them says [`Welcome::leases`], and to another no agent says them.
//!
//! A new connection ends the one before it. All that has happened meanwhile is in the welcome: while no agent is
//! there, everything goes on without one.

mod codec;
mod launch;
mod message;

pub use self::codec::{CodecError, Decoder, encode};
pub use self::launch::{Isolation, Landlock, Launch, Namespaces, User, WorkDir};
pub use self::message::{
    CageFacts, End, Known, KnownState, LaunchFailure, Mechanism, Reply, Request, Signal, Stage,
    Welcome,
};

/// The version of this protocol. A launcher outlives its agent, so an agent meets older ones.
pub const PROTOCOL_VERSION: u32 = 1;

/// The longest message: a command line with its environment may be some megabytes long, and JSON escapes what is odd.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The name of the socket in a launcher's directory.
pub const SOCKET: &str = "socket";

/// The name of the file that a launcher keeps locked for as long as it lives.
pub const LOCK: &str = "lock";

/// The name of the file in which a launcher writes down what it does, see the journal.
pub const JOURNAL: &str = "journal";

/// The name of the file for what a launcher has to say to people.
pub const LOG: &str = "log";
