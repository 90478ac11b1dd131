//! What both transports share: the channels between two ends, and which session of a worker is the live one.

mod batch;
mod ending;
mod outgoing;
mod sessions;

pub(crate) use batch::{BatchReceiver, BatchSender};
pub(crate) use ending::Ending;
pub(crate) use outgoing::{Outgoing, hand_over};
pub(crate) use sessions::{Membership, Sessions};
