//! The end of a link, as both of its sides learn of it.

use std::sync::{Arc, OnceLock};

use jobyard_core::{LinkError, Refusal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Ends a link from outside, with or without a reason. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending {
    token: CancellationToken,
    cause: Arc<OnceLock<Refusal>>,
}

impl Ending {
    /// An ending that also happens when this one does, for the same reason.
    pub(crate) fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            cause: Arc::clone(&self.cause),
        }
    }

    /// Ends the link. The first reason counts.
    pub(crate) fn refuse(&self, cause: Refusal) {
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    /// Ends the link as if the other side had finished.
    pub(crate) fn close(&self) {
        self.token.cancel();
    }

    pub(crate) async fn ended(&self) {
        self.token.cancelled().await;
    }

    pub(crate) fn ended_owned(&self) -> WaitForCancellationFutureOwned {
        self.token.clone().cancelled_owned()
    }

    pub(crate) fn cause(&self) -> Option<Refusal> {
        self.cause.get().cloned()
    }

    /// What a side sees that goes on using the link.
    pub(crate) fn error(&self) -> LinkError {
        self.cause().map_or(LinkError::Closed, LinkError::Refused)
    }
}
