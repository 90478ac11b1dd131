//! Workers that take nothing for a while by their own judgement.

use jobyard_core::{Complaint, ComplaintKind, Hello, WorkerMessage};

use super::WorkerNode;
use crate::env::Env;
use crate::fault::Fault;
use crate::network::{Frame, Side};

/// What a life of the agent has said about it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Words {
    /// It was told to end, and takes nothing more whatever its machine is like.
    pub(super) is_ending: bool,
    /// The master has welcomed the session.
    is_welcome: bool,
    /// It said that it takes nothing because of its complaints.
    said_no: bool,
}

impl WorkerNode {
    /// Something about the machine changes: it has one more to complain about, another one, or nothing any more.
    pub(crate) fn change_complaints(&mut self, env: &mut Env) {
        let kinds = [
            ComplaintKind::Disk,
            ComplaintKind::Memory,
            ComplaintKind::Load,
            ComplaintKind::Tainted,
        ];
        if !self.complaints.is_empty() && env.rng.chance(600) {
            return self.be_content(env);
        }
        if env.rng.chance(300) {
            self.complaints.clear();
        }
        if let Some(kind) = env.rng.pick(&kinds) {
            env.fault(Fault::WorkerComplained);
            self.complaints.push(Complaint::new(*kind, "as simulated"));
            self.tell_complaints(env);
        }
    }

    /// It has nothing to complain about any more.
    pub(crate) fn be_content(&mut self, env: &mut Env) {
        if !self.complaints.is_empty() {
            env.fault(Fault::WorkerRelieved);
            self.complaints.clear();
            self.tell_complaints(env);
        }
    }

    /// A worker that complains says with its first word that it takes nothing; why, once it is welcome.
    pub(super) fn complain_in(&mut self, hello: &mut Hello) {
        let complains = !self.complaints.is_empty();
        hello.accepting &= !complains;
        if let Some(life) = &mut self.running {
            life.words.is_welcome = false;
            life.words.said_no = complains;
        }
    }

    /// The master has welcomed the session.
    pub(super) fn on_welcome(&mut self, env: &mut Env) {
        let Some(life) = &mut self.running else {
            return;
        };
        life.words.is_welcome = true;
        if life.words.said_no || !self.complaints.is_empty() {
            self.tell_complaints(env);
        }
    }

    /// Both words, in either order: the one for masters that do not know the other.
    fn tell_complaints(&mut self, env: &mut Env) {
        let complaints = self.complaints.clone();
        let Some(life) = &mut self.running else {
            return;
        };
        let (Some(link), true) = (life.session, life.words.is_welcome) else {
            return;
        };
        life.words.said_no = !complaints.is_empty();
        let accepting = complaints.is_empty() && !life.words.is_ending;
        let mut words = [
            WorkerMessage::Accepting(accepting),
            WorkerMessage::Complaints(complaints),
        ];
        if env.rng.chance(500) {
            words.reverse();
        }
        env.summary.transition("says complaints");
        for word in words {
            env.send(link, Side::Master, Frame::Said(word));
        }
    }
}
