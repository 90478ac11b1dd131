//! The session with the master: when to connect, when to say something, and when to give up.

use std::time::Duration;

use jobyard_core::{
    ClosingReason, ConnectError, Hello, LinkError, Now, Refusal, RefusalReason, Steady, Verdict,
    Welcome, WorkerMessage, mutated,
};

use super::machine::Agent;
use super::{ExitReason, JournalEntry, Output};

/// How long a try to connect may take, and then the master to welcome the worker: longer than a handshake over a bad
/// line, shorter than a person's patience.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// How long a worker waits after a refusal that waiting alone does not mend: somebody has to do something first.
pub const REFUSED_WAIT: Duration = Duration::from_mins(1);

/// A session that lasted this long was no accident: the next try to connect begins without the waits of earlier ones.
pub const STABLE_AFTER: Duration = Duration::from_secs(10);

/// After a session that was welcomed and cut short, the next wait is at most the first one, doubled so often: 0.8 s with
/// the usual backoff, scattered as each wait is. A master that dies twice is no reason to stay away from the third; and a
/// worker whose sessions never last asks about twice a second at most.
const FAILURES_AFTER_WELCOME: u32 = 3;

/// Where the session stands.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Before the start, or after the end.
    Idle,
    /// Waits for this time, then connects.
    Waiting { until: Steady },
    /// Asked for a session; gives up at this time.
    Connecting { until: Steady },
    /// Has a session and waits for the welcome; gives up at this time.
    Greeting { until: Steady },
    /// Welcomed.
    Open(Open),
}

/// A session that the master has welcomed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    since: Steady,
    heartbeat: Duration,
    lease: Duration,
    /// When the master was heard last.
    heard: Steady,
    /// When the last heartbeat was sent.
    beat: Steady,
}

impl Phase {
    /// The next time at which something about the session is due: a try to connect, the end of one, a heartbeat, or
    /// the end of the master's lease.
    pub(super) fn deadline(&self) -> Option<Steady> {
        match self {
            Self::Idle => None,
            Self::Waiting { until } | Self::Connecting { until } | Self::Greeting { until } => {
                Some(*until)
            }
            Self::Open(open) => Some(open.beat_at().min(open.silent_at())),
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Whether messages of the master count.
    pub(super) const fn listens(&self) -> bool {
        matches!(self, Self::Greeting { .. } | Self::Open(_))
    }

    /// Whether the shell holds a session, or is about to.
    pub(super) const fn is_engaged(&self) -> bool {
        matches!(
            self,
            Self::Connecting { .. } | Self::Greeting { .. } | Self::Open(_)
        )
    }
}

impl Open {
    fn beat_at(&self) -> Steady {
        if mutated("a heartbeat is sent late") {
            return self.beat + self.heartbeat * 10;
        }
        self.beat + self.heartbeat
    }

    fn silent_at(&self) -> Steady {
        if mutated("a silent master is believed") {
            return self.beat + self.lease + self.lease;
        }
        if mutated("one missed heartbeat ends a session") {
            return self.heard + self.heartbeat;
        }
        self.heard + self.lease
    }
}

impl Agent {
    /// Asks for a session, with the whole inventory as it is now.
    pub(super) fn connect(&mut self, now: Now, out: &mut Vec<Output>) {
        let config = &self.config;
        let mut hello = Hello::new(
            config.boot,
            config.agent,
            config.facts.clone(),
            config.tags.clone(),
            config.capacity.clone(),
        );
        hello.protocol = config.protocol.clone();
        hello.exclusive = config.exclusive.clone();
        hello.accepting = self.is_accepting();
        hello.max_epoch = self.max_epoch;
        for (attempt, entry) in &mut self.held {
            if !entry.forgotten && !mutated("a hello lists nothing") {
                entry.told = entry.tells();
                hello.inventory.push(entry.held(*attempt));
            }
        }
        // What this hello does not list needs no other words.
        self.unsaid.clear();
        self.told_accepting = hello.accepting;
        self.condition.begin_session();
        self.lease.on_asked(now);
        self.phase = Phase::Connecting {
            until: now.steady + CONNECT_LIMIT,
        };
        out.push(Output::Connect(Box::new(hello)));
    }

    pub(super) fn on_connected(&mut self, now: Now) {
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.phase = Phase::Greeting {
                until: now.steady + CONNECT_LIMIT,
            };
        }
    }

    pub(super) fn on_connect_failed(
        &mut self,
        now: Now,
        error: ConnectError,
        out: &mut Vec<Output>,
    ) {
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.on_no_session(now, Some(error), out);
        }
    }

    pub(super) fn on_session_lost(&mut self, now: Now, error: LinkError, out: &mut Vec<Output>) {
        if !self.phase.listens() {
            return;
        }
        let error = match error {
            LinkError::Refused(refusal) => Some(ConnectError::Refused(refusal)),
            _ => None,
        };
        if error.is_none() {
            self.forgive_most();
        }
        self.on_no_session(now, error, out);
    }

    /// The welcome: the master's verdicts are carried out, and it hears what it does not know yet.
    pub(super) fn on_welcome(&mut self, now: Now, welcome: Welcome, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Greeting { .. }) {
            return;
        }
        if let Some(refusal) = self.refuse_master(&welcome) {
            let problem = refusal.message.clone();
            out.extend([Output::GaveUp { problem }, Output::Disconnect]);
            return self.on_no_session(now, Some(refusal.into()), out);
        }
        if welcome.epoch > self.max_epoch {
            self.max_epoch = welcome.epoch;
            out.push(Output::Journal(JournalEntry::MaxEpoch(welcome.epoch)));
        }
        self.welcomed = true;
        self.phase = Phase::Open(Open {
            since: now.steady,
            heartbeat: welcome.heartbeat,
            lease: welcome.lease,
            heard: now.steady,
            beat: now.steady,
        });
        self.on_lease(&welcome, out);
        self.condition.set_draining(welcome.draining);
        out.push(Output::Opened {
            worker: welcome.worker,
            name: welcome.name,
            session: welcome.session,
            epoch: welcome.epoch,
        });
        // The master believes what was not listed only once the welcome is answered.
        self.beat(now, out);
        for (attempt, verdict) in welcome.verdicts {
            match verdict {
                Verdict::Stop { cause, grace } => self.on_stop(now, attempt, cause, grace, out),
                Verdict::Forget => self.on_forget(attempt, out),
                _ => {}
            }
        }
        self.catch_up(now, out);
    }

    /// Says what has changed since the hello was made, and lets output flow.
    fn catch_up(&mut self, now: Now, out: &mut Vec<Output>) {
        self.tell_condition(out);
        for attempt in std::mem::take(&mut self.unsaid) {
            self.decline_unjournaled(attempt, out);
        }
        self.decline_unbegun(out);
        self.start_waiting(now, out);
        let attempts: Vec<_> = self.held.keys().copied().collect();
        for attempt in attempts {
            self.tell(attempt, out);
            let entry = self.held.get(&attempt);
            if entry.is_some_and(|entry| !entry.forgotten && entry.owes_output()) {
                out.push(Output::Upload { attempt });
            }
        }
    }

    /// Why this worker does not serve that master.
    fn refuse_master(&self, welcome: &Welcome) -> Option<Refusal> {
        if welcome.epoch < self.max_epoch && !mutated("a master of an older term is served") {
            let message = format!(
                "the master is of term {}, and this worker has served term {}: it runs on older data",
                welcome.epoch, self.max_epoch
            );
            return Some(Refusal::new(RefusalReason::Stale, message));
        }
        let ours = jobyard_core::Protocol::current();
        let speaks = ours.speaks_with(&welcome.protocol) || mutated("a foreign master is served");
        (!speaks).then(|| {
            let message = format!(
                "the master speaks protocol {} and this worker {}: upgrade the older one",
                welcome.protocol.version, ours.version
            );
            Refusal::new(RefusalReason::Incompatible, message)
        })
    }

    /// Something was heard from the master.
    pub(super) fn on_heard(&mut self, now: Now) {
        if let Phase::Open(open) = &mut self.phase {
            open.heard = now.steady;
        }
    }

    pub(super) fn on_closing(&mut self, now: Now, reason: ClosingReason, out: &mut Vec<Output>) {
        out.push(Output::Disconnect);
        if reason == ClosingReason::Restarting && self.phase.is_open() && self.may_hurry(now) {
            self.hurried = true;
            return self.connect(now, out);
        }
        if reason == ClosingReason::Restarting {
            self.forgive_most();
        }
        self.on_no_session(now, None, out);
    }

    /// A master that restarts is asked again at once, but not over and over.
    fn may_hurry(&mut self, now: Now) -> bool {
        self.forgive_failures(now);
        !self.hurried
    }

    /// A session that was stable clears the record of what went wrong before it.
    fn forgive_failures(&mut self, now: Now) {
        if let Phase::Open(open) = &self.phase
            && now.steady.since(open.since) >= STABLE_AFTER
        {
            self.failures = 0;
            self.hurried = false;
        }
    }

    /// A session that was welcomed and then cut off shows that there is a master. One that was replaced does not: the one
    /// that has replaced it may be another machine with the same identity, and the two must not fight.
    fn forgive_most(&mut self) {
        if self.phase.is_open() {
            self.failures = self.failures.min(FAILURES_AFTER_WELCOME);
        }
    }

    /// There is no session, or no longer: decides when to try again, or that there is no use in it.
    fn on_no_session(&mut self, now: Now, error: Option<ConnectError>, out: &mut Vec<Output>) {
        self.forgive_failures(now);
        if let Some(ConnectError::Refused(refusal)) = &error
            && refusal.reason == RefusalReason::Removed
        {
            self.phase = Phase::Idle;
            return self.on_removed(now, out);
        }
        let mut wait = self.config.backoff.delay(self.config.worker, self.failures);
        self.failures = self.failures.saturating_add(1);
        if let Some(error) = error {
            if is_permanent(&error) {
                if !self.welcomed && self.held.is_empty() {
                    self.phase = Phase::Idle;
                    return self.exit(ExitReason::Refused(error), out);
                }
                wait = wait.max(REFUSED_WAIT);
            }
            if let ConnectError::Refused(Refusal {
                retry_after: Some(after),
                ..
            }) = error
            {
                wait = wait.max(after);
            }
        }
        self.phase = Phase::Waiting {
            until: now.steady + wait,
        };
    }

    /// Something about the session may be due.
    pub(super) fn on_session_deadline(&mut self, now: Now, out: &mut Vec<Output>) {
        match self.phase.clone() {
            Phase::Waiting { until } if until <= now.steady => self.connect(now, out),
            Phase::Connecting { until } | Phase::Greeting { until } if until <= now.steady => {
                let problem = "the master did not answer in time".to_owned();
                out.extend([Output::GaveUp { problem }, Output::Disconnect]);
                self.on_no_session(now, None, out);
            }
            Phase::Open(open) if open.silent_at() <= now.steady => {
                let problem = format!("the master said nothing for {:?}", open.lease);
                out.extend([Output::GaveUp { problem }, Output::Disconnect]);
                self.on_no_session(now, None, out);
            }
            Phase::Open(open) if open.beat_at() <= now.steady => self.beat(now, out),
            _ => {}
        }
    }

    /// Says something, if there is somebody to hear it. What is not said now is in the next inventory.
    pub(super) fn say(&self, message: WorkerMessage, out: &mut Vec<Output>) {
        if self.phase.is_open() {
            out.push(Output::Send(message));
        }
    }

    /// Says that it is here. In time, whatever else it has said: only a heartbeat is answered.
    fn beat(&mut self, now: Now, out: &mut Vec<Output>) {
        if let Phase::Open(open) = &mut self.phase {
            open.beat = now.steady;
            self.lease.on_beat(now);
            out.push(Output::Send(WorkerMessage::Heartbeat));
        }
    }

    /// Ends the session, if there is one, for good.
    pub(super) fn leave(&mut self, out: &mut Vec<Output>) {
        if self.phase.is_engaged() {
            out.push(Output::Disconnect);
        }
        self.phase = Phase::Idle;
    }
}

/// Whether somebody has to do something before another try can succeed.
const fn is_permanent(error: &ConnectError) -> bool {
    match error {
        ConnectError::Refused(refusal) => matches!(
            refusal.reason,
            RefusalReason::Unauthenticated
                | RefusalReason::Forbidden
                | RefusalReason::Invalid
                | RefusalReason::Incompatible
        ),
        ConnectError::Untrusted { .. } => true,
        _ => false,
    }
}
