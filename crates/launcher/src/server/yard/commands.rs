//! What the life of an attempt orders.

use super::super::attempt::Attempt;
use super::super::life::{Command, Ending, Event, Main};
use super::{Yard, note};
use crate::journal::Record;
use crate::protocol::{LaunchFailure, Reply, Stage};

impl Yard {
    /// Does it. What follows from it at once is the next event.
    pub(super) fn obey(&mut self, key: u64, command: Command) -> Option<Event> {
        let held = self.held.get_mut(&key)?;
        let attempt = held.id;
        match command {
            Command::SayRunning(Main { pid, start_time }) => {
                note(
                    &mut self.journal,
                    &mut self.log,
                    &Record::Running {
                        attempt,
                        pid,
                        start_time,
                    },
                );
                self.news.push(Reply::Started {
                    attempt,
                    pid,
                    start_time,
                });
                None
            }
            Command::SayExited(Ending { exit, at, .. }) => {
                let record = Record::Exited { attempt, exit, at };
                note(&mut self.journal, &mut self.log, &record);
                self.news.push(Reply::Exited { attempt, exit, at });
                None
            }
            Command::Kill => {
                if let Err(error) = held.kill() {
                    self.log
                        .say(format_args!("{attempt}: not all was killed: {error}"));
                }
                self.look(key)
            }
            Command::Look => self.look(key),
            Command::Conclude {
                main,
                ending,
                held_open,
                unconfirmed,
            } => {
                self.conclude(key, main, ending, held_open, unconfirmed);
                None
            }
            Command::Discard {
                failure,
                unconfirmed,
            } => {
                self.discard(key, failure, unconfirmed);
                None
            }
        }
    }

    fn conclude(
        &mut self,
        key: u64,
        main: Main,
        ending: Ending,
        held_open: bool,
        unconfirmed: bool,
    ) {
        let Some(mut held) = self.remove(key) else {
            return;
        };
        let still_open = held.finish(&self.poller, &mut self.buffer);
        let end = held.end(ending, held_open || still_open, unconfirmed);
        let attempt = held.id;
        let record = Record::Ended {
            attempt,
            end: end.clone(),
        };
        note(&mut self.journal, &mut self.log, &record);
        self.ended.insert(attempt, (main.pid, end.clone()));
        self.news.push(Reply::Ended { attempt, end });
        self.take_back(held, unconfirmed);
    }

    fn discard(&mut self, key: u64, failure: LaunchFailure, unconfirmed: bool) {
        let Some(mut held) = self.remove(key) else {
            return;
        };
        held.finish(&self.poller, &mut self.buffer);
        if matches!(failure.stage, Stage::Resources | Stage::Cage) {
            held.cage.spoil();
        }
        let attempt = held.id;
        if !unconfirmed {
            // Otherwise the journal keeps its cage, for whoever ends what this launcher leaves.
            let record = Record::NotStarted { attempt };
            note(&mut self.journal, &mut self.log, &record);
        }
        self.news.push(Reply::NotStarted {
            attempt,
            failure,
            unconfirmed,
        });
        self.take_back(held, unconfirmed);
    }

    fn remove(&mut self, key: u64) -> Option<Attempt> {
        let held = self.held.remove(&key)?;
        self.keys.remove(&held.id);
        self.children.remove(&held.child());
        self.grown.remove(&key);
        if let Some(deadline) = held.deadline {
            self.deadlines.remove(&(deadline, key));
        }
        Some(held)
    }

    fn take_back(&mut self, held: Attempt, unconfirmed: bool) {
        if unconfirmed {
            self.log.say(format_args!(
                "{}: something of it cannot be killed",
                held.id
            ));
            self.cages.abandon(held.cage);
        } else {
            self.cages.give_back(held.cage);
        }
    }
}
