//! For how long attempts that must not outlive the master's promise may run.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use jobyard_core::{AttemptId, Now, OnDisconnect, Steady, StopCause, ValidSpec, Welcome, mutated};

use super::entry::{Entry, Stage};
use super::machine::Agent;
use super::{JournalEntry, Output};

/// How long an attempt may take at most to end once its lease is about to: the rest of the margin is for the kill, and
/// for clocks that do not go alike.
pub const MAX_FENCE_GRACE: Duration = Duration::from_secs(10);

/// How many heartbeats that wait for their answers are told apart. A session in which more are unanswered is about to
/// be given up; those beyond count as sent with the last of these, which is too early and never too late.
const MAX_TOLD_APART: usize = 64;

/// What the worker has been promised, and which attempts hang on it.
///
/// The master counts the lease from when it heard something; this worker from when it said it, which was earlier. The
/// master answers each heartbeat of a session once, in their order; its welcome answers the hello.
#[derive(Clone, Debug, Default)]
pub(super) struct Lease {
    /// `None`: there never was a promise.
    trust: Option<Trust>,
    /// As it stands in the journal.
    written: Option<Trust>,
    /// How long a promise is, and how long before its end attempts are stopped, as the master of the present session said.
    terms: (Duration, Duration),
    /// When the present session was asked for.
    asked: Steady,
    unanswered: Unanswered,
    /// Attempts that are to end with the lease, and were not told to yet.
    bound: BTreeSet<AttemptId>,
    /// Those of them that the executor looks for. To stop one before it is found would hide how it has ended meanwhile;
    /// until then its executor ends it.
    sought: BTreeSet<AttemptId>,
}

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trust {
    /// When attempts are told to stop.
    pub(super) stop_at: Steady,
    /// When it is over.
    pub(super) until: Steady,
}

/// Heartbeats without an answer, oldest first: when they were sent, and how many at that time.
#[derive(Clone, Debug, Default)]
struct Unanswered(VecDeque<(Steady, u64)>);

impl Unanswered {
    fn sent(&mut self, at: Steady) {
        let is_full = self.0.len() >= MAX_TOLD_APART;
        match self.0.back_mut() {
            Some((_, count)) if is_full => *count += 1,
            _ => self.0.push_back((at, 1)),
        }
    }

    /// When the heartbeat was sent that is answered now.
    fn answered(&mut self) -> Option<Steady> {
        let (at, count) = self.0.front_mut()?;
        let at = *at;
        *count -= 1;
        if *count == 0 {
            self.0.pop_front();
        }
        Some(at)
    }
}

impl Lease {
    /// As an earlier life of this boot wrote it down.
    pub(super) fn recovered(trust: Option<Trust>) -> Self {
        Self {
            trust,
            written: trust,
            ..Self::default()
        }
    }

    /// A session is asked for, with a hello.
    pub(super) fn on_asked(&mut self, now: Now) {
        self.asked = now.steady;
        self.unanswered = Unanswered::default();
    }

    /// A heartbeat is sent.
    pub(super) fn on_beat(&mut self, now: Now) {
        if mutated("a lease counts without an answer") {
            self.count_from(now.steady);
        }
        self.unanswered.sent(now.steady);
    }

    /// This attempt ends with the lease, if its spec says so.
    pub(super) fn bind(&mut self, attempt: AttemptId, spec: &ValidSpec) {
        if spec.on_disconnect == OnDisconnect::Stop {
            self.bound.insert(attempt);
        }
    }

    /// As [`bind`](Self::bind), of an attempt that its executor looks for.
    pub(super) fn bind_sought(&mut self, attempt: AttemptId, spec: &ValidSpec) {
        self.bind(attempt, spec);
        if self.bound.contains(&attempt) {
            self.sought.insert(attempt);
        }
    }

    /// Its executor has found it.
    pub(super) fn on_found(&mut self, attempt: AttemptId) {
        self.sought.remove(&attempt);
    }

    /// It is over, or nothing is to become of it.
    pub(super) fn release(&mut self, attempt: AttemptId) {
        self.bound.remove(&attempt);
        self.sought.remove(&attempt);
    }

    /// When attempts are to be stopped, if there are any.
    pub(super) fn deadline(&self) -> Option<Steady> {
        let has_any = self.bound.len() > self.sought.len();
        (has_any && !mutated("an attempt outlives its lease")).then(|| self.stop_at())
    }

    /// Without a promise, attempts that hang on one have none.
    fn stop_at(&self) -> Steady {
        self.trust.map_or(Steady::default(), |trust| trust.stop_at)
    }

    /// What is to be written down of it, if anything hangs on it and it was not written yet.
    fn unwritten(&mut self) -> Option<Trust> {
        let trust = self.trust.filter(|_| !self.bound.is_empty())?;
        (self.written.replace(trust) != Some(trust)).then_some(trust)
    }

    /// Counts the lease from this time on, if that is news.
    fn count_from(&mut self, anchor: Steady) -> bool {
        let (lease, margin) = self.terms;
        let until = anchor + lease;
        if self.trust.is_some_and(|trust| trust.until >= until) {
            return false;
        }
        let stop_at = anchor + lease.saturating_sub(margin);
        self.trust = Some(Trust { stop_at, until });
        true
    }
}

impl Agent {
    /// Until when this attempt may run; `None`: for as long as it likes. It is moved by [`Output::Extend`].
    pub fn runs_until(&self, attempt: AttemptId) -> Option<Steady> {
        let is_bound =
            self.lease.bound.contains(&attempt) && !mutated("a launcher lets jobs run for ever");
        is_bound.then(|| {
            self.lease
                .trust
                .map_or(Steady::default(), |trust| trust.until)
        })
    }

    /// Until when what is not yet started may be started, whether or not it hangs on the lease: then the master may say that
    /// nothing more starts here. Later, only the next promise allows it.
    pub fn may_start_until(&self) -> Steady {
        if mutated("an attempt starts after the promise is over") {
            return Steady::from_micros(u64::MAX);
        }
        self.lease.stop_at()
    }

    /// The welcome answers the hello.
    pub(super) fn on_lease(&mut self, welcome: &Welcome, out: &mut Vec<Output>) {
        // A master that asks for more than there is would have everything stopped at once.
        let margin = welcome.margin.min(welcome.lease / 2);
        self.lease.terms = (welcome.lease, margin);
        self.extend(self.lease.asked, out);
    }

    /// The master has answered a heartbeat.
    pub(super) fn on_beat_answered(&mut self, now: Now, out: &mut Vec<Output>) {
        if let Some(mut sent) = self.lease.unanswered.answered() {
            if mutated("a lease counts from its answer") {
                sent = now.steady;
            }
            self.extend(sent, out);
            self.start_waiting(now, out);
        }
    }

    fn extend(&mut self, anchor: Steady, out: &mut Vec<Output>) {
        if !self.lease.count_from(anchor) {
            return;
        }
        self.journal_lease(out);
        for attempt in &self.lease.bound {
            if let Some(until) = self.runs_until(*attempt)
                && self.held.get(attempt).is_some_and(Entry::may_run)
            {
                out.push(Output::Extend {
                    attempt: *attempt,
                    until,
                });
            }
        }
    }

    /// For the next life: what it finds may run so long, and no longer.
    pub(super) fn journal_lease(&mut self, out: &mut Vec<Output>) {
        if let Some(Trust { stop_at, until }) = self.lease.unwritten() {
            out.push(Output::Journal(JournalEntry::Lease {
                boot: self.config.boot,
                stop_at,
                until,
            }));
        }
    }

    /// Stops what hangs on the lease, if that is about to end. Done before anything else that may have happened
    /// meanwhile: whoever was held up for too long believes nobody.
    pub(super) fn fence(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.lease.deadline().is_none_or(|due| due > now.steady) {
            return;
        }
        let until = self.lease.trust.map_or(now.steady, |trust| trust.until);
        let longest = MAX_FENCE_GRACE.min(until.since(now.steady));
        let sought = &self.lease.sought;
        let due: Vec<_> = self.lease.bound.difference(sought).copied().collect();
        for attempt in due {
            self.lease.release(attempt);
            let grace = match self.held.get(&attempt).map(|entry| &entry.stage) {
                Some(Stage::Starting { grace } | Stage::Running { grace, .. }) => *grace,
                _ => Duration::ZERO,
            };
            self.on_stop(
                now,
                attempt,
                StopCause::LeaseExpired,
                grace.min(longest),
                out,
            );
        }
    }
}

#[cfg(test)]
impl Agent {
    /// When the lease is over, whatever hangs on it.
    pub(super) fn lease_until(&self) -> Option<Steady> {
        self.lease.trust.map(|trust| trust.until)
    }
}
