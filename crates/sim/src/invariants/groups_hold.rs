//! No group runs more of its jobs than they allow.
//!
//! Each job says for itself below how many it starts. Of those that have a worker at some moment, the one that got it last
//! was counted with all the others, so they are at most as many as the largest of their limits. Twice over, as with
//! [resources](super::nothing_oversold): by the books, and for the processes that run of attempts that the books still
//! place.

use jobyard_core::AttemptId;
use jobyard_master::records::Demand;

use super::Invariant;
use super::placements::{Placements, Processes};
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct GroupsHold {
    placements: Placements,
    processes: Processes,
}

impl Invariant for GroupsHold {
    fn name(&self) -> &'static str {
        "no group runs more than its jobs allow"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::JobWritten { after, .. } => drop(self.placements.note(after)),
            Fact::BatchEnded => check(self.placements.iter(), "placed")?,
            Fact::ProcessStarted { attempt, .. } => {
                self.processes.start(*attempt);
                let running = self.placements.iter();
                let running = running.filter(|(attempt, _)| self.processes.contains(*attempt));
                check(running, "running")?;
            }
            Fact::ProcessEnded { attempt, .. } => self.processes.end(*attempt),
            _ => {}
        }
        Ok(())
    }
}

fn check<'a>(
    attempts: impl Iterator<Item = (AttemptId, &'a Demand)>,
    how: &str,
) -> Result<(), String> {
    let mut groups: Vec<(&str, u32, AttemptId)> = attempts
        .filter_map(|(attempt, demand)| {
            let group = demand.group.as_deref()?;
            Some((group.key.as_str(), group.limit, attempt))
        })
        .collect();
    groups.sort_unstable();
    for members in groups.chunk_by(|one, other| one.0 == other.0) {
        let limit = members.iter().map(|member| member.1).max().unwrap_or(0);
        if members.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(format!("of one group are {how}: {members:?}"));
        }
    }
    Ok(())
}
