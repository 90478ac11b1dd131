//! Who may command a launcher.

use std::os::fd::AsFd;

use rustix::net::sockopt::socket_peercred;

use crate::cage;

/// How many ancestors are looked at. Whoever has more is refused: it is no agent.
const MOST_ANCESTORS: usize = 1024;

/// Whether the process at the other end of a socket may command this launcher: it is of the launcher's own user, and
/// not one of the launcher's jobs, which all descend from it, however they were forked.
///
/// # Errors
///
/// Why it may not, in words.
pub(super) fn check(socket: impl AsFd) -> Result<(), String> {
    let peer =
        socket_peercred(socket).map_err(|error| format!("nobody knows who it is: {error}"))?;
    let user = rustix::process::getuid();
    if peer.uid != user {
        return Err(format!(
            "it is of the user {}, not of {}",
            peer.uid.as_raw(),
            user.as_raw()
        ));
    }
    let pid = peer.pid.as_raw_nonzero().get().unsigned_abs();
    match descends(pid, std::process::id(), cage::parent) {
        Some(false) => Ok(()),
        Some(true) => Err(format!("process {pid} is of one of its own jobs")),
        None => Err(format!("nobody knows where process {pid} comes from")),
    }
}

/// Whether a process descends from another, by asking for parents; `None`: that cannot be known, since somebody on the
/// way has ended.
fn descends(pid: u32, from: u32, parent: impl Fn(u32) -> Option<u32>) -> Option<bool> {
    let mut pid = pid;
    for _ in 0..MOST_ANCESTORS {
        if pid == from {
            return Some(true);
        }
        if pid <= 1 {
            return Some(false);
        }
        pid = parent(pid)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parents(pid: u32) -> Option<u32> {
        match pid {
            40 => Some(30),
            30 => Some(20),
            20 => Some(1),
            7 => Some(7),
            1 => Some(0),
            _ => None,
        }
    }

    #[test]
    fn a_descendant_is_found_and_nobody_else() {
        assert_eq!(descends(40, 20, parents), Some(true));
        assert_eq!(descends(20, 20, parents), Some(true));
        assert_eq!(descends(20, 40, parents), Some(false));
    }

    #[test]
    fn who_cannot_be_followed_is_not_known() {
        assert_eq!(descends(41, 20, parents), None);
        assert_eq!(descends(7, 20, parents), None, "a circle");
    }
}
