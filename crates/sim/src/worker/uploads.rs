//! Output: spooled and uploaded.

use bytes::Bytes;
use jobyard_core::{AttemptId, HeldState, LinkError, LogEnd, RefusalReason, UploadAnswer};
use jobyard_worker::agent::Input;

use super::WorkerNode;
use crate::agenda::AgentEvent;
use crate::env::Env;
use crate::fact::Fact;
use crate::network::{Frame, LinkId, Purpose, Side};
use crate::rng::Rng;
use crate::scenario::Sabotage;

/// The output of an attempt on its worker.
#[derive(Debug, Default)]
pub(super) struct Spool {
    /// All of it, also what counts as dropped.
    written: Vec<u8>,
    /// What the master has for certain.
    durable: u64,
    /// What was dropped, since the master has it.
    base: u64,
    /// Nobody knows whether there was more.
    open_ended: bool,
}

/// A connection for output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upload {
    pub(super) link: LinkId,
    /// How far this connection is; unknown until the master has said where to begin.
    sent: Option<u64>,
    ended: bool,
}

impl Spool {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
    }

    /// Has nothing but what the master has.
    pub(super) fn forget(&mut self) {
        self.written
            .truncate(usize::try_from(self.durable).unwrap_or(usize::MAX));
    }

    /// Whoever read the output was gone before its end.
    pub(super) const fn cut_short(&mut self) {
        self.open_ended = true;
    }

    pub(super) const fn end(&self) -> LogEnd {
        if self.open_ended {
            return LogEnd::UNKNOWN;
        }
        LogEnd {
            bytes: self.len(),
            dropped: 0,
        }
    }

    const fn len(&self) -> u64 {
        self.written.len() as u64
    }

    fn from(&self, offset: u64) -> Bytes {
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        Bytes::copy_from_slice(self.written.get(begin..).unwrap_or_default())
    }

    /// Loses some of what the master does not have. Says whether there was any.
    pub(super) fn tear(&mut self, rng: &mut Rng) -> bool {
        let open = self.len().saturating_sub(self.durable);
        if open == 0 {
            return false;
        }
        let kept = self.len() - (rng.below(open) + 1);
        self.written
            .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        true
    }
}

impl WorkerNode {
    /// A process prints, and somebody reads it, unless whoever did is dead.
    pub(super) fn on_printed(&mut self, env: &mut Env, attempt: AttemptId, bytes: u64) {
        let is_read = self.is_up() || self.adopts;
        let process = self.processes.get_mut(&attempt);
        let Some(runs) = process.filter(|runs| runs.exit.is_none()) else {
            return;
        };
        let bytes = runs.print(attempt, bytes);
        // Where nothing outlives the agent, the pipe is gone with it.
        runs.is_unread |= !is_read;
        if runs.is_unread {
            env.facts.push(Fact::PipeLost { attempt });
        } else {
            self.spool.entry(attempt).or_default().take(&bytes);
        }
        env.facts.push(Fact::Printed { attempt, bytes });
        if self.stuck.is_none() {
            self.push_output(env, attempt);
        }
    }

    /// Also of what has no output, its end can be asked for.
    pub(super) fn offer_ends(&mut self) {
        let Some(life) = &self.running else { return };
        for held in life.agent.held() {
            self.spool.entry(held.attempt).or_default();
        }
    }

    /// Opens a connection for an attempt's output, unless there is one.
    pub(super) fn open_upload(&mut self, env: &mut Env, attempt: AttemptId) {
        let Some(life) = &mut self.running else {
            return;
        };
        if !life.connected || !self.spool.contains_key(&attempt) {
            return;
        }
        if life.uploads.contains_key(&attempt) {
            return;
        }
        let purpose = Purpose {
            worker: self.index,
            upload: Some(attempt),
        };
        let link = env.open_link(purpose);
        let upload = Upload {
            link,
            sent: None,
            ended: false,
        };
        life.uploads.insert(attempt, upload);
        env.send(link, Side::Master, Frame::Offer);
    }

    pub(super) fn on_upload_frame(&mut self, env: &mut Env, link: LinkId, frame: Frame) {
        let Some(attempt) = env.network.purpose(link).and_then(|purpose| purpose.upload) else {
            if let Frame::Closed(error) = frame {
                self.on_upload_lost(env, link, &error);
            }
            return;
        };
        match frame {
            Frame::Answer(UploadAnswer::ResumeAt(offset)) => {
                if let Some(upload) = self.upload(attempt, link) {
                    upload.sent = Some(offset);
                }
                let kept_from = self.spool.get(&attempt).map_or(0, |spool| spool.base);
                if offset < kept_from {
                    let wanted = offset;
                    env.facts.push(Fact::OutputDropped {
                        attempt,
                        wanted,
                        kept_from,
                    });
                }
                self.push_output(env, attempt);
            }
            Frame::Answer(UploadAnswer::Durable(to)) => {
                if let Some(spool) = self.spool.get_mut(&attempt) {
                    spool.durable = spool.durable.max(to).min(spool.len());
                    spool.base = spool.durable;
                }
            }
            Frame::Answer(UploadAnswer::Sealed) if self.upload(attempt, link).is_some() => {
                if let Some(life) = &mut self.running {
                    life.uploads.remove(&attempt);
                }
                env.close(link, Side::Worker, LinkError::Closed);
                self.feed(env, Input::LogConfirmed { attempt });
            }
            Frame::Closed(error) => self.on_upload_lost(env, link, &error),
            _ => {}
        }
    }

    /// Tries again while the session lives, unless the output is not wanted.
    pub(super) fn on_upload_lost(&mut self, env: &mut Env, link: LinkId, error: &LinkError) {
        let Some(life) = &mut self.running else {
            return;
        };
        let lost = life.uploads.iter().find(|(_, upload)| upload.link == link);
        let Some(attempt) = lost.map(|(attempt, _)| *attempt) else {
            return;
        };
        life.uploads.remove(&attempt);
        let unwanted = matches!(
            error,
            LinkError::Refused(refusal) if refusal.reason == RefusalReason::Stale
        );
        if !unwanted {
            let delay = env.rng.millis(50, 500);
            self.later(env, delay, AgentEvent::UploadDue { attempt });
        }
    }

    /// Sends what is there beyond what was sent, and the end once it is known.
    pub(super) fn push_output(&mut self, env: &mut Env, attempt: AttemptId) {
        let end = self.known_end(attempt);
        let Some(spool) = self.spool.get_mut(&attempt) else {
            return;
        };
        let life = self.running.as_mut();
        let Some(upload) = life.and_then(|life| life.uploads.get_mut(&attempt)) else {
            return;
        };
        let Some(sent) = upload.sent else { return };
        let link = upload.link;
        let mut frames = Vec::new();
        if spool.len() > sent {
            upload.sent = Some(spool.len());
            if env.is_sabotaged(Sabotage::TrimBeyondDurable) {
                spool.base = spool.len();
            }
            // A new connection goes on where the last one was, with what comes one byte too early.
            let is_shifted = sent > 0 && env.is_sabotaged(Sabotage::ShiftOutput);
            let mut bytes = spool.from(sent - u64::from(is_shifted));
            if is_shifted {
                bytes.truncate(bytes.len() - 1);
            }
            frames.push(Frame::Bytes { from: sent, bytes });
        }
        if let (Some(end), false) = (end, upload.ended) {
            upload.ended = true;
            frames.push(Frame::End(end));
        }
        for frame in frames {
            env.send(link, Side::Master, frame);
        }
    }

    /// Where the output ends, once the attempt has.
    fn known_end(&self, attempt: AttemptId) -> Option<LogEnd> {
        let life = self.running.as_ref()?;
        let held = life.agent.held().find(|held| held.attempt == attempt)?;
        match held.state {
            HeldState::Finished(report) => Some(report.log),
            _ => None,
        }
    }

    fn upload(&mut self, attempt: AttemptId, link: LinkId) -> Option<&mut Upload> {
        let upload = self.running.as_mut()?.uploads.get_mut(&attempt)?;
        (upload.link == link).then_some(upload)
    }
}
