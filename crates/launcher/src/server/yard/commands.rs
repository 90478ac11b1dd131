//! What the life of an attempt orders.

use super::super::attempt::Attempt;
use super::super::life::{Command, Ending, Event, Main};
use super::super::order::Order;
use super::super::starters::Starters;
use super::exited::Exited;
use super::{Yard, note};
use crate::journal::Record;
use crate::protocol::{LaunchFailure, Reply, Stage};

impl Yard {
    /// Does it. What follows from it at once are the next events.
    pub(super) fn obey(&mut self, key: u64, command: Command) -> [Option<Event>; 2] {
        let Some(held) = self.held.get_mut(&key) else {
            return [None, None];
        };
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
                if let Err(error) = held.signal_owed() {
                    self.log.say(format_args!(
                        "{attempt}: a signal was not delivered: {error}"
                    ));
                }
            }
            Command::NoteExpired => {
                let record = Record::Expired { attempt };
                note(&mut self.journal, &mut self.log, &record);
                self.log.say(format_args!(
                    "{attempt}: its time is over, and nobody has moved it on"
                ));
            }
            Command::SayExited(Ending { exit, at, .. }) => {
                self.exits.push(Exited { attempt, exit, at });
            }
            Command::Kill
                if held.is_awaited() && withdrawn(&self.starters, &mut self.orders, key) =>
            {
                held.has_no_child();
                let failure = LaunchFailure::new(Stage::Resources, 0, KILLED);
                return [Some(Event::Failed(failure)), Some(Event::Empty)];
            }
            Command::Kill => {
                if let Err(error) = held.kill() {
                    self.log
                        .say(format_args!("{attempt}: not all was killed: {error}"));
                }
                return [self.look(key), None];
            }
            Command::Look => return [self.look(key), None],
            Command::Conclude {
                main,
                ending,
                held_open,
                unconfirmed,
            } => {
                self.conclude(key, main, ending, held_open, unconfirmed);
            }
            Command::Discard {
                failure,
                unconfirmed,
            } => {
                self.discard(key, failure, unconfirmed);
            }
        }
        [None, None]
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
        self.settle_exit(attempt, &end);
        let record = Record::Ended {
            attempt,
            end: end.clone(),
        };
        note(&mut self.journal, &mut self.log, &record);
        self.ended
            .insert(attempt, (main.pid, Box::new(end.clone())));
        self.news.push(Reply::Ended { attempt, end });
        self.take_back(held, unconfirmed);
    }

    fn discard(&mut self, key: u64, failure: LaunchFailure, unconfirmed: bool) {
        let Some(mut held) = self.remove(key) else {
            return;
        };
        held.finish(&self.poller, &mut self.buffer);
        if held.child().is_some() && matches!(failure.stage, Stage::Resources | Stage::Cage) {
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

    fn remove(&mut self, key: u64) -> Option<Box<Attempt>> {
        let held = self.held.remove(&key)?;
        self.keys.remove(&held.id);
        if let Some(child) = held.child() {
            self.children.remove(&child.pid());
        }
        self.grown.remove(&key);
        if let Some(deadline) = held.deadline {
            self.deadlines.remove(&(deadline, key));
        }
        Some(held)
    }

    fn take_back(&mut self, held: Box<Attempt>, unconfirmed: bool) {
        if unconfirmed {
            self.log.say(format_args!(
                "{}: something of it cannot be killed",
                held.id
            ));
            if held.is_awaited() {
                self.overdue.insert(held.key, held.cage);
            } else {
                self.cages.abandon(held.cage);
            }
        } else {
            self.cages.give_back(held.cage);
        }
    }
}

/// Has nobody start it. `false`: it is being forked, or was.
fn withdrawn(starters: &Starters, orders: &mut Vec<(u64, Box<Order>)>, key: u64) -> bool {
    let place = orders.iter().position(|(other, _)| *other == key);
    if let Some(place) = place {
        orders.remove(place);
        return true;
    }
    starters.withdraw(key)
}

/// Why nothing was forked for an attempt that was killed in time.
const KILLED: &str = "it was killed before its program was executed";
