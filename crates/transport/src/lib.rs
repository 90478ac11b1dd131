//! How the parts of a Jobyard cluster reach each other.
//!
//! # What
//!
//! | type | is |
//! |---|---|
//! | [`InProcess`] | a worker's way to a master in the same program |
//! | [`GrpcTransport`] | a worker's way to a master over gRPC and mutual TLS |
//! | [`GrpcEnrolment`] | how a machine without a certificate asks for one |
//! | [`GrpcControl`] | [`Control`](jobyard_core::Control) over the wire, for the CLI and other programs |
//! | [`Server`] | the master's end of the three above |
//! | [`Backoff`] | how long to wait before the next try to connect, as a pure function |
//!
//! # Theory of operation
//!
//! The `.proto` files in this crate's `proto` folder are the truth about the wire. The code that is generated from them,
//! prost and tonic stay inside: every message is checked and turned into a type of `jobyard-core` at the door, and a
//! message that does not fit is refused with the name of the field.
//!
//! One port serves everything. The server looks at the protocols that the client names in its TLS hello:
//! `jobyard-enroll` leads to the service `Enrollment` alone and asks for no certificate; `h2` asks for one and leads to
//! everything else. Who the peer is gets read from its certificate once per connection; a table says for each method
//! who may call it, and the server does not start if a method is missing from it. Membership of a worker is checked for
//! each request and each message.
//!
//! A worker holds two connections, one for control and one for output, so that megabytes of output in flight never
//! delay a heartbeat. Within a session messages arrive at most once and in order; what is sent together travels
//! together. Every buffer is bounded: the names of the limits are in [`limits`].
//!
//! Both transports pass the suite `transport` of `jobyard-testkit`.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use jobyard_core::{SessionHandler, Transport, WorkerId};
//! use jobyard_transport::InProcess;
//!
//! /// The worker's side does not see which transport it talks through.
//! fn local_worker(id: WorkerId, master: Arc<dyn SessionHandler>) -> Arc<dyn Transport> {
//!     Arc::new(InProcess::new(id, master))
//! }
//! ```

#![forbid(unsafe_code)]

mod backoff;
mod generated;
mod grpc;
mod inprocess;
pub mod limits;
mod link;
mod wire;

pub use backoff::Backoff;
pub use grpc::{
    ConnectOptions, GrpcControl, GrpcEnrolment, GrpcTransport, InvalidEndpoint, ServeError, Server,
    ServerTls, Services, TlsConfigSource,
};
pub use inprocess::InProcess;
