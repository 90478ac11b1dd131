//! The simulated store: records in memory that survive every crash of the master.

use std::collections::BTreeMap;

use jobyard_core::{
    Batch, Change, JobId, JobState, QueueSettings, Record, RecordKind, Steady, TOMBSTONE,
    Timestamp, ValidSpec, WorkerId,
};
use jobyard_master::engine::Forgotten;
use jobyard_master::records::{
    EVENT, JOB, JobRecord, LIVE_KINDS, QUEUE, QueueRecord, SPEC, SpecDigest, Tomb, WORKER,
    WorkerRecord, read, read_events,
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
    /// What is left of jobs that were removed.
    pub(crate) tombs: BTreeMap<JobId, Tomb>,
    /// In which order the master's wall clock showed its times: a jump breaks their own order.
    pub(crate) moments: BTreeMap<Timestamp, u64>,
    /// The true time.
    pub(crate) now: Steady,
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
                        if let Ok(job) = key.parse() {
                            self.books.jobs.remove(&job);
                        }
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
        if record.kind == TOMBSTONE {
            let tomb: Tomb = read(&record).expect("a tombstone can be read");
            let job = record.key.parse().expect("a job's id");
            self.books.tombs.insert(job, tomb);
        } else if record.kind == EVENT {
            let events = read_events(&record).expect("events can be read");
            let events = events.into_iter().map(|kept| kept.event).collect();
            facts.push(Fact::EventsWritten { events });
            return;
        }
        self.records
            .insert((record.kind, record.key.clone()), record);
    }

    /// What the master's shell finds of a job in its store: its digest, or that of its tombstone.
    pub(crate) fn digest(&self, job: JobId, tombs: bool) -> Option<SpecDigest> {
        let tomb = self.books.tombs.get(&job).filter(|_| tombs);
        let kept = self.job(job).map(|record| &record.digest);
        kept.or(tomb.map(|tomb| &tomb.digest)).cloned()
    }

    /// Some job that waits by the records.
    pub(crate) fn some_waiting(&self, chance: u64) -> Option<JobId> {
        let waiting = self.books.jobs.values();
        let waiting = waiting.filter(|(record, _)| record.state == JobState::Queued);
        let waiting: Vec<JobId> = waiting.map(|(record, _)| record.id).collect();
        let index = chance.checked_rem(waiting.len() as u64)?;
        waiting.get(usize::try_from(index).ok()?).copied()
    }

    /// Finished jobs that nothing is waited for of, oldest first.
    pub(crate) fn settled(&self) -> Vec<Forgotten> {
        let jobs = self.books.jobs.values();
        let mut settled: Vec<&JobRecord> = jobs
            .filter(|(record, live)| !live && record.outcome.is_some())
            .map(|(record, _)| record)
            .collect();
        settled.sort_by_key(|record| record.sequence);
        let forgotten = settled.into_iter().map(|record| Forgotten {
            id: record.id,
            sequence: record.sequence,
            tomb: Tomb::of(record),
            attempts: record.attempts.iter().map(|attempt| attempt.id).collect(),
        });
        forgotten.collect()
    }

    pub(crate) const fn books_mut(&mut self) -> &mut Books {
        &mut self.books
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
