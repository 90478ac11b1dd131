//! The simulated store: records in memory that survive every crash of the master.

use std::collections::BTreeMap;

use jobyard_core::{
    Batch, Change, JobId, JobState, QueueSettings, Record, RecordKind, ValidSpec, WorkerId,
};
use jobyard_master::records::{
    JOB, JobRecord, LIVE_KINDS, QUEUE, QueueRecord, SPEC, WORKER, WorkerRecord, read,
};

use crate::fact::Fact;

/// What is durable.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    records: BTreeMap<(RecordKind, String), Record>,
    highest: BTreeMap<RecordKind, u64>,
    books: Books,
}

/// The durable records of jobs and workers, readable.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Jobs, and whether their records are marked as needed for a restart.
    pub(crate) jobs: BTreeMap<JobId, (JobRecord, bool)>,
    /// Workers.
    pub(crate) workers: BTreeMap<WorkerId, WorkerRecord>,
}

impl Disk {
    pub(crate) const fn books(&self) -> &Books {
        &self.books
    }

    /// Makes a batch durable.
    pub(crate) fn apply(&mut self, batch: Batch, facts: &mut Vec<Fact>) {
        for change in batch.changes {
            match change {
                Change::Put(record) => self.put(record, facts),
                Change::Remove { kind, key } => {
                    self.records.remove(&(kind, key.clone()));
                    if kind == JOB {
                        facts.push(Fact::JobRemoved { key });
                    } else if kind == QUEUE {
                        let settings = QueueSettings::default();
                        let queue = key;
                        facts.push(Fact::QueueWritten { queue, settings });
                    }
                }
                _ => {}
            }
        }
        facts.push(Fact::BatchEnded);
    }

    pub(crate) fn put(&mut self, record: Record, facts: &mut Vec<Fact>) {
        let highest = self.highest.entry(record.kind).or_default();
        *highest = record.fields.order.max(*highest);
        if record.kind == JOB {
            let after: JobRecord = read(&record).expect("a job's record can be read");
            let entry = (after.clone(), record.fields.live);
            let before = self.books.jobs.insert(after.id, entry);
            facts.push(Fact::JobWritten {
                before: before.map(|(record, _)| Box::new(record)),
                after: Box::new(after),
            });
        } else if record.kind == WORKER {
            let after: WorkerRecord = read(&record).expect("a worker's record can be read");
            self.books.workers.insert(after.id, after.clone());
            facts.push(Fact::WorkerWritten {
                after: Box::new(after),
            });
        } else if record.kind == QUEUE {
            let QueueRecord { name, settings } = read(&record).expect("a queue's can be read");
            facts.push(Fact::QueueWritten {
                queue: name,
                settings,
            });
        }
        self.records
            .insert((record.kind, record.key.clone()), record);
    }

    /// What a term needs to resume, in the order in which it is needed.
    pub(crate) fn live(&self) -> Vec<&Record> {
        let mut all = Vec::new();
        for kind in LIVE_KINDS {
            let mut records: Vec<_> = self
                .records
                .values()
                .filter(|record| record.kind == kind && record.fields.live)
                .collect();
            records.sort_by_key(|record| record.fields.order);
            all.extend(records);
        }
        all
    }

    pub(crate) fn highest(&self, kind: RecordKind) -> u64 {
        self.highest.get(&kind).copied().unwrap_or(0)
    }

    pub(crate) fn spec(&self, job: JobId) -> Option<ValidSpec> {
        let record = self.records.get(&(SPEC, job.to_string()))?;
        read(record).ok()
    }

    pub(crate) fn job(&self, job: JobId) -> Option<&JobRecord> {
        self.books.jobs.get(&job).map(|(record, _)| record)
    }

    /// A deliberate bug: finished jobs are as they were accepted.
    pub(crate) fn revive_finished(&mut self) {
        for (key, record) in &mut self.records {
            if key.0 != JOB {
                continue;
            }
            let Ok(mut job) = read::<JobRecord>(record) else {
                continue;
            };
            if job.state == JobState::Finished {
                job.state = JobState::Queued;
                job.outcome = None;
                *record = job.to_record(true);
            }
        }
    }

    /// A deliberate bug: nobody has ever set a queue.
    pub(crate) fn forget_queues(&mut self) {
        self.records.retain(|(kind, _), _| *kind != QUEUE);
    }

    /// A deliberate bug: no job is of a group.
    pub(crate) fn forget_groups(&mut self) {
        for (key, record) in &mut self.records {
            if key.0 != JOB {
                continue;
            }
            let Ok(mut job) = read::<JobRecord>(record) else {
                continue;
            };
            job.demand.group = None;
            *record = job.to_record(record.fields.live);
        }
    }
}
