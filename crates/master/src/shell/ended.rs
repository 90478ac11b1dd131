//! Why a master does not go on by itself.

use jobyard_core::Epoch;

/// Why a master has ended by itself. Nothing that it answered is lost; what runs on workers goes on, as its jobs'
/// policies allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MasterEnded {
    /// Another master leads this store. That one serves now.
    #[error("another master leads this store, in term {current}: this one must not go on")]
    AnotherLeads {
        /// Its term.
        current: Epoch,
    },
    /// Another process leads this store. That one serves now.
    #[error("{holder} leads this store: this master must not go on")]
    Held {
        /// Who.
        holder: String,
    },
    /// The disk failed to make bytes durable. Whoever starts the master again finds what was durable before.
    #[error(
        "the disk under the store failed ({problem}): look at the disk, then start the master again; nothing that was \
         answered is lost"
    )]
    DiskFailed {
        /// What it said.
        problem: String,
    },
    /// What is remembered cannot be read.
    #[error(
        "the store is damaged ({problem}): restore it from a backup with `jobyard-master restore`, or look at the disk"
    )]
    Damaged {
        /// What was found.
        problem: String,
    },
}
