//! What the two say to each other.

use tonic::codegen::http::uri::PathAndQuery;

/// From the master: run the program.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Run {
    /// Which job.
    #[prost(uint64, tag = "1")]
    pub(super) job: u64,
}

/// From the worker: it has ended.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Exit {
    /// Which job.
    #[prost(uint64, tag = "1")]
    pub(super) job: u64,
    /// How.
    #[prost(int32, tag = "2")]
    pub(super) code: i32,
}

/// The one method: the worker calls it and sends exits, the master answers with runs.
pub(super) fn method() -> PathAndQuery {
    PathAndQuery::from_static("/bare.Session/Work")
}
