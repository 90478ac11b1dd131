//! Output on its way into the master's log store, which takes lengths for bytes and loses nothing.

use jobyard_core::{
    AttemptId, LinkError, LogEnd, LogStatus, Refusal, RefusalReason, UploadAnswer, WorkerId,
};
use jobyard_master::engine::Input;

use super::MasterNode;
use crate::env::Env;
use crate::fact::Fact;
use crate::network::{Frame, LinkId, Side};

impl MasterNode {
    pub(super) fn on_upload_frame(
        &mut self,
        env: &mut Env,
        link: LinkId,
        from: WorkerId,
        frame: &Frame,
    ) {
        let Some(attempt) = env.network.purpose(link).and_then(|purpose| purpose.upload) else {
            return;
        };
        let granted = self
            .term
            .as_ref()
            .is_some_and(|term| term.grants.get(&attempt) == Some(&from));
        if !granted {
            let refusal = Refusal::new(RefusalReason::Stale, "not wanted");
            return env.close(link, Side::Master, LinkError::Refused(refusal));
        }
        let status = self.logs.entry(attempt).or_insert(LogStatus::open(0));
        let before = status.end;
        match *frame {
            Frame::Offer => {
                let answer = UploadAnswer::ResumeAt(status.end);
                env.send(link, Side::Worker, Frame::Answer(answer));
            }
            Frame::Bytes { from, to } => {
                if status.is_sealed() && to > status.end {
                    let settled = *status;
                    env.send(link, Side::Worker, Frame::Answer(UploadAnswer::Sealed));
                    return self.tell_settled(env, attempt, settled);
                }
                let written = self
                    .term
                    .as_ref()
                    .and_then(|term| term.unsynced.get(&attempt));
                if from > written.copied().unwrap_or(0).max(status.end) {
                    let refusal = Refusal::new(RefusalReason::Invalid, "bytes are missing");
                    return env.close(link, Side::Master, LinkError::Refused(refusal));
                }
                let unsynced = self.term.as_mut().map(|term| &mut term.unsynced);
                if env.rng.chance(200) && !env.calm {
                    // It is safe, and said to be, with what comes next.
                    unsynced.map(|unsynced| unsynced.insert(attempt, to));
                    return;
                }
                unsynced.and_then(|unsynced| unsynced.remove(&attempt));
                status.end = status.end.max(to);
                let stored = Fact::LogStored {
                    attempt,
                    before,
                    from: from.min(before),
                    to: status.end,
                };
                env.facts.push(stored);
                let answer = UploadAnswer::Durable(status.end);
                env.send(link, Side::Worker, Frame::Answer(answer));
            }
            Frame::End(end) => {
                let term = self.term.as_mut();
                if let Some(to) = term.and_then(|term| term.unsynced.remove(&attempt)) {
                    status.end = status.end.max(to);
                    let from = before;
                    let to = status.end;
                    env.facts.push(Fact::LogStored {
                        attempt,
                        before,
                        from,
                        to,
                    });
                }
                let settled = seal(status, end);
                env.send(link, Side::Worker, Frame::Answer(UploadAnswer::Sealed));
                env.note("log settled", None, Some(attempt));
                self.tell_settled(env, attempt, settled);
            }
            _ => {}
        }
    }

    /// Nothing more will come of this output.
    pub(super) fn seal_abandoned(
        &mut self,
        env: &mut Env,
        attempt: AttemptId,
        end: Option<LogEnd>,
    ) {
        let end = end.unwrap_or(LogEnd {
            bytes: u64::MAX,
            dropped: 0,
        });
        let status = self.logs.entry(attempt).or_insert(LogStatus::open(0));
        let settled = seal(status, end);
        env.summary.transition("log abandoned");
        self.tell_settled(env, attempt, settled);
    }

    fn tell_settled(&mut self, env: &mut Env, attempt: AttemptId, status: LogStatus) {
        env.summary.transition("log settled");
        self.tell(env, Input::LogSettled { attempt, status });
    }
}

fn seal(status: &mut LogStatus, end: LogEnd) -> LogStatus {
    if !status.is_sealed() {
        *status = LogStatus::sealed(status.end, end);
    }
    *status
}
