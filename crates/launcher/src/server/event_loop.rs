//! The loop.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use jobyard_core::Steady;

use super::clock;
use super::connection::{Closed, Connection, Greeting};
use super::listener::{Listener, Visitor};
use super::log::Log;
use super::poller::{Interest, Poller, Source};
use super::yard::Yard;
use crate::cage::Cages;
use crate::journal::Journal;
use crate::protocol::{KnownState, PROTOCOL_VERSION, Reply, Request, Welcome};
use crate::sys::Signals;

/// What an event loop is made of.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Where agents connect.
    pub(crate) listener: Listener,
    /// What it hears of its children.
    pub(crate) signals: Signals,
    /// What it holds jobs in.
    pub(crate) cages: Cages,
    /// What it writes down.
    pub(crate) journal: Journal,
    /// What it says to people.
    pub(crate) log: Log,
    /// How many descriptors it may have.
    pub(crate) descriptors: u64,
    /// How long it lives without an agent and without attempts that run.
    pub(crate) idle: Duration,
}

/// A launcher: the loop around its [`Yard`].
#[derive(Debug)]
pub(crate) struct EventLoop {
    yard: Yard,
    listener: Listener,
    signals: Signals,
    connection: Option<Connection>,
    idle: Duration,
    /// Since when no agent is there.
    alone_since: Steady,
}

impl EventLoop {
    /// A launcher that holds nothing yet.
    pub(crate) fn new(setup: Setup) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&setup.listener, Source::Listener, Interest::Read)?;
        poller.add(&setup.signals, Source::Signals, Interest::Read)?;
        let yard = Yard::new(
            poller,
            setup.cages,
            setup.journal,
            setup.log,
            setup.descriptors,
        )?;
        Ok(Self {
            yard,
            listener: setup.listener,
            signals: setup.signals,
            connection: None,
            idle: setup.idle,
            alone_since: clock::steady(),
        })
    }

    /// Serves until nothing is left to do.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut happened = Vec::new();
        while !self.is_done() {
            let deadline = self.deadline();
            self.yard.poller.wake_at(deadline);
            let patience = deadline.map(|deadline| deadline.since(clock::steady()));
            self.yard.poller.wait(patience, &mut happened)?;
            for source in happened.drain(..) {
                self.on_source(source);
            }
            self.yard.on_time();
            self.tell();
        }
        self.yard.poller.remove(self.listener.as_fd());
        self.listener.close();
        self.yard.close();
        Ok(())
    }

    /// It lives for its attempts and for its agent. One that has retired lives for its attempts alone, until they are
    /// forgotten or can be read in the journal.
    fn is_done(&self) -> bool {
        let has_retired = !self.yard.is_accepting;
        if has_retired && self.yard.is_void() {
            return true;
        }
        self.yard.is_quiet()
            && self.connection.is_none()
            && (has_retired || clock::steady() >= self.alone_since + self.idle)
    }

    fn deadline(&self) -> Option<Steady> {
        let alone = (self.connection.is_none() && self.yard.is_quiet())
            .then(|| self.alone_since + self.idle);
        let stuck = self.connection.as_ref().and_then(Connection::deadline);
        [alone, stuck, self.yard.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn on_source(&mut self, source: Source) {
        match source {
            Source::Listener => self.on_visitor(),
            Source::Connection => self.on_agent(),
            Source::Signals => {
                let is_asked = self.signals.take();
                self.yard.on_deaths();
                if is_asked {
                    self.retire("by a signal");
                }
            }
            Source::Starters => self.yard.on_starters(),
            // Deadlines are looked at in each round.
            Source::Alarm => {}
            Source::Attempt(key, part) => self.yard.on_part(key, part),
        }
    }

    fn on_visitor(&mut self) {
        match self.listener.accept() {
            Ok(Some(Visitor::Agent(socket))) => {
                // What was read of the one before it is done first. The rest is lost with it: whoever comes says again
                // what still matters.
                self.on_agent();
                self.part("another one has come");
                let connection = Connection::new(socket);
                let poller = &self.yard.poller;
                match poller.add(&connection, Source::Connection, Interest::Read) {
                    Ok(()) => self.connection = Some(connection),
                    Err(error) => self
                        .yard
                        .log
                        .say(format_args!("an agent was not heard: {error}")),
                }
            }
            Ok(Some(Visitor::Stranger(problem))) => self
                .yard
                .log
                .say(format_args!("somebody was refused: {problem}")),
            Ok(None) => {}
            Err(error) => self
                .yard
                .log
                .say(format_args!("nobody could be let in: {error}")),
        }
    }

    fn on_agent(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let received = connection.receive();
        let heard = self.hear();
        if let Err(closed) = heard.and(received) {
            self.part(&closed.to_string());
        }
    }

    /// Does all that was asked for, as long as there is room for answers.
    fn hear(&mut self) -> Result<(), Closed> {
        while let Some(connection) = &mut self.connection {
            let Some(request) = connection.next_request()? else {
                break;
            };
            let greeting = connection.greeting();
            self.on_request(greeting, request)?;
        }
        Ok(())
    }

    fn on_request(&mut self, greeting: Greeting, request: Request) -> Result<(), Closed> {
        match (greeting, request) {
            (Greeting::Awaited, Request::Hello { version }) => {
                self.welcome(version);
                Ok(())
            }
            (Greeting::Awaited, _) => Err(Closed::Malformed("no hello")),
            (_, Request::Hello { .. }) => Err(Closed::Malformed("a second hello")),
            (_, Request::Retire) => {
                self.retire("by its agent");
                Ok(())
            }
            (Greeting::Foreign, _) => Err(Closed::Malformed("a request of another version")),
            (Greeting::Understood, request) => {
                self.obey(request);
                Ok(())
            }
        }
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Start(launch) => {
                let attempt = launch.attempt;
                if let Err(failure) = self.yard.start(launch) {
                    self.say(&Reply::NotStarted {
                        attempt,
                        failure,
                        unconfirmed: false,
                    });
                }
            }
            Request::Signal { attempt, signal } => self.yard.signal(attempt, signal),
            Request::Kill { attempt } => self.yard.kill(attempt),
            Request::Extend { attempt, until } => self.yard.extend(attempt, until),
            Request::Forget { attempt } => self.yard.forget(attempt),
            Request::Hello { .. } | Request::Retire => {}
        }
    }

    fn welcome(&mut self, version: u32) {
        // What has happened so far is in the welcome.
        self.yard.write_down();
        self.yard.take_news();
        self.yard.take_progress();
        let facts = self.yard.cages.facts().clone();
        let build = env!("CARGO_PKG_VERSION");
        let mut welcome = Welcome::new(PROTOCOL_VERSION, build, std::process::id(), facts);
        welcome.accepting = self.yard.is_accepting;
        welcome.attempts = self.yard.known();
        let Some(connection) = &mut self.connection else {
            return;
        };
        connection.greet(if version == PROTOCOL_VERSION {
            Greeting::Understood
        } else {
            Greeting::Foreign
        });
        if connection
            .send(&Reply::Welcome(Box::new(welcome.clone())))
            .is_ok()
        {
            return;
        }
        // Too long, for all the processes that were killed.
        for known in &mut welcome.attempts {
            if let KnownState::Ended { end, .. } = &mut known.state {
                end.residue.processes.clear();
            }
        }
        self.say(&Reply::Welcome(Box::new(welcome)));
    }

    fn retire(&mut self, who: &str) {
        self.yard.is_accepting = false;
        self.yard.log.say(format_args!("retired {who}"));
    }

    /// Tells the agent all that is new.
    fn tell(&mut self) {
        loop {
            self.yard.write_down();
            let mut news = self.yard.take_news();
            for reply in news.drain(..) {
                if self.is_understood() {
                    self.say(&reply);
                }
            }
            self.yard.keep_room(news);
            // How far output is can wait until the agent has read the rest.
            let is_full = self.connection.as_ref().is_some_and(Connection::is_full);
            if self.is_understood() && !is_full {
                for reply in self.yard.take_progress() {
                    self.say(&reply);
                }
            }
            self.flush();
            let is_still_full = self.connection.as_ref().is_some_and(Connection::is_full);
            if !is_full || is_still_full {
                break;
            }
            // There is room again for what had to wait: to be told, and to be heard.
            if let Err(closed) = self.hear() {
                self.part(&closed.to_string());
            }
        }
        self.wait_for_agent();
    }

    fn is_understood(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.greeting() == Greeting::Understood)
    }

    fn say(&mut self, reply: &Reply) {
        if let Some(connection) = &mut self.connection
            && let Err(error) = connection.send(reply)
        {
            self.yard
                .log
                .say(format_args!("something could not be said: {error}"));
        }
    }

    fn flush(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if let Err(closed) = connection.flush(clock::steady()) {
            self.part(&closed.to_string());
        }
    }

    fn wait_for_agent(&mut self) {
        if let Some(connection) = &mut self.connection
            && let Some(interest) = connection.changed_interest()
        {
            let poller = &self.yard.poller;
            poller.change(&*connection, Source::Connection, interest);
        }
    }

    fn part(&mut self, why: &str) {
        if let Some(connection) = self.connection.take() {
            self.yard.poller.remove(&connection);
            self.alone_since = clock::steady();
            self.yard.log.say(format_args!("an agent is gone: {why}"));
        }
        self.listener.restock();
    }
}
