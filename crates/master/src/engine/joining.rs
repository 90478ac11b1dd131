//! Join tokens, and machines that join with them.

use jobyard_core::{
    AdminState, AuditEntry, Change, ControlError, Happening, NewToken, Now, Refusal, RefusalReason,
    TagSet, WorkerId, check_name,
};
use jobyard_pki::{Admission, Denial, TokenRecord};
use jobyard_scheduler::Event;

use super::Engine;
use super::input::{Joining, ReplyTo};
use super::output::{Answer, Effect};
use super::tables::WorkerEntry;
use crate::records::{WorkerRecord, token_record};

/// How many tokens are kept, spent and revoked ones included. At the limit the oldest useless one makes room; if all are
/// still good, no more are made.
const MAX_TOKENS: usize = 10_000;

impl Engine {
    /// Keeps a token that the shell has minted.
    pub(super) fn on_create_token(
        &mut self,
        now: Now,
        reply: ReplyTo,
        by: String,
        record: TokenRecord,
        terms: &NewToken,
    ) {
        // The call was repeated, and is known no more as such: what it made is known by its id, or by the call's.
        if let Some(known) = self.tables.tokens.get(record.id.as_str()) {
            let answer = Answer::Token(Box::new(known.info()));
            return self.reply(reply, answer);
        }
        let replaced = self.drop_token_of(record.request.as_deref());
        if self.tables.tokens.len() >= MAX_TOKENS && !self.drop_useless_token(now) {
            let problem = format!("there are {MAX_TOKENS} join tokens: revoke some");
            return self.reply(reply, Answer::Refused(ControlError::Exhausted { problem }));
        }
        let id = record.id.as_str().to_owned();
        self.outbox.changes.push(Change::Put(token_record(&record)));
        let info = record.info();
        self.tables.tokens.insert(id.clone(), record);
        let mut result = format!("ok: {} uses, {} s", terms.uses, terms.ttl.as_secs());
        if let Some(replaced) = replaced {
            result = format!("{result}, in place of {replaced}, whose answer was lost");
        }
        self.audit(AuditEntry::new(now.wall, by, "token.create", id, result));
        self.reply(reply, Answer::Token(Box::new(info)));
    }

    /// Drops the token that an earlier life of the master made for the same call. Nobody has seen its secret. Gives its
    /// id.
    fn drop_token_of(&mut self, request: Option<&str>) -> Option<String> {
        let request = request?;
        let mut tokens = self.tables.tokens.values();
        let of_request = tokens.find(|token| token.request.as_deref() == Some(request))?;
        let id = of_request.id.as_str().to_owned();
        self.tables.tokens.remove(&id);
        self.outbox.changes.push(Change::Remove {
            kind: crate::records::TOKEN,
            key: id.clone(),
        });
        Some(id)
    }

    fn drop_useless_token(&mut self, now: Now) -> bool {
        let useless = |token: &&TokenRecord| {
            token.revoked || token.uses_left == 0 || token.expires_at <= now.wall
        };
        let oldest = self
            .tables
            .tokens
            .values()
            .filter(useless)
            .min_by_key(|token| token.created_at);
        let Some(id) = oldest.map(|token| token.id.as_str().to_owned()) else {
            return false;
        };
        self.tables.tokens.remove(&id);
        self.outbox.changes.push(Change::Remove {
            kind: crate::records::TOKEN,
            key: id,
        });
        true
    }

    /// Makes a token useless; workers that joined with it stay.
    pub(super) fn on_revoke_token(&mut self, now: Now, reply: ReplyTo, by: String, token: &str) {
        let Some(record) = self.tables.tokens.get_mut(token) else {
            let error = ControlError::NotFound {
                what: "token",
                id: token.to_owned(),
            };
            return self.reply(reply, Answer::Refused(error));
        };
        if !record.revoked {
            record.revoked = true;
            self.outbox.changes.push(Change::Put(token_record(record)));
            self.audit(AuditEntry::new(now.wall, by, "token.revoke", token, "ok"));
        }
        self.reply(reply, Answer::Done);
    }

    /// Use of the token and worker go into one batch; the certificate is signed after it.
    pub(super) fn on_enrol(&mut self, now: Now, joining: Joining) {
        let stored = self.tables.tokens.get(&joining.token);
        let admission = TokenRecord::admit(
            stored,
            &joining.secret,
            joining.key,
            now.wall,
            joining.fresh,
        );
        let (reply, result) = (joining.reply, self.admit(now, &joining, admission));
        let (answer, cause) = match result {
            Ok((worker, name)) => (Answer::Enrolled { worker, name }, "ok".to_owned()),
            Err((refusal, cause)) => (Answer::Denied(refusal), cause),
        };
        let subject = match &answer {
            Answer::Enrolled { worker, .. } => worker.to_string(),
            _ => format!("token {}", printable(&joining.token)),
        };
        self.audit(AuditEntry::new(
            now.wall,
            joining.address,
            "enrol",
            subject,
            cause,
        ));
        self.reply(reply, answer);
    }

    /// A worker of this program joins without token and certificate, or is the one that joined under this name before.
    pub(super) fn on_admit_local(
        &mut self,
        now: Now,
        reply: ReplyTo,
        name: String,
        fresh: WorkerId,
    ) {
        let known = self
            .tables
            .names
            .get(&name)
            .and_then(|id| self.tables.workers.get(id));
        let answer = match known {
            Some(entry) if entry.record.key.is_none() => Answer::Enrolled {
                worker: entry.record.id,
                name,
            },
            Some(_) => Answer::Denied(name_taken(&name).0),
            None => match check_worker_name(&name) {
                Ok(()) => {
                    let record = WorkerRecord::new(fresh, self.next_worker(), name, now.wall);
                    let name = self.add_worker(now, record);
                    let subject = fresh.to_string();
                    self.audit(AuditEntry::new(now.wall, "host", "enrol", subject, "ok"));
                    Answer::Enrolled {
                        worker: fresh,
                        name,
                    }
                }
                Err((refusal, _)) => Answer::Denied(refusal),
            },
        };
        self.reply(reply, answer);
    }

    fn admit(
        &mut self,
        now: Now,
        joining: &Joining,
        admission: Result<Admission, Denial>,
    ) -> Result<(WorkerId, String), (Refusal, String)> {
        match admission {
            Err(denial) => {
                let refusal = Refusal::new(RefusalReason::Unauthenticated, Denial::PUBLIC_TEXT);
                Err((refusal, denial.to_string()))
            }
            Ok(Admission::Again { worker }) => {
                let entry = self.tables.workers.get(&worker);
                match entry.filter(|entry| entry.record.admin != AdminState::Removed) {
                    Some(entry) => Ok((worker, entry.record.name.clone())),
                    None => Err(banned()),
                }
            }
            Ok(Admission::Admit { worker, record }) => {
                self.check_joining(joining)?;
                self.outbox.changes.push(Change::Put(token_record(&record)));
                let tags = TagSet::try_from(record.tags.clone()).unwrap_or_default();
                self.tables.tokens.insert(joining.token.clone(), record);
                Ok((worker, self.welcome(now, joining, worker, tags)))
            }
        }
    }

    /// Refusals that only somebody with a good token gets to see; they consume nothing.
    fn check_joining(&self, joining: &Joining) -> Result<(), (Refusal, String)> {
        if self.tables.keys.contains_key(&joining.key) {
            return Err(banned());
        }
        check_worker_name(&joining.name)?;
        if self.tables.names.contains_key(&joining.name) {
            return Err(name_taken(&joining.name));
        }
        Ok(())
    }

    fn welcome(
        &mut self,
        now: Now,
        joining: &Joining,
        worker: WorkerId,
        token_tags: TagSet,
    ) -> String {
        let mut record =
            WorkerRecord::new(worker, self.next_worker(), joining.name.clone(), now.wall);
        record.facts = joining.facts.clone();
        record.token_tags = token_tags;
        record.key = Some(joining.key);
        self.tables.keys.insert(joining.key, worker);
        self.add_worker(now, record)
    }

    /// The place of the next worker in the order of enrolment.
    fn next_worker(&self) -> u64 {
        self.tables.workers.len() as u64 + 1
    }

    /// A new member. Gives its name.
    fn add_worker(&mut self, now: Now, record: WorkerRecord) -> String {
        let worker = record.id;
        self.outbox.changes.push(Change::Put(record.to_record()));
        self.outbox.effects.push(Effect::Membership {
            worker,
            member: true,
        });
        self.tables.names.insert(record.name.clone(), worker);
        let entry = WorkerEntry::new(record);
        let (offer, name) = (entry.offer(), entry.record.name.clone());
        self.tables.workers.insert(worker, entry);
        let (worker_id, said) = (worker, name.clone());
        self.happened(
            now,
            Happening::WorkerEnrolled {
                worker_id,
                name: said,
            },
        );
        self.schedule(now, Event::WorkerJoined(offer));
        name
    }
}

/// Commands and jobs name workers by name or id, so a name must not look like the id of another.
fn check_worker_name(name: &str) -> Result<(), (Refusal, String)> {
    let message = match check_name(name) {
        Err(problem) => format!("the worker's name cannot be used: {problem}"),
        Ok(()) if name.parse::<WorkerId>().is_ok() => {
            "the worker's name looks like an id: choose another with --name".to_owned()
        }
        Ok(()) => return Ok(()),
    };
    Err((Refusal::new(RefusalReason::Invalid, &message), message))
}

fn name_taken(name: &str) -> (Refusal, String) {
    let message = format!(
        "a worker named `{name}` exists already: choose another with --name, or remove it first"
    );
    (
        Refusal::new(RefusalReason::AlreadyExists, &message),
        message,
    )
}

fn banned() -> (Refusal, String) {
    let message = "this key belongs to a worker that has joined before: join with a new key";
    (
        Refusal::new(RefusalReason::Forbidden, message),
        "the key is known already".to_owned(),
    )
}

/// A token id as somebody presented it, fit for the audit trail.
fn printable(text: &str) -> String {
    const SHOWN_CHARS: usize = 32;
    text.chars()
        .filter(char::is_ascii_graphic)
        .take(SHOWN_CHARS)
        .collect()
}
