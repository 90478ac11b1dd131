//! Stopping a group of version 1 as a whole, so that it can be killed without a race.

use std::io;
use std::path::Path;

use super::group;
use super::processes::{self, Process};

/// Stops everything in the group and beneath it, kills each process but `spared`, and lets them go on to die. Returns
/// whom it killed.
///
/// A process that is only being stopped when it is listed may still fork; the child is stopped as well, and found in
/// the next round.
pub(super) fn kill(group: &Path, spared: Option<u32>) -> io::Result<Vec<Process>> {
    let frozen = group::write(group, STATE, "FROZEN");
    if frozen.as_ref().is_err_and(group::is_gone) {
        return Ok(Vec::new());
    }
    let killed = processes::kill_all(|| {
        group::visible_members(group)
            .into_iter()
            .filter(|process| Some(process.pid) != spared)
            .collect()
    });
    thaw(group)?;
    Ok(killed)
}

/// Lets everything go on, also what stopped itself by a group beneath.
fn thaw(group: &Path) -> io::Result<()> {
    for nested in group::with_nested(group) {
        match group::write(&nested, STATE, "THAWED") {
            Err(problem) if !group::is_gone(&problem) => return Err(problem),
            _ => {}
        }
    }
    Ok(())
}

/// Tries it on an empty group.
pub(super) fn try_on(group: &Path) -> io::Result<()> {
    group::write(group, STATE, "FROZEN")?;
    let state = group::read(group, STATE)?;
    group::write(group, STATE, "THAWED")?;
    if state.trim() == "FROZEN" {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "an empty group does not freeze, it is `{}`",
            state.trim()
        )))
    }
}

/// The file that stops and says whether all is stopped.
const STATE: &str = "freezer.state";
