//! Who may join: a pure decision over a token's record.

use std::collections::BTreeMap;

use jobyard_core::{MAX_TOKEN_TTL, MAX_TOKEN_USES, NewToken, Tag, Timestamp, TokenInfo, WorkerId};
use serde::{Deserialize, Serialize};

use crate::digest::SpkiHash;
use crate::token::{JoinSecret, JoinToken, SecretHash, TokenId};

/// The most tags that a token gives to its workers.
pub const MAX_TOKEN_TAGS: usize = 64;

/// What the master keeps of one join token: enough to decide, nothing that would let anybody join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenRecord {
    /// The token's public name.
    pub id: TokenId,
    /// Of the token's secret.
    pub secret_hash: SecretHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this moment on it admits nobody, repeats included.
    pub expires_at: Timestamp,
    /// How many more workers it admits.
    pub uses_left: u32,
    /// Whether an operator has withdrawn it.
    pub revoked: bool,
    /// Given to every worker that joins with it.
    pub tags: Vec<Tag>,
    /// Whom it admitted, by key: one for each use, so never more than [`MAX_TOKEN_USES`]. Some 110 bytes each as
    /// JSON, and written again with every admission: a fleet of many thousands joins faster with several tokens.
    pub admitted: BTreeMap<SpkiHash, WorkerId>,
    /// Which call made it, if calls may be repeated: a repeat finds it by that. Nothing secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl TokenRecord {
    /// The record of a token that was just made, on the terms that its maker wants.
    pub fn new(token: &JoinToken, terms: &NewToken, now: Timestamp) -> Result<Self, InvalidTerms> {
        if !(1..=MAX_TOKEN_USES).contains(&terms.uses) {
            return Err(InvalidTerms::Uses { uses: terms.uses });
        }
        if terms.ttl.is_zero() || terms.ttl > MAX_TOKEN_TTL {
            return Err(InvalidTerms::Ttl);
        }
        if terms.tags.len() > MAX_TOKEN_TAGS {
            return Err(InvalidTerms::TooManyTags {
                tags: terms.tags.len(),
            });
        }
        let ttl = i64::try_from(terms.ttl.as_micros()).map_err(|_| InvalidTerms::Ttl)?;
        Ok(Self {
            id: token.id().clone(),
            secret_hash: token.secret().hash(),
            created_at: now,
            expires_at: Timestamp::from_micros(now.as_micros().saturating_add(ttl)),
            uses_left: terms.uses,
            revoked: false,
            tags: terms.tags.clone(),
            admitted: BTreeMap::new(),
            request: None,
        })
    }

    /// What people may know of it.
    pub fn info(&self) -> TokenInfo {
        let id = self.id.as_str().to_owned();
        let mut info = TokenInfo::new(id, self.created_at, self.expires_at, self.uses_left);
        info.revoked = self.revoked;
        info.tags.clone_from(&self.tags);
        info
    }

    /// Decides whether the holder of `key`, who presented `secret`, joins. `key` must come from a
    /// [`CsrKey`](crate::CsrKey): its holder has proven possession. `fresh` is the id that a new worker will have.
    ///
    /// Pure: nothing is consumed until the caller has committed the record inside [`Admission::Admit`], together
    /// with the worker. Pass `None` when no token has the presented id: the same comparison is made then. The
    /// cause inside [`Denial`] is for the audit log; the requester is told [`Denial::PUBLIC_TEXT`], always.
    ///
    /// A holder of the right secret may learn more from the time that this takes, nobody else.
    pub fn admit(
        stored: Option<&Self>,
        secret: &JoinSecret,
        key: SpkiHash,
        now: Timestamp,
        fresh: WorkerId,
    ) -> Result<Admission, Denial> {
        let expected = stored.map_or(SecretHash::OF_NO_TOKEN, |record| record.secret_hash);
        let secret_is_right = secret.hash() == expected;
        let record = stored.ok_or(Denial::Unknown)?;
        if !secret_is_right {
            return Err(Denial::WrongSecret);
        }
        if record.revoked {
            return Err(Denial::Revoked);
        }
        if now >= record.expires_at {
            return Err(Denial::Expired);
        }
        if let Some(worker) = record.admitted.get(&key) {
            return Ok(Admission::Again { worker: *worker });
        }
        let uses_left = record.uses_left.checked_sub(1).ok_or(Denial::UsedUp)?;
        let mut record = record.clone();
        record.uses_left = uses_left;
        record.admitted.insert(key, fresh);
        Ok(Admission::Admit {
            worker: fresh,
            record,
        })
    }
}

/// How a requester gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// As a new worker. Commit `record` and the worker in one batch, then sign.
    Admit {
        /// The id that was passed as fresh.
        worker: WorkerId,
        /// The token after this use.
        record: TokenRecord,
    },
    /// As the worker that the same key became before: the answer was lost, or is being replayed. Costs no use and
    /// changes no record.
    Again {
        /// The id that it has.
        worker: WorkerId,
    },
}

/// Why somebody may not join. For the audit log alone; whoever asked is told [`PUBLIC_TEXT`](Self::PUBLIC_TEXT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Denial {
    /// No token has this id.
    #[error("no token has this id")]
    Unknown,
    /// The token exists, the secret is not its own.
    #[error("the secret is not the token's")]
    WrongSecret,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It has admitted as many workers as it may, and this key is none of them: perhaps it leaked.
    #[error("the token is used up, and was used with another key")]
    UsedUp,
    /// An operator withdrew it.
    #[error("the token was revoked")]
    Revoked,
}

impl Denial {
    /// What the requester is told, whatever the cause, so that nobody can find out which tokens exist.
    pub const PUBLIC_TEXT: &'static str =
        "the join token was not accepted: ask the cluster's operator for a new one";
}

/// Terms on which no token is made. The maker's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTerms {
    /// No use at all, or too many.
    #[error("a join token admits 1 to {MAX_TOKEN_USES} workers, not {uses}")]
    Uses {
        /// How many were asked for.
        uses: u32,
    },
    /// It would end at once, or live too long.
    #[error("a join token lives longer than no time and at most {} days", MAX_TOKEN_TTL.as_secs() / 86_400)]
    Ttl,
    /// More tags than one token gives.
    #[error("a join token gives at most {MAX_TOKEN_TAGS} tags, not {tags}")]
    TooManyTags {
        /// How many were asked for.
        tags: usize,
    },
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::token::{RootPin, TOKEN_ENTROPY_BYTES};

    const END: i64 = 1_000;
    const FIRST: WorkerId = WorkerId::from_uuid(Uuid::from_u128(1));
    const SECOND: WorkerId = WorkerId::from_uuid(Uuid::from_u128(2));
    const KEY: SpkiHash = SpkiHash::from_bytes([1; 32]);
    const OTHER_KEY: SpkiHash = SpkiHash::from_bytes([2; 32]);

    fn token() -> JoinToken {
        JoinToken::from_entropy(
            vec![RootPin::from_bytes([3; 32])],
            &[9; TOKEN_ENTROPY_BYTES],
        )
        .unwrap()
    }

    fn terms(uses: u32, ttl: Duration) -> NewToken {
        let mut terms = NewToken::default();
        terms.uses = uses;
        terms.ttl = ttl;
        terms.tags = vec!["lab=1".parse().unwrap()];
        terms
    }

    fn record(uses: u32) -> TokenRecord {
        let terms = terms(uses, Duration::from_micros(END.unsigned_abs()));
        TokenRecord::new(&token(), &terms, Timestamp::from_micros(0)).unwrap()
    }

    fn used(uses: u32) -> TokenRecord {
        match admit(Some(&record(uses)), KEY, 1, FIRST) {
            Ok(Admission::Admit { record, .. }) => record,
            other => panic!("a fresh token admits: {other:?}"),
        }
    }

    fn admit(
        record: Option<&TokenRecord>,
        key: SpkiHash,
        now: i64,
        fresh: WorkerId,
    ) -> Result<Admission, Denial> {
        TokenRecord::admit(
            record,
            token().secret(),
            key,
            Timestamp::from_micros(now),
            fresh,
        )
    }

    #[test]
    fn first_use_admits_and_consumes() {
        let after = used(2);
        assert_eq!(after.uses_left, 1);
        assert_eq!(after.admitted, BTreeMap::from([(KEY, FIRST)]));
        assert_eq!(
            TokenRecord {
                uses_left: 2,
                admitted: BTreeMap::new(),
                ..after
            },
            record(2)
        );
    }

    #[test]
    fn xe7_same_key_is_the_same_worker_and_costs_no_use() {
        let again = Ok(Admission::Again { worker: FIRST });
        assert_eq!(admit(Some(&used(1)), KEY, END - 1, SECOND), again);
        assert_eq!(admit(Some(&used(2)), KEY, 2, SECOND), again);
        assert_eq!(
            admit(Some(&used(1)), KEY, END, SECOND),
            Err(Denial::Expired)
        );
    }

    #[test]
    fn xe8_other_key_is_refused_once_used_up() {
        assert_eq!(
            admit(Some(&used(1)), OTHER_KEY, 2, SECOND),
            Err(Denial::UsedUp)
        );
        let Ok(Admission::Admit { worker, record }) = admit(Some(&used(2)), OTHER_KEY, 2, SECOND)
        else {
            panic!("one use is left");
        };
        assert_eq!(
            (worker, record.uses_left, record.admitted.len()),
            (SECOND, 0, 2)
        );
    }

    #[test]
    fn xe6_every_cause_is_told_apart_inside_and_alike_outside() {
        let wrong = JoinSecret::from_slice(&[8; 32]).unwrap();
        let now = Timestamp::from_micros(1);
        let with_wrong =
            |record: Option<&TokenRecord>| TokenRecord::admit(record, &wrong, KEY, now, FIRST);
        assert_eq!(with_wrong(None), Err(Denial::Unknown));
        assert_eq!(with_wrong(Some(&record(1))), Err(Denial::WrongSecret));
        assert_eq!(
            with_wrong(Some(&used(1))),
            Err(Denial::WrongSecret),
            "even for a known key"
        );
        assert_eq!(admit(None, KEY, 1, FIRST), Err(Denial::Unknown));
        assert_eq!(
            admit(Some(&record(1)), KEY, END, FIRST),
            Err(Denial::Expired)
        );
        let revoked = TokenRecord {
            revoked: true,
            ..used(2)
        };
        assert_eq!(
            admit(Some(&revoked), KEY, 1, FIRST),
            Err(Denial::Revoked),
            "repeats included"
        );
        assert_eq!(
            admit(Some(&revoked), OTHER_KEY, 1, FIRST),
            Err(Denial::Revoked)
        );
        for word in ["unknown", "expired", "used", "revoked", "wrong"] {
            assert!(!Denial::PUBLIC_TEXT.contains(word));
        }
    }

    #[test]
    fn refuse_terms_out_of_bounds() {
        let new = |uses, ttl| {
            TokenRecord::new(&token(), &terms(uses, ttl), Timestamp::from_micros(5)).map(drop)
        };
        let tick = Duration::from_micros(1);
        assert_eq!(new(0, tick), Err(InvalidTerms::Uses { uses: 0 }));
        let too_many = MAX_TOKEN_USES + 1;
        assert_eq!(
            new(too_many, tick),
            Err(InvalidTerms::Uses { uses: too_many })
        );
        assert_eq!(new(1, Duration::ZERO), Err(InvalidTerms::Ttl));
        assert_eq!(new(1, MAX_TOKEN_TTL + tick), Err(InvalidTerms::Ttl));
        assert_eq!(new(MAX_TOKEN_USES, MAX_TOKEN_TTL), Ok(()));
        let mut tagged = terms(1, tick);
        tagged.tags = vec!["x".parse().unwrap(); MAX_TOKEN_TAGS + 1];
        let refused = TokenRecord::new(&token(), &tagged, Timestamp::from_micros(5));
        assert_eq!(
            refused,
            Err(InvalidTerms::TooManyTags {
                tags: MAX_TOKEN_TAGS + 1
            })
        );
    }

    #[test]
    fn record_is_readable_json_without_the_secret() {
        let json = serde_json::to_string(&used(2)).unwrap();
        assert_eq!(serde_json::from_str::<TokenRecord>(&json).unwrap(), used(2));
        assert!(json.contains(&KEY.to_string()), "{json}");
        let secret = data_encoding::HEXLOWER.encode(token().secret().expose());
        assert!(!json.contains(&secret));
        assert_eq!(used(2).info().uses_left, 1);
        assert_eq!(used(2).info().tags, used(2).tags);
    }
}
