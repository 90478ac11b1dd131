//! Main processes that have ended.

use jobyard_core::{AttemptId, Exit, Timestamp};

use super::{Yard, note};
use crate::journal::Record;
use crate::protocol::{End, Reply};

/// The end of a main process, kept until the end of the round: most attempts are over by then, which says all of it again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exited {
    /// Of which attempt.
    pub(super) attempt: AttemptId,
    /// How.
    pub(super) exit: Exit,
    /// When.
    pub(super) at: Timestamp,
}

impl Yard {
    /// Takes note of main processes that have ended and whose attempts are not over.
    pub(in super::super) fn note_exits(&mut self) {
        while let Some(exited) = self.exits.pop() {
            self.note_exit(exited);
        }
    }

    /// The attempt is over. That its main process has ended need not be said any more, unless its end says something else.
    pub(super) fn settle_exit(&mut self, attempt: AttemptId, end: &End) {
        let untold = self.exits.iter().position(|it| it.attempt == attempt);
        let untold = untold.map(|place| self.exits.swap_remove(place));
        if let Some(exited) = untold.filter(|_| end.expired) {
            // Of one whose time was over, the end does not tell that it had ended by itself.
            self.note_exit(exited);
        }
    }

    fn note_exit(&mut self, Exited { attempt, exit, at }: Exited) {
        let record = Record::Exited { attempt, exit, at };
        note(&mut self.journal, &mut self.log, &record);
        self.news.push(Reply::Exited { attempt, exit, at });
    }
}
