//! What the master writes into its store, and how it reads it back.
//!
//! | kind | key | live | body |
//! |---|---|---|---|
//! | `job` | job id | until it is finished and its output settled | [`JobRecord`] |
//! | `spec` | job id | no: fetched when an attempt is sent or shown | the [`JobSpec`](jobyard_core::JobSpec) as it was accepted |
//! | `queue` | its name | yes | [`QueueRecord`] |
//! | `worker` | worker id | yes, removed ones too: they must stay refused | [`WorkerRecord`] |
//! | `token` | token id | yes | [`TokenRecord`](jobyard_pki::TokenRecord) |
//! | `audit` | place | no | [`AuditEntry`](jobyard_core::AuditEntry) |
//! | `event` | place of its last event, in 20 digits | no | a list of [`KeptEvent`] |
//! | `tomb` | id of a job that retention has removed | no | [`Tomb`] |
//! | `retention` | `jobs` | no | [`RetentionRecord`] |
//!
//! A job's spec is written once; what changes is small. What an older version has written is read by every newer one.

mod body;
mod demand;
mod event;
mod job;
mod kind;
mod queue;
mod token;
mod tomb;
mod trail;
mod worker;

pub use body::{DamagedRecord, read};
pub use demand::{Demand, MASKING_TAG};
pub use event::{KeptEvent, MAX_RECORD_EVENTS, event_record, job_of, read_events};
pub use job::{JobRecord, SpecDigest, spec_record};
pub use kind::{AUDIT, Counters, EVENT, JOB, LIVE_KINDS, QUEUE, RETENTION, SPEC, TOKEN, WORKER};
pub use queue::QueueRecord;
pub use token::token_record;
pub use tomb::{RetentionRecord, Tomb};
pub use trail::audit_record;
pub use worker::{DrainRecord, WorkerRecord};
