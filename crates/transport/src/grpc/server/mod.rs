//! The master's end.

mod accept;
mod admin;
mod caller;
mod connection;
mod door;
mod enrolment;
mod failures;
mod frames;
mod jobs;
mod policy;
mod queues;
mod serve;
mod session;
mod tls;
mod workers;

pub use serve::{ServeError, Server, Services};
pub use tls::{ServerTls, TlsConfigSource};
