//! Calls that are repeated with the same request id: one effect, one answer.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use jobyard_core::{Now, RequestId, mutated};

use super::Engine;
use super::input::{Input, ReplyTo};
use super::output::Answer;

/// How many answers are remembered: minutes of a busy master. A client repeats within seconds.
const MAX_REMEMBERED: usize = 65_536;

/// How much memory the remembered answers may take, in bytes as [`weight`] estimates them.
const MAX_WEIGHT: usize = 64 * 1024 * 1024;

/// How many repeats of one call may wait with it. A client gives up a call before it repeats it, so that most of them
/// wait for nobody.
const MAX_JOINED: usize = 256;

/// A call: the id that its client minted, and a hash of who asks for what. A client that uses an id for two things is
/// answered twice.
type Key = (RequestId, u64);

/// The calls of this term that have an id.
#[derive(Debug, Default)]
pub(super) struct Requests {
    answered: BTreeMap<Key, Answer>,
    /// In the order of their answers.
    order: VecDeque<Key>,
    weight: usize,
    /// Who asked first, as long as there is no answer.
    open: BTreeMap<Key, ReplyTo>,
    waiting: BTreeMap<ReplyTo, Waiting>,
}

/// A call that has no answer yet.
#[derive(Debug)]
struct Waiting {
    key: Key,
    /// Who has asked the same since.
    joined: Vec<ReplyTo>,
}

impl Requests {
    /// The first of its kind waits for its answer from now on.
    fn open(&mut self, key: Key, reply: ReplyTo) {
        let joined = Vec::new();
        self.open.insert(key, reply);
        self.waiting.insert(reply, Waiting { key, joined });
    }

    /// Somebody is answered. Gives those who wait for the same answer.
    pub(super) fn answered(&mut self, reply: ReplyTo, answer: &Answer) -> Vec<ReplyTo> {
        let Some(Waiting { key, joined }) = self.waiting.remove(&reply) else {
            return Vec::new();
        };
        self.open.remove(&key);
        // What was refused had no effect, and may be possible when it is asked for again.
        if !matches!(answer, Answer::Refused(_)) {
            self.remember(key, answer.clone());
        }
        joined
    }

    fn remember(&mut self, key: Key, answer: Answer) {
        self.weight += weight(&answer);
        self.order.push_back(key);
        self.answered.insert(key, answer);
        while self.order.len() > MAX_REMEMBERED || self.weight > MAX_WEIGHT {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(answer) = self.answered.remove(&oldest) {
                self.weight -= weight(&answer);
            }
        }
    }
}

impl Engine {
    /// Whether a call repeats one that was taken in this term, as far as its id or its jobs' ids say: then that one may
    /// have had its effect, or may have it still.
    pub fn knows(&self, call: &Input) -> bool {
        match call {
            Input::Once { request, call } => {
                let key = fingerprint(call).map(|(_, what)| (*request, what));
                let is_repeat = key.is_some_and(|key| {
                    let requests = &self.requests;
                    requests.answered.contains_key(&key) || requests.open.contains_key(&key)
                });
                is_repeat || self.knows(call)
            }
            Input::Submit { jobs, .. } => {
                let mut ids = jobs.iter().map(|job| job.id);
                ids.any(|id| self.tables.jobs.contains_key(&id))
            }
            _ => false,
        }
    }

    /// A call that may be a repeat: of one that was answered, which gets the same answer, or of one that still waits,
    /// which it joins.
    pub(super) fn on_once(&mut self, now: Now, request: RequestId, call: Input) {
        let Some((reply, what)) = fingerprint(&call) else {
            return self.handle(now, call);
        };
        if mutated("a repeated call counts again") {
            return self.handle(now, call);
        }
        let key = (request, what);
        if let Some(answer) = self.requests.answered.get(&key) {
            let answer = answer.clone();
            return self.reply(reply, answer);
        }
        let first = self.requests.open.get(&key);
        if let Some(waiting) = first.and_then(|first| self.requests.waiting.get_mut(first)) {
            if waiting.joined.len() >= MAX_JOINED {
                let problem = format!("{MAX_JOINED} repeats of this call wait already");
                let error = jobyard_core::ControlError::Exhausted { problem };
                return self.reply(reply, Answer::Refused(error));
            }
            return waiting.joined.push(reply);
        }
        self.requests.open(key, reply);
        self.handle(now, call);
    }
}

/// Who waits for the answer to a call, and a hash of who asks for what; `None` for an input that is no call.
fn fingerprint(call: &Input) -> Option<(ReplyTo, u64)> {
    let (reply, by) = asked(call)?;
    let mut hash = DefaultHasher::new();
    std::mem::discriminant(call).hash(&mut hash);
    by.hash(&mut hash);
    match call {
        Input::Submit { jobs, .. } => {
            for job in jobs {
                (job.id, &job.digest).hash(&mut hash);
            }
        }
        Input::Stop { job, options, .. } => (job, options.grace, options.force).hash(&mut hash),
        Input::SetWorker { worker, to, .. } => (worker, to).hash(&mut hash),
        Input::SetQueue { queue, change, .. } => (queue, format!("{change:?}")).hash(&mut hash),
        // The secret is minted anew for each repeat, and is no part of what was asked for.
        Input::CreateToken { terms, .. } => format!("{terms:?}").hash(&mut hash),
        Input::RevokeToken { token, .. } => token.hash(&mut hash),
        _ => return None,
    }
    Some((reply, hash.finish()))
}

/// Who waits for the answer to a call that can be repeated, and who asks.
fn asked(call: &Input) -> Option<(ReplyTo, &str)> {
    match call {
        Input::Submit { reply, by, .. }
        | Input::Stop { reply, by, .. }
        | Input::SetWorker { reply, by, .. }
        | Input::SetQueue { reply, by, .. }
        | Input::CreateToken { reply, by, .. }
        | Input::RevokeToken { reply, by, .. } => Some((*reply, by)),
        _ => None,
    }
}

/// About how many bytes an answer takes with its place in the tables.
fn weight(answer: &Answer) -> usize {
    /// Of two tables and a queue.
    const PLACE: usize = 256;
    /// Of a worker with its facts, tags and environment.
    const WORKER: usize = 4_096;
    let more = match answer {
        Answer::Submitted(jobs) => size_of_val(jobs.as_slice()),
        Answer::Worker(_) => WORKER,
        _ => 0,
    };
    PLACE + more
}
