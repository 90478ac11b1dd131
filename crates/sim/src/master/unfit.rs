//! Hellos of workers that must not be welcomed.

use jobyard_core::{AdminState, Hello, SessionId, WorkerId};
use jobyard_master::engine::Input;

use super::MasterNode;
use crate::env::Env;
use crate::fault::Fault;
use crate::network::{Purpose, Side};

impl MasterNode {
    /// Now and then a hello comes from a worker that must not be welcomed.
    pub(super) fn spoil(
        &mut self,
        env: &mut Env,
        session: SessionId,
        from: WorkerId,
        hello: &mut Hello,
    ) {
        let mut unfit = None;
        if env.mishap(5, Fault::HelloUnfit) {
            match env.rng.below(3) {
                0 => {
                    hello.max_epoch = self.epoch.next();
                    unfit = Some("has served a newer term");
                }
                1 => {
                    hello.protocol.version += 2;
                    unfit = Some("speaks another protocol");
                }
                _ => {
                    hello.capacity.memory_bytes = u64::MAX;
                    unfit = Some("has more than there can be");
                }
            }
        }
        let record = self.disk.books().workers.get(&from);
        if record.is_some_and(|record| record.admin == AdminState::Removed) {
            unfit = Some("was removed");
        }
        if let (Some(term), Some(unfit)) = (&mut self.term, unfit) {
            term.unfit.insert(session, unfit);
        }
    }

    /// A hello of a worker that nobody has enrolled, with what another one has said.
    pub(super) fn meet_stranger(&mut self, env: &mut Env, like: &Hello) {
        let Some(term) = self.term.as_mut().filter(|_| env.scenario.intruders) else {
            return;
        };
        if !env.rng.chance(20) {
            return;
        }
        let purpose = Purpose {
            worker: 0,
            upload: None,
        };
        let link = env.open_link(purpose);
        env.shut(link, Side::Worker);
        let session = SessionId::from_uuid(env.rng.uuid());
        let worker = WorkerId::from_uuid(env.rng.uuid());
        term.sessions.insert(session, link);
        term.unfit.insert(session, "is unknown");
        let mut hello = like.clone();
        hello.inventory.clear();
        let opened = Input::SessionOpened {
            worker,
            session,
            address: "simulated".to_owned(),
            hello: Box::new(hello),
        };
        self.tell(env, opened);
    }
}
