//! A master without a shell: its engine, a clock that is moved by hand, and a store that is a map.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{
    AdminState, AttemptId, Change, Epoch, Explanation, Happening, Hello, JobSpec, JobState,
    LogStatus, NewToken, Now, Outcome, QueueChange, Record, RecordKind, SessionId, Steady,
    StopOptions, Timestamp, WorkerCommand, WorkerFacts, WorkerMessage,
};
use jobyard_master::Policy;
use jobyard_master::engine::{
    Answer, Committed, Engine, Input, Joining, ReplyTo, Sealed, Submission, Timings,
};
use jobyard_master::records::{
    AUDIT, Counters, EVENT, JOB, JobRecord, LIVE_KINDS, WORKER, WorkerRecord, read, read_events,
};
use jobyard_pki::{JoinSecret, TokenRecord};
use uuid::Uuid;

use crate::step::Step;
use crate::vocabulary::{
    attempt, draft, exit, hello, job, key, name, report, submission, token, worker,
};

/// Retries do not wait here, so that tests of other things need not: see [`Cluster::with_timings`].
pub(crate) const TIMINGS: Timings = Timings {
    heartbeat: Duration::from_secs(2),
    lease: Duration::from_secs(10),
    margin: Duration::from_secs(3),
    grace: Duration::from_secs(4),
    failover_grace: Duration::from_secs(20),
    reconcile_for: Duration::from_mins(5),
    log_drain: Duration::from_secs(30),
    fleet_grace: Duration::from_mins(1),
    retry_first: Duration::ZERO,
    retry_most: Duration::from_mins(5),
};

/// See the module's documentation. Every input is followed by a commit that succeeds.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    pub(crate) records: BTreeMap<(RecordKind, String), Record>,
    pub(crate) timings: Timings,
    policy: Policy,
    epoch: Epoch,
    batch: u64,
    sessions: u128,
    replies: u64,
}

impl Cluster {
    /// The first term of an empty store.
    pub(crate) fn new() -> Self {
        Self::with_policy(Policy::default())
    }

    /// The same with this policy.
    pub(crate) fn with_policy(policy: Policy) -> Self {
        Self::with_timings_and_policy(TIMINGS, policy)
    }

    /// The same with this patience.
    pub(crate) fn with_timings(timings: Timings) -> Self {
        Self::with_timings_and_policy(timings, Policy::default())
    }

    fn with_timings_and_policy(timings: Timings, policy: Policy) -> Self {
        let now = Now {
            wall: Timestamp::from_micros(1_000_000),
            steady: Steady::from_micros(1_000_000),
        };
        let counters = Counters {
            epoch: Epoch(1),
            ..Counters::default()
        };
        let mut cluster = Self {
            engine: Engine::restore(timings, policy.clone(), counters).finish(now),
            timings,
            policy,
            now,
            records: BTreeMap::new(),
            epoch: Epoch(1),
            batch: 0,
            sessions: 0,
            replies: 0,
        };
        // That the term began.
        cluster.settle();
        cluster
    }

    /// With workers 1 to `workers`, enrolled and not connected.
    pub(crate) fn with_workers(workers: u8) -> Self {
        Self::new().and_workers(workers)
    }

    /// The same and these workers.
    pub(crate) fn and_workers(self, workers: u8) -> Self {
        let mut cluster = self;
        cluster.create_token(200, 100);
        for n in 1..=workers {
            let answer = cluster.join(200, n, &name(n.into())).answer();
            assert!(matches!(answer, Answer::Enrolled { .. }), "{answer:?}");
        }
        cluster
    }

    /// With one worker that is connected.
    pub(crate) fn with_one(slots: u32) -> (Self, SessionId) {
        let mut cluster = Self::with_workers(1);
        let (session, _) = cluster.connect(1, slots);
        (cluster, session)
    }

    /// Hands over an input, and lets out what follows from it once it is committed.
    pub(crate) fn tell(&mut self, input: Input) -> Step {
        self.engine.handle(self.now, input);
        self.settle()
    }

    /// Hands over an input whose consequences are lost: the master dies before it has committed them.
    pub(crate) fn tell_and_crash(&mut self, input: Input) -> Step {
        self.engine.handle(self.now, input);
        self.restart()
    }

    /// Commits what has come together, and releases what waited for it.
    pub(crate) fn settle(&mut self) -> Step {
        assert_eq!(self.engine.audit_tables(self.now), Ok(()));
        let number = self.batch + 1;
        let outbox = self.engine.take_outbox();
        assert!(self.engine.is_quiet(), "an outbox holds everything");
        match outbox.seal(number) {
            Sealed::Free(effects) => Step {
                changes: Vec::new(),
                effects,
            },
            Sealed::AfterCommit(batch, held) => {
                assert_eq!(batch.number, number);
                self.batch = number;
                for change in &batch.changes {
                    self.apply(change);
                }
                Step {
                    changes: batch.changes,
                    effects: held.release(&Committed::batch(number)),
                }
            }
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(record) => {
                let key = (record.kind, record.key.clone());
                self.records.insert(key, record.clone());
            }
            Change::Remove { kind, key } => drop(self.records.remove(&(*kind, key.clone()))),
            other => panic!("not known to the harness: {other:?}"),
        }
    }

    /// The next term, from what was committed. The steady clock of another process says something else.
    pub(crate) fn restart(&mut self) -> Step {
        self.epoch = self.epoch.next();
        self.batch = 0;
        self.now.steady = Steady::from_micros(5_000_000 * self.epoch.0);
        let highest = |kind: RecordKind| {
            let of_kind = self.records.values().filter(|record| record.kind == kind);
            of_kind.map(|record| record.fields.order).max().unwrap_or(0)
        };
        let counters = Counters {
            epoch: self.epoch,
            job_sequence: highest(JOB),
            audit_seq: highest(AUDIT),
            event_seq: highest(EVENT),
        };
        let mut restore = Engine::restore(self.timings, self.policy.clone(), counters);
        for kind in LIVE_KINDS {
            let mut live: Vec<&Record> = self
                .records
                .values()
                .filter(|record| record.kind == kind && record.fields.live)
                .collect();
            live.sort_by_key(|record| record.fields.order);
            for record in live {
                restore.add(record).expect("readable");
            }
        }
        self.engine = restore.finish(self.now);
        self.settle()
    }

    /// Lets time pass, and tells the engine of each deadline when it has come.
    pub(crate) fn pass(&mut self, time: Duration) -> Step {
        let mut step = Step::default();
        let end = self.now.steady + time;
        while let Some(deadline) = self.engine.next_deadline().filter(|at| *at <= end) {
            self.move_clock_to(deadline.max(self.now.steady));
            step.append(self.tell(Input::DeadlineReached));
        }
        self.move_clock_to(end);
        step
    }

    /// Lets time pass while this session says something at each heartbeat.
    pub(crate) fn pass_in_touch(&mut self, session: SessionId, time: Duration) -> Step {
        let mut step = Step::default();
        let end = self.now.steady + time;
        while self.now.steady < end {
            let left = end - self.now.steady;
            step.append(self.pass(left.min(TIMINGS.heartbeat)));
            step.append(self.say(session, WorkerMessage::Heartbeat));
        }
        step
    }

    /// Lets time pass, and leaves it to the caller to tell the engine.
    pub(crate) fn skip(&mut self, time: Duration) {
        self.move_clock_to(self.now.steady + time);
    }

    fn move_clock_to(&mut self, at: Steady) {
        let by = at.as_micros() - self.now.steady.as_micros();
        let wall = self.now.wall.as_micros() + i64::try_from(by).expect("a short time");
        self.now = Now {
            wall: Timestamp::from_micros(wall),
            steady: at,
        };
    }

    pub(crate) fn reply_to(&mut self) -> ReplyTo {
        self.replies += 1;
        ReplyTo(self.replies)
    }

    /// The id of a session that was not there before.
    pub(crate) fn session(&mut self) -> SessionId {
        self.sessions += 1;
        SessionId::from_uuid(Uuid::from_u128(self.sessions))
    }

    pub(crate) fn submit(&mut self, n: u128) -> Step {
        self.submit_spec(n, draft("{}"))
    }

    pub(crate) fn submit_spec(&mut self, n: u128, spec: JobSpec) -> Step {
        self.submit_all(vec![submission(n, spec)])
    }

    pub(crate) fn submit_all(&mut self, jobs: Vec<Submission>) -> Step {
        let reply = self.reply_to();
        let by = "ann".to_owned();
        self.tell(Input::Submit { reply, by, jobs })
    }

    pub(crate) fn stop(&mut self, n: u128) -> Step {
        self.stop_with(n, StopOptions::default())
    }

    pub(crate) fn stop_with(&mut self, n: u128, options: StopOptions) -> Step {
        let reply = self.reply_to();
        self.tell(Input::Stop {
            reply,
            by: "ann".to_owned(),
            job: job(n),
            options,
        })
    }

    /// A session of a worker that holds nothing.
    pub(crate) fn connect(&mut self, n: u128, slots: u32) -> (SessionId, Step) {
        self.connect_as(n, hello(slots, Vec::new()))
    }

    /// A worker says hello, is welcomed, and answers.
    pub(crate) fn connect_as(&mut self, n: u128, hello: Hello) -> (SessionId, Step) {
        let (session, mut step) = self.greet(n, hello);
        step.append(self.confirm(session));
        (session, step)
    }

    /// The answer to a welcome: an empty frame, which leaves nothing behind in a step.
    pub(crate) fn confirm(&mut self, session: SessionId) -> Step {
        let messages = Vec::new();
        self.tell(Input::Said { session, messages })
    }

    /// A worker says hello, and no more.
    pub(crate) fn greet(&mut self, n: u128, hello: Hello) -> (SessionId, Step) {
        let session = self.session();
        let step = self.tell(Input::SessionOpened {
            worker: worker(n),
            session,
            address: "192.0.2.7".to_owned(),
            hello: Box::new(hello),
        });
        (session, step)
    }

    pub(crate) fn disconnect(&mut self, session: SessionId) -> Step {
        self.tell(Input::SessionEnded { session })
    }

    pub(crate) fn say(&mut self, session: SessionId, message: WorkerMessage) -> Step {
        let messages = vec![message];
        self.tell(Input::Said { session, messages })
    }

    pub(crate) fn started(&mut self, session: SessionId, attempt: AttemptId) -> Step {
        let (pid, at) = (Some(4), Timestamp::from_micros(55));
        self.say(session, WorkerMessage::Started { attempt, pid, at })
    }

    pub(crate) fn finished(
        &mut self,
        session: SessionId,
        attempt: AttemptId,
        outcome: Outcome,
        bytes: u64,
    ) -> Step {
        let report = report(attempt, outcome, bytes);
        self.say(session, WorkerMessage::Finished(report))
    }

    /// The worker ends the first job, the only one that it runs, and is not given the second.
    pub(crate) fn finishes_and_gets_no_more(&mut self, session: SessionId) {
        let step = self.finished(session, attempt(1, 1), exit(0), 0);
        assert!(step.assigned().is_empty());
        assert_eq!(self.job(1).outcome, Some(exit(0)));
        assert_eq!(self.job(2).state, JobState::Queued);
    }

    pub(crate) fn log_settled(&mut self, attempt: AttemptId, status: LogStatus) -> Step {
        self.tell(Input::LogSettled { attempt, status })
    }

    pub(crate) fn set_worker(&mut self, worker: &str, to: WorkerCommand) -> Step {
        let reply = self.reply_to();
        self.tell(Input::SetWorker {
            reply,
            by: "olga".to_owned(),
            worker: worker.to_owned(),
            to,
        })
    }

    pub(crate) fn set_queue(&mut self, queue: &str, change: QueueChange) -> Step {
        let reply = self.reply_to();
        self.tell(Input::SetQueue {
            reply,
            by: "olga".to_owned(),
            queue: queue.to_owned(),
            change,
        })
    }

    pub(crate) fn create_token(&mut self, seed: u8, uses: u32) -> Step {
        let mut terms = NewToken::default();
        terms.uses = uses;
        terms.tags = vec!["lab=1".parse().expect("a tag")];
        let record = TokenRecord::new(&token(seed), &terms, self.now.wall).expect("good terms");
        let reply = self.reply_to();
        self.tell(Input::CreateToken {
            reply,
            by: "root".to_owned(),
            record: Box::new(record),
            terms,
        })
    }

    pub(crate) fn revoke_token(&mut self, id: &str) -> Step {
        let reply = self.reply_to();
        self.tell(Input::RevokeToken {
            reply,
            by: "root".to_owned(),
            token: id.to_owned(),
        })
    }

    /// Machine `n` joins with its own key and the secret of this token.
    pub(crate) fn join(&mut self, seed: u8, n: u8, name: &str) -> Step {
        let joining = self.joining(seed, n, name);
        self.tell(Input::Enrol(Box::new(joining)))
    }

    pub(crate) fn joining(&mut self, seed: u8, n: u8, name: &str) -> Joining {
        let token = token(seed);
        Joining {
            reply: self.reply_to(),
            address: "192.0.2.9".to_owned(),
            token: token.id().as_str().to_owned(),
            secret: JoinSecret::from_slice(token.secret().expose()).expect("32 bytes"),
            key: key(n),
            name: name.to_owned(),
            facts: WorkerFacts::default(),
            fresh: worker(n.into()),
        }
    }

    /// The job as it was committed last.
    pub(crate) fn job(&self, n: u128) -> JobRecord {
        read(self.record(JOB, &job(n).to_string())).expect("a job")
    }

    /// Why a job waits.
    pub(crate) fn explain(&self, n: u128) -> Explanation {
        let why = self.engine.explain(self.now, job(n));
        why.expect("the engine holds it")
    }

    /// Everything that happened and was committed, in order.
    pub(crate) fn events(&self) -> Vec<Happening> {
        let events = self.records.values().filter(|record| record.kind == EVENT);
        let events = events.flat_map(|record| read_events(record).expect("events"));
        events.map(|kept| kept.event.what).collect()
    }

    /// Whether the store gives the job back at a restart.
    pub(crate) fn is_live(&self, n: u128) -> bool {
        self.record(JOB, &job(n).to_string()).fields.live
    }

    pub(crate) fn jobs(&self) -> Vec<JobRecord> {
        let jobs = self.records.values().filter(|record| record.kind == JOB);
        jobs.map(|record| read(record).expect("a job")).collect()
    }

    /// The worker as it was committed last.
    pub(crate) fn worker(&self, n: u128) -> WorkerRecord {
        read(self.record(WORKER, &worker(n).to_string())).expect("a worker")
    }

    pub(crate) fn is_member(&self, n: u128) -> bool {
        self.worker(n).admin != AdminState::Removed
    }

    pub(crate) fn record(&self, kind: RecordKind, key: &str) -> &Record {
        let record = self.records.get(&(kind, key.to_owned()));
        record.unwrap_or_else(|| panic!("no {kind} {key}"))
    }

    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch
    }
}

/// The places of all events that were committed go from 1 on without a gap. Gives the last.
pub(crate) fn in_order(cluster: &Cluster) -> u64 {
    let records = cluster.records.values();
    let told = records.filter(|record| record.kind == EVENT);
    let told = told.flat_map(|record| read_events(record).expect("events"));
    let places: Vec<u64> = told.map(|kept| kept.event.seq).collect();
    let last = places.len() as u64;
    assert_eq!(places, (1..=last).collect::<Vec<u64>>(), "no gap");
    last
}
