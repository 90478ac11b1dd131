//! The wire: gRPC over mutual TLS.

mod channel;
mod control;
mod dial;
mod enrolment;
mod inbound;
mod outbound;
mod server;
mod status;
mod worker;

pub use control::GrpcControl;
pub use dial::{ConnectOptions, InvalidEndpoint};
pub use enrolment::GrpcEnrolment;
pub use server::{ServeError, Server, ServerTls, Services, TlsConfigSource};
pub use worker::GrpcTransport;

/// The protocol of everything but enrolment, as it is named in a TLS hello. Asks for a certificate.
const ALPN_MAIN: &[u8] = b"h2";

/// The protocol of enrolment, as it is named in a TLS hello. HTTP/2 as well, under a name of its own.
const ALPN_ENROLMENT: &[u8] = b"jobyard-enroll";

/// The metadata key of a request's id.
const REQUEST_ID: &str = "jobyard-request-id";
