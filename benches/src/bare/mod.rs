//! The yardstick: a master and a worker that can do nothing but run one program.
//!
//! Both are processes of their own, started by [`Pair`] from the benchmark's own program. They are connected as the
//! real ones are: TLS 1.3 with certificates on both sides, `TCP_NODELAY` on both ends, one long-lived stream in each
//! direction. The master has one thread, the worker several, which suits each best. The master keeps a window of jobs in
//! flight, as many as the real worker has slots.
//!
//! [`raw_upload`] is the yardstick of output: another such pair, over whose one stream bytes go that nobody keeps.

mod certificates;
mod master;
mod message;
mod order;
mod pair;
mod upload;
mod worker;

pub use master::serve;
pub use pair::{MASTER, Pair, WORKER};
pub use upload::{RawUpload, UPLOAD_MASTER, UPLOAD_WORKER, raw_upload, serve_upload, upload};
pub use worker::work;
