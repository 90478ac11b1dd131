//! The rustls configurations of every connection.
//!
//! All of them: TLS 1.3 only, one provider that is passed explicitly, no session tickets and no resumption (a
//! resumed session would skip the verification of its peer), no early data, no key log, no host names.

mod client;
mod provider;
mod server;
mod server_verifier;

pub use client::{client_config, enrolment_client_config, server_name};
pub(crate) use provider::provider;
pub use provider::{ALPN_ENROLL, ALPN_H2, TlsConfigError};
pub use server::{Door, ServerTls};
pub use server_verifier::master_of_chain;
