//! Output on its way into the master's log store, which loses nothing that it has confirmed.

use bytes::Bytes;
use jobyard_core::{
    AttemptId, LinkError, LogEnd, LogStatus, Refusal, RefusalReason, UploadAnswer, WorkerId,
};
use jobyard_master::engine::Input;

use super::MasterNode;
use crate::env::Env;
use crate::fact::Fact;
use crate::network::{Frame, LinkId, Side};

/// What is written of a log and not yet safe: pieces with their offsets.
#[derive(Debug, Default)]
pub(super) struct Unsynced(Vec<(u64, Bytes)>);

impl Unsynced {
    fn end(&self) -> u64 {
        let ends = self.0.iter().map(|(from, bytes)| from + bytes.len() as u64);
        ends.max().unwrap_or(0)
    }
}

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
        match frame {
            Frame::Offer => {
                let answer = UploadAnswer::ResumeAt(status.end);
                env.send(link, Side::Worker, Frame::Answer(answer));
            }
            Frame::Bytes { from, bytes } => {
                let (from, to) = (*from, from + bytes.len() as u64);
                if status.is_sealed() && to > status.end {
                    let settled = *status;
                    env.send(link, Side::Worker, Frame::Answer(UploadAnswer::Sealed));
                    return self.tell_settled(env, attempt, settled);
                }
                let Some(term) = &mut self.term else { return };
                let written = term.unsynced.get(&attempt).map_or(0, Unsynced::end);
                if from > written.max(status.end) {
                    let refusal = Refusal::new(RefusalReason::Invalid, "bytes are missing");
                    return env.close(link, Side::Master, LinkError::Refused(refusal));
                }
                let unsynced = term.unsynced.entry(attempt).or_default();
                unsynced.0.push((from, bytes.clone()));
                if env.rng.chance(200) && !env.calm {
                    // It is safe, and said to be, with what comes next.
                    return;
                }
                self.sync(env, attempt);
                let end = self.logs.get(&attempt).map_or(0, |status| status.end);
                let answer = UploadAnswer::Durable(end);
                env.send(link, Side::Worker, Frame::Answer(answer));
            }
            Frame::End(end) => {
                self.sync(env, attempt);
                let status = self.logs.entry(attempt).or_insert(LogStatus::open(0));
                let settled = seal(status, *end);
                env.send(link, Side::Worker, Frame::Answer(UploadAnswer::Sealed));
                env.note("log settled", None, Some(attempt));
                self.tell_settled(env, attempt, settled);
            }
            _ => {}
        }
    }

    /// What was written is safe.
    fn sync(&mut self, env: &mut Env, attempt: AttemptId) {
        let term = self.term.as_mut();
        let Some(Unsynced(pieces)) = term.and_then(|term| term.unsynced.remove(&attempt)) else {
            return;
        };
        let status = self.logs.entry(attempt).or_insert(LogStatus::open(0));
        for (from, bytes) in pieces {
            let before = status.end;
            status.end = before.max(from + bytes.len() as u64);
            env.facts.push(Fact::LogStored {
                attempt,
                before,
                from,
                bytes,
            });
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
