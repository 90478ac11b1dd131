//! Which kinds of records there are, and where their numbers stand.

use jobyard_core::{Epoch, RecordKind};

/// Jobs.
pub const JOB: RecordKind = RecordKind("job");
/// Specs of jobs.
pub const SPEC: RecordKind = RecordKind("spec");
/// Settings of queues.
pub const QUEUE: RecordKind = RecordKind("queue");
/// Workers.
pub const WORKER: RecordKind = RecordKind("worker");
/// Join tokens.
pub const TOKEN: RecordKind = RecordKind("token");
/// The audit trail.
pub const AUDIT: RecordKind = RecordKind("audit");
/// What happened, in order.
pub const EVENT: RecordKind = RecordKind("event");
/// How far retention has come: one record.
pub const RETENTION: RecordKind = RecordKind("retention");

/// What a term needs to resume, in the order in which it is needed.
pub const LIVE_KINDS: [RecordKind; 4] = [TOKEN, WORKER, QUEUE, JOB];

/// Where the counters stand that no live record holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The term.
    pub epoch: Epoch,
    /// The highest place of a job so far.
    pub job_sequence: u64,
    /// The highest place of an audit entry so far.
    pub audit_seq: u64,
    /// The highest place of an event so far.
    pub event_seq: u64,
}
