//! The contract of stores: what the master remembers.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Epoch;

/// How many changes one batch holds at most: large against the cost of an fsync, small against memory.
pub const MAX_BATCH_CHANGES: usize = 16_384;

/// How many records one page holds at most.
pub const MAX_PAGE: usize = 1_000;

/// Remembers records durably for one leader at a time.
///
/// A record has a kind, a key, a version, a body that the store does not look into, and the few fields by which
/// people search. Typed helpers above this trait make them, so that a new kind of thing never breaks a store.
///
/// # Contract
///
/// * **Leadership.** Epochs grow strictly, above `at_least`. A commit, load or prune under an older epoch fails with
///   `Fenced`, always; this and not the leader's own belief is what keeps two masters apart.
/// * **Commit** is all or nothing and durable on return. Commits are seen in order. Within an epoch, batches are
///   numbered from 1 without holes; a batch whose number was committed already is answered with success and has no
///   second effect, so a batch may be repeated after a lost answer.
/// * **Reads** see every commit that has returned before the read was asked for.
/// * **Damage.** What a read returns is what was written. A store that finds otherwise says [`LoadError::Damaged`] and
///   names the record, or [`LoadError::Corrupt`] if it cannot tell which; the other records stay readable one by one.
/// * **A failure to make bytes durable is final.** After it the store answers every write with
///   [`CommitError::Broken`] until it is opened anew: a second attempt to make the same bytes durable may succeed
///   without having written them.
/// * **Cancel-safety.** A dropped commit may or may not have happened; repeat it with the same number.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Becomes the leader, or says who is. `at_least` is the highest epoch that is known to have been used anywhere.
    /// A store that only one process can open ignores `ttl`.
    async fn lead(
        &self,
        holder: &str,
        ttl: Duration,
        at_least: Epoch,
    ) -> Result<Leadership, LeadError>;

    /// Stays the leader for another `ttl`.
    async fn renew(&self, epoch: Epoch, ttl: Duration) -> Result<(), LeadError>;

    /// Steps down, so that another may lead at once.
    async fn resign(&self, epoch: Epoch) -> Result<(), LeadError>;

    /// Every record that is marked as live, by kind in the order of `kinds`, within a kind by the order field.
    /// Streamed: [`Snapshot::next`] gives the next portion, so that a million records need no second copy.
    async fn load(
        &self,
        epoch: Epoch,
        kinds: &[RecordKind],
    ) -> Result<Box<dyn Snapshot>, LoadError>;

    /// Makes a batch durable.
    async fn commit(&self, epoch: Epoch, batch: Batch) -> Result<(), CommitError>;

    /// One record.
    async fn get(&self, kind: RecordKind, key: &str) -> Result<Option<Record>, LoadError>;

    /// Several records of one kind, in the order of the keys. A store that can do better than one by one should.
    async fn get_many(
        &self,
        kind: RecordKind,
        keys: &[String],
    ) -> Result<Vec<Option<Record>>, LoadError> {
        let mut records = Vec::with_capacity(keys.len());
        for key in keys {
            records.push(self.get(kind, key).await?);
        }
        Ok(records)
    }

    /// A page of records of one kind, by the order field, newest first unless the query says otherwise. Stable under
    /// inserts: a cursor names a place in the order, not a count.
    async fn list(&self, query: RecordQuery) -> Result<RecordPage, LoadError>;

    /// Removes records of one kind that are not live and whose order field lies below `before`, at most `limit` of
    /// them, and says how many those were. Bounded work per call.
    async fn prune(
        &self,
        epoch: Epoch,
        kind: RecordKind,
        before: u64,
        limit: usize,
    ) -> Result<usize, CommitError>;

    /// Records of one kind that are not live and whose [`Fields::ended`] lies below `before`, at most `limit` of them
    /// (1 to [`MAX_PAGE`]), the first that ended first. Whoever removes what it gave finds the next ones by asking
    /// again, so there is no cursor, and many may have ended at the same moment.
    ///
    /// This is how finished things are forgotten by age and by count, with a batch that removes them and leaves a
    /// [`TOMBSTONE`] for each. The work per call should be bounded by `limit`; this default walks along
    /// [`list`](Self::list) and is for small stores.
    async fn oldest_ended(
        &self,
        kind: RecordKind,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Record>, LoadError> {
        first_ended(self, kind, limit, |(ended, _)| *ended < before).await
    }

    /// Records of one kind that are not live and have ended, the first that ended first, beyond one that ended then and
    /// has this key; at most `limit` of them (1 to [`MAX_PAGE`]). Those that ended at the same moment are in the order of
    /// their keys. For whoever walks along what is over and lets it stay. This default walks along [`list`](Self::list)
    /// and is for small stores.
    async fn ended_after(
        &self,
        kind: RecordKind,
        after: Option<(u64, String)>,
        limit: usize,
    ) -> Result<Vec<Record>, LoadError> {
        let is_beyond = |place: &_| after.as_ref().is_none_or(|after| after < place);
        first_ended(self, kind, limit, is_beyond).await
    }

    /// How many records of one kind are live, or are not. Walks along all of them, in an index if there is one: for the
    /// start of a term, from where its leader counts on by itself.
    async fn count(&self, kind: RecordKind, live: bool) -> Result<u64, LoadError> {
        let mut query = RecordQuery::new(kind, MAX_PAGE);
        query.live = Some(live);
        let mut count = 0;
        loop {
            let page = self.list(query.clone()).await?;
            count += page.records.len() as u64;
            query.after = page.next;
            if query.after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Whether there is room for more than what is needed to finish what has begun. Cheap: may be asked before each
    /// admission. Whoever admits refuses new work while it is [`Room::Low`]; commits for work that was admitted go on
    /// until the store says [`CommitError::Full`].
    async fn room(&self) -> Room {
        Room::Enough
    }
}

/// Records that have ended and are wanted by when they did and by their keys, in that order: by a walk along all.
async fn first_ended<S: Store + ?Sized>(
    store: &S,
    kind: RecordKind,
    limit: usize,
    is_wanted: impl Fn(&(u64, String)) -> bool + Send + Sync,
) -> Result<Vec<Record>, LoadError> {
    if limit == 0 || limit > MAX_PAGE {
        return Err(LoadError::BadQuery {
            problem: "a page holds 1 to 1000 records",
        });
    }
    let mut query = RecordQuery::new(kind, MAX_PAGE);
    query.ascending = true;
    query.live = Some(false);
    let mut found: Vec<((u64, String), Record)> = Vec::new();
    loop {
        let page = store.list(query.clone()).await?;
        let ended = page.records.into_iter().filter_map(|record| {
            let place = (record.fields.ended?, record.key.clone());
            is_wanted(&place).then_some((place, record))
        });
        found.extend(ended);
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.truncate(limit);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(found.into_iter().map(|(_, record)| record).collect());
        }
    }
}

/// How much room a store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Room {
    /// Enough for new work.
    Enough,
    /// What is left is kept for finishing what was admitted.
    Low {
        /// How many bytes are left.
        free_bytes: u64,
        /// Below how many new work is to be refused.
        watermark_bytes: u64,
    },
}

impl Room {
    /// Whether new work may be admitted.
    pub const fn is_enough(&self) -> bool {
        matches!(self, Self::Enough)
    }
}

/// Records of a load, portion by portion.
#[async_trait]
pub trait Snapshot: Send {
    /// The next portion; empty at the end.
    async fn next(&mut self) -> Result<Vec<Record>, LoadError>;
}

/// A term that was won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leadership {
    /// The term.
    pub epoch: Epoch,
}

impl Leadership {
    /// Of this term.
    pub const fn new(epoch: Epoch) -> Self {
        Self { epoch }
    }
}

/// What kind of thing a record describes: a short lower-case word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKind(pub &'static str);

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The kind of what stays of a record that was forgotten: see [`Record::tombstone`].
pub const TOMBSTONE: RecordKind = RecordKind("tomb");

/// One thing that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// What it is.
    pub kind: RecordKind,
    /// Which one; unique within its kind.
    pub key: String,
    /// The version of the body's form, from 1.
    pub version: u32,
    /// JSON, for whoever made it.
    pub body: Bytes,
    /// What people search by.
    pub fields: Fields,
}

impl Record {
    /// A live record in form 1 without searchable fields.
    pub fn new(kind: RecordKind, key: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            kind,
            key: key.into(),
            version: 1,
            body: body.into(),
            fields: Fields::default(),
        }
    }

    /// What stays of something that was forgotten, so that its key is never given to something else: not live, found by
    /// its key alone, in the order of when it was forgotten. `body` is JSON by which a repeat can be told from another
    /// thing with the same key. Commit it in the batch that removes what it stands for.
    pub fn tombstone(key: impl Into<String>, when: u64, body: impl Into<Bytes>) -> Self {
        let mut record = Self::new(TOMBSTONE, key, body);
        record.fields.live = false;
        record.fields.order = when;
        record
    }
}

/// What people search by. All of it is repeated in the body, or derived from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fields {
    /// Whether it is needed to resume after a restart.
    pub live: bool,
    /// Its place among its kind; grows with each new record.
    pub order: u64,
    /// When it was over, in a unit of its maker's choice; below 2^63. `None` for what does not end, or has not ended.
    /// [`Store::oldest_ended`] follows it.
    pub ended: Option<u64>,
    /// Where it stands.
    pub state: Option<Cow<'static, str>>,
    /// What it is called.
    pub name: Option<String>,
    /// The group it belongs to, a queue for example.
    pub group: Option<String>,
    /// Free metadata, sorted by key.
    pub labels: Vec<(String, String)>,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            live: true,
            order: 0,
            ended: None,
            state: None,
            name: None,
            group: None,
            labels: Vec::new(),
        }
    }
}

/// One change to what is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Writes a record, in place of an older one with the same kind and key.
    Put(Record),
    /// Removes a record. Repeating it is no error.
    Remove {
        /// What it was.
        kind: RecordKind,
        /// Which one.
        key: String,
    },
}

/// Changes that happen together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Its number within its epoch, from 1.
    pub number: u64,
    /// The changes, in order; at most [`MAX_BATCH_CHANGES`].
    pub changes: Vec<Change>,
}

/// Which records to list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordQuery {
    /// Of which kind.
    pub kind: RecordKind,
    /// Only those that are live, or only those that are not.
    pub live: Option<bool>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this name.
    pub name: Option<String>,
    /// Only of this group.
    pub group: Option<String>,
    /// Only with all of these labels.
    pub labels: Vec<(String, String)>,
    /// Oldest first instead of newest first.
    pub ascending: bool,
    /// Only beyond this place in the order (see [`RecordPage::next`]).
    pub after: Option<u64>,
    /// At most this many; 1 to [`MAX_PAGE`].
    pub limit: usize,
}

impl RecordQuery {
    /// The newest records of a kind.
    pub const fn new(kind: RecordKind, limit: usize) -> Self {
        Self {
            kind,
            live: None,
            state: None,
            name: None,
            group: None,
            labels: Vec::new(),
            ascending: false,
            after: None,
            limit,
        }
    }
}

/// A page of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordPage {
    /// The records.
    pub records: Vec<Record>,
    /// What to ask for next as `after`; `None` at the end.
    pub next: Option<u64>,
}

impl RecordPage {
    /// These records, and where the next page begins.
    pub const fn new(records: Vec<Record>, next: Option<u64>) -> Self {
        Self { records, next }
    }
}

/// Why somebody does not lead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeadError {
    /// Another leads. Try again when its term may have ended.
    #[error("{holder} leads already")]
    Held {
        /// Who.
        holder: String,
    },
    /// The term is over. Give up, and load anew before leading again.
    #[error("this term is over: {current} is the newest")]
    Fenced {
        /// The newest term.
        current: Epoch,
    },
    /// The store is out of order. Try again later.
    #[error("the store failed: {problem}")]
    Storage {
        /// What it said.
        problem: String,
    },
    /// The store is out of use until it is opened anew, since bytes could not be made durable. Stop the program; at its
    /// next start it finds what was durable.
    #[error("the store is out of use until it is opened anew: {problem}")]
    Broken {
        /// What it said.
        problem: String,
    },
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The term is over. Give up.
    #[error("this term is over: {current} is the newest")]
    Fenced {
        /// The newest term.
        current: Epoch,
    },
    /// What is there is not what was written. An operator has to look at it; not worth repeating.
    #[error("the record {kind} {key} is damaged: {problem}")]
    Damaged {
        /// What it is.
        kind: RecordKind,
        /// Which one.
        key: String,
        /// What was found.
        problem: String,
    },
    /// The store is damaged where no single record can be named. An operator has to restore it from a backup; not
    /// worth repeating.
    #[error("the store is damaged: {problem}")]
    Corrupt {
        /// What was found.
        problem: String,
    },
    /// The question cannot be answered in this form. The caller's fault.
    #[error("the query is not possible: {problem}")]
    BadQuery {
        /// Why.
        problem: &'static str,
    },
    /// The store is out of order. Try again later.
    #[error("the store failed: {problem}")]
    Storage {
        /// What it said.
        problem: String,
    },
}

/// Why nothing was committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The term is over. Give up: another leads.
    #[error("this term is over: {current} is the newest")]
    Fenced {
        /// The newest term.
        current: Epoch,
    },
    /// Batches were lost on the way, or the batch is larger than allowed. A bug of the caller: end the term.
    #[error("batch {number} cannot follow: {problem}")]
    Refused {
        /// The batch.
        number: u64,
        /// Why.
        problem: &'static str,
    },
    /// No room, and nothing of the batch is in the store. Repeat it when there is room, or end the term.
    #[error("the store is full: {problem}")]
    Full {
        /// What it said.
        problem: String,
    },
    /// The store is out of order. End the term and load anew: whether the batch is in the store is not known.
    #[error("the store failed: {problem}")]
    Storage {
        /// What it said.
        problem: String,
    },
    /// Bytes could not be made durable: whether the batch is in the store is not known, and every later write gets this
    /// answer too. Stop the program; at its next start it finds what was durable.
    #[error("the store is out of use until it is opened anew: {problem}")]
    Broken {
        /// What it said.
        problem: String,
    },
}
