//! The simulated network: connections that delay, stall and break.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    AttemptId, Hello, LinkError, LogEnd, MasterMessage, Steady, UploadAnswer, WorkerMessage,
};

use crate::agenda::Event;
use crate::env::Env;
use crate::fault::Fault;

/// One connection. Numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId(u64);

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Worker,
    Master,
}

/// What travels. Within a direction of a connection: at most once, and in order.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    /// A session is asked for. First frame of a control connection.
    Hello(Box<Hello>),
    /// The master's end of the session exists.
    Accepted,
    Said(WorkerMessage),
    Told(Box<MasterMessage>),
    /// The way for the output of an attempt is asked for. First frame of an upload connection.
    Offer,
    /// Output from this offset on.
    Bytes {
        from: u64,
        bytes: Bytes,
    },
    End(LogEnd),
    Answer(UploadAnswer),
    /// This side is done with the connection.
    Closed(LinkError),
}

impl Frame {
    /// In words, for the trace.
    pub(crate) const fn describe(&self, to: Side) -> &'static str {
        match (self, to) {
            (Self::Hello(_), _) => "hello arrives",
            (Self::Accepted, _) => "session accepted",
            (Self::Said(_), _) => "master hears",
            (Self::Told(_), _) => "worker hears",
            (Self::Offer, _) => "upload offered",
            (Self::Bytes { .. }, _) => "bytes arrive",
            (Self::End(_), _) => "end of output arrives",
            (Self::Answer(_), _) => "upload answered",
            (Self::Closed(_), Side::Worker) => "worker sees link closed",
            (Self::Closed(_), Side::Master) => "master sees link closed",
        }
    }
}

/// Whose connection it is, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    /// Which worker's.
    pub(crate) worker: usize,
    /// For the output of this attempt; `None`: control.
    pub(crate) upload: Option<AttemptId>,
}

#[derive(Debug)]
struct Link {
    purpose: Purpose,
    to_worker: Direction,
    to_master: Direction,
    worker_open: bool,
    master_open: bool,
}

#[derive(Debug, Default)]
struct Direction {
    under_way: VecDeque<Frame>,
    /// When the last frame arrives.
    last: Steady,
    /// Nothing arrives any more.
    broken: bool,
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Network {
    links: BTreeMap<LinkId, Link>,
    next: u64,
    /// Until when nothing passes to and from each worker.
    stalls: Vec<Stall>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stall {
    to_worker: Steady,
    to_master: Steady,
    /// What is sent in that direction is lost.
    lost_to_worker: Span,
    lost_to_master: Span,
}

/// From a time until another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) from: Steady,
    pub(crate) until: Steady,
}

impl Network {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            links: BTreeMap::new(),
            next: 0,
            stalls: vec![Stall::default(); workers],
        }
    }

    pub(crate) fn purpose(&self, link: LinkId) -> Option<Purpose> {
        self.links.get(&link).map(|link| link.purpose)
    }

    /// The connections that somebody still uses, control or upload.
    pub(crate) fn live(&self, uploads: bool) -> Vec<LinkId> {
        let wanted = |link: &Link| {
            link.purpose.upload.is_some() == uploads && link.worker_open && link.master_open
        };
        self.links
            .iter()
            .filter(|(_, link)| wanted(link))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The connections that one side has open, of one worker or of all.
    pub(crate) fn ends(&self, side: Side, worker: Option<usize>) -> Vec<LinkId> {
        self.links
            .iter()
            .filter(|(_, link)| link.is_open(side))
            .filter(|(_, link)| worker.is_none_or(|worker| worker == link.purpose.worker))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Nothing passes until then.
    pub(crate) fn stall(&mut self, worker: usize, side: Side, until: Steady) {
        if let Some(stall) = self.stalls.get_mut(worker) {
            match side {
                Side::Worker => stall.to_worker = stall.to_worker.max(until),
                Side::Master => stall.to_master = stall.to_master.max(until),
            }
        }
    }

    /// Everything that is sent then is lost.
    pub(crate) fn lose(&mut self, worker: usize, side: Side, when: Span) {
        if let Some(stall) = self.stalls.get_mut(worker) {
            match side {
                Side::Worker => stall.lost_to_worker = when,
                Side::Master => stall.lost_to_master = when,
            }
        }
    }

    fn is_lost(&self, worker: usize, to: Side, now: Steady) -> bool {
        let stall = self.stalls.get(worker).copied().unwrap_or_default();
        let Span { from, until } = match to {
            Side::Worker => stall.lost_to_worker,
            Side::Master => stall.lost_to_master,
        };
        from <= now && now < until
    }

    /// What is sent on a connection from now on arrives no earlier than then.
    pub(crate) fn hold(&mut self, link: LinkId, until: Steady) {
        if let Some(link) = self.links.get_mut(&link) {
            link.to_master.last = until;
            link.to_worker.last = until;
        }
    }

    /// What a worker has said on a connection that has not arrived yet.
    pub(crate) fn take_said(&mut self, link: LinkId) -> Vec<WorkerMessage> {
        let link = self.links.get_mut(&link);
        let frames = link.map(|link| std::mem::take(&mut link.to_master.under_way));
        let frames = frames.into_iter().flatten();
        frames
            .filter_map(|frame| match frame {
                Frame::Said(message) => Some(message),
                _ => None,
            })
            .collect()
    }

    /// Everything passes again.
    pub(crate) fn heal(&mut self) {
        self.stalls.fill(Stall::default());
    }

    /// Whether something is under way from or to a worker that is held up now.
    pub(crate) fn is_stalled(&self, worker: usize, now: Steady) -> bool {
        self.stalls
            .get(worker)
            .is_some_and(|stall| stall.to_worker.max(stall.to_master) > now)
            || self.is_lost(worker, Side::Worker, now)
            || self.is_lost(worker, Side::Master, now)
    }

    fn stalled_until(&self, worker: usize, to: Side) -> Steady {
        let stall = self.stalls.get(worker).copied().unwrap_or_default();
        match to {
            Side::Worker => stall.to_worker,
            Side::Master => stall.to_master,
        }
    }
}

impl Link {
    const fn is_open(&self, side: Side) -> bool {
        match side {
            Side::Worker => self.worker_open,
            Side::Master => self.master_open,
        }
    }

    const fn shut(&mut self, side: Side) {
        match side {
            Side::Worker => self.worker_open = false,
            Side::Master => self.master_open = false,
        }
    }

    const fn towards(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::Worker => &mut self.to_worker,
            Side::Master => &mut self.to_master,
        }
    }
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Worker => Self::Master,
            Self::Master => Self::Worker,
        }
    }
}

impl Env {
    /// A connection whose first frame is about to be sent.
    pub(crate) fn open_link(&mut self, purpose: Purpose) -> LinkId {
        self.network.next += 1;
        let id = LinkId(self.network.next);
        let link = Link {
            purpose,
            to_worker: Direction::default(),
            to_master: Direction::default(),
            worker_open: true,
            master_open: true,
        };
        self.network.links.insert(id, link);
        id
    }

    pub(crate) fn send(&mut self, link: LinkId, to: Side, frame: Frame) {
        // Now and then a packet is lost and sent again.
        let is_late = self.scenario.late_hellos && matches!(frame, Frame::Hello(_));
        let delay = if is_late && self.rng.chance(self.scenario.late_hellos_per_mille) {
            self.rng.millis(200, 4_000)
        } else if self.rng.chance(20) {
            self.rng.millis(5, 200)
        } else {
            self.rng.millis(0, 3)
        };
        self.send_after(link, to, frame, delay);
    }

    /// Sends what takes so long.
    pub(crate) fn send_after(&mut self, link: LinkId, to: Side, frame: Frame, delay: Duration) {
        let Some(found) = self.network.links.get(&link) else {
            return;
        };
        let Purpose { worker, upload } = found.purpose;
        let is_lost = self.network.is_lost(worker, to, self.now);
        let notices = is_lost && upload.is_some();
        let Some(found) = self.network.links.get_mut(&link) else {
            return;
        };
        let direction = found.towards(to);
        // Of a stream that has lost something nothing more can be read.
        direction.broken |= is_lost;
        if notices {
            // An upload that hangs is noticed by its own keepalive.
            let delay = self.rng.millis(500, 5_000);
            for side in [Side::Worker, Side::Master] {
                self.after(delay, Event::LinkLost { link, side });
            }
            return;
        }
        if direction.broken {
            return;
        }
        direction.last = direction.last.max(self.now + delay);
        direction.under_way.push_back(frame);
        let at = direction.last;
        self.agenda.set(at, Event::Deliver { link, to });
    }

    /// The frame that arrives now, if it does and if somebody is there to take it.
    pub(crate) fn receive(&mut self, link: LinkId, to: Side) -> Option<Frame> {
        let worker = self.network.purpose(link)?.worker;
        let stalled = self.network.stalled_until(worker, to);
        if stalled > self.now {
            self.agenda.set(stalled, Event::Deliver { link, to });
            return None;
        }
        let found = self.network.links.get_mut(&link)?;
        let frame = found.towards(to).under_way.pop_front()?;
        let taken = found.is_open(to);
        if let Frame::Closed(_) = frame {
            self.shut(link, to);
        }
        taken.then_some(frame)
    }

    /// Closes one side, and tells the other after what was sent before.
    pub(crate) fn close(&mut self, link: LinkId, by: Side, error: LinkError) {
        let open = self.network.links.get(&link);
        if open.is_some_and(|open| open.is_open(by)) {
            self.send(link, by.other(), Frame::Closed(error));
            self.shut(link, by);
        }
    }

    /// The worker gives up a connection on which nothing was answered: what it has sent there does not arrive any more.
    pub(crate) fn abort(&mut self, link: LinkId) {
        if !self.scenario.late_hellos
            && let Some(found) = self.network.links.get_mut(&link)
        {
            found.to_master.under_way.clear();
        }
        self.close(link, Side::Worker, lost());
    }

    /// One side is gone, and nobody is told.
    pub(crate) fn shut(&mut self, link: LinkId, side: Side) {
        if let Some(found) = self.network.links.get_mut(&link) {
            found.shut(side);
            if !found.worker_open && !found.master_open {
                self.network.links.remove(&link);
            }
        }
    }

    /// Breaks a connection. What was under way is lost; a side may or may not notice.
    pub(crate) fn cut(&mut self, link: LinkId) {
        let Some(found) = self.network.links.get_mut(&link) else {
            return;
        };
        let (is_upload, worker) = (found.purpose.upload.is_some(), found.purpose.worker);
        let mut lost = 0;
        for side in [Side::Worker, Side::Master] {
            let direction = found.towards(side);
            lost += direction.under_way.len();
            direction.under_way.clear();
            direction.broken = true;
        }
        if lost > 0 {
            self.fault(Fault::MessageLost);
        }
        let mut noticed = 0;
        for side in [Side::Worker, Side::Master] {
            // An upload that hangs is noticed by its own keepalive.
            if is_upload || self.rng.chance(700) {
                noticed += 1;
                let delay = self.rng.millis(0, 500);
                self.after(delay, Event::LinkLost { link, side });
            }
        }
        self.fault(match (is_upload, noticed) {
            (true, _) => Fault::UploadCut,
            (false, 2) => Fault::SessionCut,
            (false, _) => Fault::SessionHalfOpen,
        });
        self.note("cut", Some(worker), None);
    }

    /// A side notices a broken connection. Says whether it still had it.
    pub(crate) fn notice(&mut self, link: LinkId, side: Side) -> bool {
        let open = self.network.links.get(&link);
        let had = open.is_some_and(|open| open.is_open(side));
        self.shut(link, side);
        had
    }
}

/// A connection that broke.
pub(crate) fn lost() -> LinkError {
    LinkError::Lost {
        problem: "connection reset".to_owned(),
    }
}
