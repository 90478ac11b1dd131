//! Every limit of the wire, and why it is what it is.

use std::time::Duration;

/// The largest message of every service but enrolment: one job's largest configuration, or the inventory of a worker
/// that holds as much as it may, and room. 4 MiB is also what gRPC libraries accept by default.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// The largest answer that a client takes: a page of a thousand jobs with long specs.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// In how many answers a client takes the queues of a master, each of which holds as many as may have settings: enough
/// for a million jobs that wait in a queue of their own.
pub const MAX_QUEUE_PAGES: usize = 100;

/// The largest message of the enrolment service, which strangers can reach: a token, a request for a certificate of at
/// most 16 KiB, and a few names.
pub const MAX_ENROLMENT_BYTES: usize = 64 * 1024;

/// A frame is sent off once it holds this much, so that it stays below [`MAX_MESSAGE_BYTES`] with the largest message
/// behind it.
pub const FRAME_TARGET_BYTES: usize = 1024 * 1024;

/// A message with output is sent off once it holds this much: one full chunk, or many small ones. Larger ones would be
/// copied while their buffers grow, and take memory from the system for each instead of using the last one's again.
pub const OUTPUT_TARGET_BYTES: usize = 64 * 1024;

/// How many pieces of output one message to a follower holds at most, which are mostly lines.
pub const LOG_ITEMS_PER_MESSAGE: usize = 1024;

/// How many events one message to a follower holds at most: a few hundred bytes each, all that come together in most
/// commits.
pub const EVENTS_PER_MESSAGE: usize = 512;

/// How many streams one connection may have open: one for the output of each attempt that the largest worker runs.
pub const MAX_CONCURRENT_STREAMS: u32 = 4096;

/// As [`MAX_CONCURRENT_STREAMS`], for connections without a certificate, which need one.
pub const MAX_ENROLMENT_STREAMS: u32 = 2;

/// How many bytes of headers one request may carry: a path, a request id and what gRPC adds.
pub const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// How many streams a peer may reset before they were looked at, until the connection is closed ("rapid reset").
pub const MAX_PENDING_RESETS: usize = 20;

/// How many streams the master resets for a peer's faults until the connection is closed.
pub const MAX_LOCAL_RESETS: usize = 256;

/// How much of one stream may be in flight: above the product of bandwidth and delay of a fast network.
pub const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// How much of one connection may be in flight: streams that nobody reads at the moment leave room for the others.
pub const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;

/// How large one frame of HTTP/2 may be: what a chunk of output and its message take, instead of a quarter of that, since
/// each frame costs both ends some work. It is also what one stream may send before it is another's turn.
pub const MAX_HTTP_FRAME_BYTES: u32 = 66 * 1024;

/// How long a connection is quiet before the other side is asked whether it is there.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long the other side may take to say so.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The same for a client, from which the question may be far away: behind all that a slow reader of output has not read
/// yet, in the buffers of both systems. Until then one that is gone costs what its connection holds, and nothing else.
pub const CLIENT_KEEPALIVE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a TLS handshake may take on the master's side, from the first byte that is awaited.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many handshakes may be under way. When one more comes, the oldest is given up: an honest one is done in
/// milliseconds, so that only those who dawdle are hit.
pub const MAX_HANDSHAKES: usize = 4096;

/// How many connections a master holds: two for each of 10,000 workers, and as many again for clients and reconnects.
pub const MAX_CONNECTIONS: usize = 40_000;

/// How many of them may come without a certificate.
pub const MAX_ENROLMENT_CONNECTIONS: usize = 512;

/// How long a connection without a certificate may live.
pub const MAX_ENROLMENT_AGE: Duration = Duration::from_secs(30);

/// How long a peer may take from opening a stream to its first frame.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a worker or client tries one address of its master before it takes the next.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the master waits after a failed `accept`, which mostly means that it has run out of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many failed enrolments one address has at once before it is refused.
pub const ENROLMENT_BURST: u32 = 20;

/// How long it takes until an address may fail once more.
pub const ENROLMENT_REFILL: Duration = Duration::from_secs(1);

/// How many addresses with failed enrolments are remembered; beyond that the one that failed longest ago is forgotten.
pub const MAX_ENROLMENT_ADDRESSES: usize = 10_000;
