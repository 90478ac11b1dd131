//! Waiting for everything at once.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use jobyard_core::Steady;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// How many events are taken at once: a round is short then, and deadlines are looked at between two.
const EVENTS_AT_ONCE: usize = 64;

/// Where something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Somebody wants to connect.
    Listener,
    /// The agent said something, or can be told more.
    Connection,
    /// A child is dead, or the launcher itself is asked to end.
    Signals,
    /// Starts are over.
    Starters,
    /// A deadline has come while the machine slept.
    Alarm,
    /// Something of one attempt, by its key.
    Attempt(u64, Part),
}

/// What of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Standard output, or both.
    Stdout,
    /// Standard error.
    Stderr,
    /// What is heard of the child.
    Report,
    /// The cage is perhaps empty.
    Emptied,
    /// Memory is at its end.
    OutOfMemory,
    /// A process that was killed is dead.
    Killed,
}

const PARTS: [Part; 6] = [
    Part::Stdout,
    Part::Stderr,
    Part::Report,
    Part::Emptied,
    Part::OutOfMemory,
    Part::Killed,
];

impl Source {
    /// As the kernel keeps it. Keys are counted from one.
    fn to_token(self) -> u64 {
        match self {
            Self::Listener => 0,
            Self::Connection => 1,
            Self::Signals => 2,
            Self::Starters => 3,
            Self::Alarm => 4,
            Self::Attempt(key, part) => (key << 3) | part as u64,
        }
    }

    fn from_token(token: u64) -> Option<Self> {
        match token {
            0 => Some(Self::Listener),
            1 => Some(Self::Connection),
            2 => Some(Self::Signals),
            3 => Some(Self::Starters),
            4 => Some(Self::Alarm),
            token => {
                let part = PARTS.get(usize::try_from(token & 7).ok()?)?;
                Some(Self::Attempt(token >> 3, *part))
            }
        }
    }
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// There is something to read, for as long as it was not read.
    Read,
    /// There is room to write.
    Write,
    /// Either.
    Both,
    /// There is something new to read, once: whoever hears it reads all of it.
    News,
    /// Something exceptional, once each time.
    Urgent,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
            Self::Both => EventFlags::IN | EventFlags::OUT,
            Self::News => EventFlags::IN | EventFlags::ET,
            Self::Urgent => EventFlags::PRI | EventFlags::ET,
        }
    }
}

/// An epoll.
///
/// A descriptor has to be taken out before it is closed: a child that is being forked just then holds a copy for a
/// moment, with which it would stay in.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    /// What counts while the machine sleeps, as waiting does not.
    alarm: OwnedFd,
    /// When it is set to.
    set_to: Cell<Option<Steady>>,
}

impl Poller {
    /// One that waits for nothing.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let poller = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            alarm: timerfd_create(TimerfdClockId::Boottime, flags)?,
            set_to: Cell::new(None),
        };
        poller.add(&poller.alarm, Source::Alarm, Interest::News)?;
        Ok(poller)
    }

    /// Something happens at this time, also if the machine sleeps until then.
    pub(super) fn wake_at(&self, deadline: Option<Steady>) {
        if self.set_to.replace(deadline) == deadline {
            return;
        }
        // Zero would be no time at all.
        let micros = deadline.map_or(0, |at| at.as_micros().max(1));
        let it_value = Timespec {
            tv_sec: i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(micros % 1_000_000).unwrap_or_default() * 1000,
        };
        let it_interval = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let value = Itimerspec {
            it_interval,
            it_value,
        };
        // Without it, deadlines are late by as long as the machine sleeps.
        let _ = timerfd_settime(&self.alarm, TimerfdTimerFlags::ABSTIME, &value);
    }

    /// Also waits for this.
    pub(super) fn add(&self, fd: impl AsFd, source: Source, interest: Interest) -> io::Result<()> {
        let data = EventData::new_u64(source.to_token());
        Ok(epoll::add(&self.epoll, fd, data, interest.flags())?)
    }

    /// Waits for something else of the same descriptor.
    pub(super) fn change(&self, fd: impl AsFd, source: Source, interest: Interest) {
        let data = EventData::new_u64(source.to_token());
        // It fails only for a descriptor that was never added.
        let _ = epoll::modify(&self.epoll, fd, data, interest.flags());
    }

    /// Waits for this no more. It may not have been added.
    pub(super) fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something happens, or this time is over; appends where.
    pub(super) fn wait(
        &self,
        timeout: Option<Duration>,
        happened: &mut Vec<Source>,
    ) -> io::Result<()> {
        let timeout = timeout.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        let mut events = Vec::with_capacity(EVENTS_AT_ONCE);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events {
            let data = event.data;
            happened.extend(Source::from_token(data.u64()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_comes_back_from_the_kernel_as_it_was() {
        let mut sources = vec![
            Source::Listener,
            Source::Connection,
            Source::Signals,
            Source::Starters,
            Source::Alarm,
        ];
        for part in PARTS {
            sources.push(Source::Attempt(1, part));
            sources.push(Source::Attempt(1 << 40, part));
        }
        for source in sources {
            assert_eq!(Source::from_token(source.to_token()), Some(source));
        }
    }
}
