//! Reading output across lost connections: every byte once, in order.

use futures_util::StreamExt;
use jobyard_core::{
    AttemptId, AttemptNumber, Caller, ControlError, Jobs, LogChunk, LogItem, LogQuery, LogStatus,
    LogStream, Outcome,
};

use crate::patience::{FOLLOW_PATIENCE, Retry};

/// Follows the output of a job. When the connection is lost it connects again and goes on at the byte that it had
/// reached, so that a restart of the master neither loses nor repeats anything.
///
/// Until the master has said where the reading begins, the question goes to it as it was asked. Afterwards each attempt
/// is asked for by its number and from a byte on, because "the newest", or "the last lines", may have become others in
/// the meantime.
pub(crate) struct Follower<'a> {
    jobs: &'a dyn Jobs,
    caller: &'a Caller,
    query: LogQuery,
    place: Place,
    open: Option<Open>,
    /// Whether the master was reached at all: only then is a lost connection worth another try.
    reached: bool,
    retry: Retry,
}

/// One connection's worth of reading.
struct Open {
    items: LogStream,
    /// Whether it was asked for one attempt although the caller wants all.
    narrowed: bool,
    /// Whether it has shown anything of an attempt.
    showed: bool,
}

/// What is next.
#[derive(Debug, PartialEq)]
pub(crate) enum Followed {
    /// Output.
    Chunk {
        /// Whose.
        attempt: AttemptId,
        /// The bytes.
        chunk: LogChunk,
    },
    /// The output of one attempt is over.
    AttemptEnd {
        /// Whose.
        attempt: AttemptId,
        /// What is held of it.
        log: LogStatus,
    },
    /// The connection was lost and will be made again. Comes once for each loss.
    Lost {
        /// What is known of the cause.
        problem: ControlError,
    },
    /// Nothing follows.
    End {
        /// What became of the job; `None` if it is not finished.
        outcome: Option<Outcome>,
    },
}

/// How far the reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing was read, and where that begins is not known.
    Start,
    /// This attempt, up to this offset.
    Within(AttemptNumber, u64),
    /// This attempt was read to its end.
    After(AttemptNumber),
}

impl<'a> Follower<'a> {
    /// Reads what the query asks for. Nothing happens before the first [`next`](Self::next).
    pub(crate) const fn new(jobs: &'a dyn Jobs, caller: &'a Caller, query: LogQuery) -> Self {
        Self {
            jobs,
            caller,
            query,
            place: Place::Start,
            open: None,
            reached: false,
            retry: Retry::new(FOLLOW_PATIENCE),
        }
    }

    /// The next piece. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Followed, ControlError> {
        loop {
            let problem = match self.step().await {
                Ok(Some(followed)) => return Ok(followed),
                Ok(None) => continue,
                Err(problem) => problem,
            };
            self.open = None;
            // Whoever only reads what is there wants to know that it cannot be read; whoever follows can wait.
            let is_away = matches!(problem, ControlError::OutputAway { .. });
            if !self.reached || (is_away && !self.query.follow) {
                return Err(problem);
            }
            let first = self.retry.is_first_failure();
            self.retry.pause(problem.clone()).await?;
            if first {
                return Ok(Followed::Lost { problem });
            }
        }
    }

    /// One item of the stream; `None` if there is nothing to say about it.
    async fn step(&mut self) -> Result<Option<Followed>, ControlError> {
        if self.open.is_none() {
            let query = self.query_from_here();
            let narrowed = query.attempt != self.query.attempt;
            let items = self.jobs.logs(self.caller, query).await?;
            self.reached = true;
            self.open = Some(Open {
                items,
                narrowed,
                showed: false,
            });
        }
        let item = match &mut self.open {
            Some(open) => open.items.next().await,
            None => None,
        };
        let item = item
            .unwrap_or_else(|| Err(ControlError::unavailable("the connection ended too early")))?;
        // That is said before anything is read: the next thing may fail as the last did.
        if !matches!(item, LogItem::Begin { .. }) {
            self.retry.succeeded();
        }
        self.on_item(item)
    }

    fn query_from_here(&self) -> LogQuery {
        let (attempt, from) = match self.place {
            Place::Start => return self.query.clone(),
            Place::Within(attempt, offset) => (attempt, offset),
            Place::After(attempt) => (attempt.next(), 0),
        };
        let mut query = self.query.clone();
        // An attempt that the caller chose stays the one, even if it was read to its end already.
        query.attempt = self.query.attempt.or(Some(attempt));
        query.from = from;
        query.tail = None;
        query.tail_lines = None;
        query
    }

    fn on_item(&mut self, item: LogItem) -> Result<Option<Followed>, ControlError> {
        let (narrowed, showed) = match &self.open {
            Some(open) => (open.narrowed, open.showed),
            None => (false, false),
        };
        match item {
            LogItem::Begin { attempt, from } => {
                if self.place == Place::Start {
                    self.place = Place::Within(attempt.number, from);
                }
                Ok(None)
            }
            LogItem::Chunk { attempt, chunk } => {
                self.mark_shown();
                let Some(chunk) = self.unseen(attempt.number, chunk) else {
                    return Ok(None);
                };
                self.place = Place::Within(attempt.number, chunk.end());
                Ok(Some(Followed::Chunk { attempt, chunk }))
            }
            LogItem::AttemptEnd { attempt, log } => {
                self.mark_shown();
                if self.place == Place::After(attempt.number) {
                    return Ok(None);
                }
                self.place = Place::After(attempt.number);
                Ok(Some(Followed::AttemptEnd { attempt, log }))
            }
            // Only the attempt that we asked for is over: there may be a later one.
            LogItem::End { .. } if narrowed && showed && self.query.follow => {
                self.open = None;
                Ok(None)
            }
            LogItem::End { outcome: None } if narrowed && self.query.follow => Err(
                ControlError::unavailable("the job has no further attempt yet"),
            ),
            LogItem::End { outcome } => Ok(Some(Followed::End { outcome })),
            // Something that a later master tells.
            _ => Ok(None),
        }
    }

    fn mark_shown(&mut self) {
        if let Some(open) = &mut self.open {
            open.showed = true;
        }
    }

    /// The part of a chunk that was not read yet.
    fn unseen(&self, attempt: AttemptNumber, mut chunk: LogChunk) -> Option<LogChunk> {
        let offset = match self.place {
            Place::Within(reading, offset) if reading == attempt => offset,
            Place::After(read) if read == attempt => return None,
            _ => return Some(chunk),
        };
        if chunk.offset >= offset {
            return Some(chunk);
        }
        let seen = usize::try_from(offset - chunk.offset).ok()?;
        if seen >= chunk.bytes.len() {
            return None;
        }
        chunk.bytes = chunk.bytes.slice(seen..);
        chunk.offset = offset;
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Reply, Scripted, attempt, chunk, job_id};

    async fn read(control: &Scripted, query: LogQuery) -> (String, Vec<String>) {
        let caller = Caller::host();
        let mut follower = Follower::new(control, &caller, query);
        let (mut text, mut marks) = (String::new(), Vec::new());
        loop {
            match follower.next().await.expect("the reading goes on") {
                Followed::Chunk { chunk, .. } => {
                    text.push_str(&String::from_utf8_lossy(&chunk.bytes));
                }
                Followed::AttemptEnd { attempt, .. } => marks.push(attempt.number.to_string()),
                Followed::Lost { .. } => marks.push("lost".to_owned()),
                Followed::End { outcome } => {
                    marks.push(outcome.map_or("none".to_owned(), |outcome| outcome.to_string()));
                    return (text, marks);
                }
            }
        }
    }

    fn follow() -> LogQuery {
        let mut query = LogQuery::new(job_id());
        query.follow = true;
        query
    }

    #[expect(clippy::unnecessary_wraps, reason = "stands among results")]
    fn ended(number: u32) -> Result<LogItem, ControlError> {
        Ok(LogItem::AttemptEnd {
            attempt: attempt(number),
            log: LogStatus::open(0),
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "stands among results")]
    fn over() -> Result<LogItem, ControlError> {
        Ok(LogItem::End {
            outcome: Some(Outcome::Succeeded),
        })
    }

    fn lost() -> Result<LogItem, ControlError> {
        Err(ControlError::unavailable("restarts"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_neither_loses_nor_repeats_bytes() {
        let control = Scripted::default();
        control.logs([
            Reply::Stream(vec![chunk(1, 0, "hello "), lost()]),
            Reply::Error(ControlError::unavailable("still away")),
            // Asked from byte 6 on, and a master that begins a little earlier does no harm.
            Reply::Stream(vec![
                chunk(1, 4, "o wor"),
                chunk(1, 9, "ld"),
                ended(1),
                over(),
            ]),
            // Nothing follows attempt 1.
            Reply::Stream(vec![over()]),
        ]);
        let (text, marks) = read(&control, follow()).await;
        assert_eq!(text, "hello world");
        assert_eq!(marks, ["lost", "1", "succeeded"]);
        let asked: Vec<_> = control
            .log_queries()
            .iter()
            .map(|query| (query.attempt.map(AttemptNumber::get), query.from))
            .collect();
        assert_eq!(asked, [(None, 0), (Some(1), 6), (Some(1), 6), (Some(2), 0)]);
    }

    #[expect(clippy::unnecessary_wraps, reason = "stands among results")]
    fn begin(number: u32, from: u64) -> Result<LogItem, ControlError> {
        Ok(LogItem::Begin {
            attempt: attempt(number),
            from,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_lost_before_anything_was_printed_skips_nothing() {
        let control = Scripted::default();
        control.logs([
            Reply::Stream(vec![begin(1, 700), lost()]),
            Reply::Stream(vec![begin(1, 700), lost()]),
            // The end has moved on, and there is a newer attempt.
            Reply::Stream(vec![begin(1, 700), chunk(1, 700, "a"), ended(1), over()]),
            Reply::Stream(vec![begin(2, 0), chunk(2, 0, "b"), ended(2), over()]),
            Reply::Stream(vec![over()]),
        ]);
        let mut query = follow();
        query.tail_lines = Some(0);
        let (text, marks) = read(&control, query).await;
        assert_eq!(text, "ab");
        assert_eq!(marks, ["lost", "1", "2", "succeeded"]);
        let asked: Vec<_> = control
            .log_queries()
            .iter()
            .map(|query| {
                let attempt = query.attempt.map(AttemptNumber::get);
                (attempt, query.from, query.tail_lines)
            })
            .collect();
        let (first, again) = ((None, 0, Some(0)), (Some(1), 700, None));
        assert_eq!(
            asked,
            [first, again, again, (Some(2), 0, None), (Some(3), 0, None)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_ran_during_the_loss_are_read_too() {
        let control = Scripted::default();
        control.logs([
            Reply::Stream(vec![chunk(1, 0, "a"), ended(1), lost()]),
            Reply::Stream(vec![chunk(2, 0, "b"), ended(2), over()]),
            Reply::Stream(vec![chunk(3, 0, "c"), ended(3), over()]),
            Reply::Stream(vec![over()]),
        ]);
        let (text, marks) = read(&control, follow()).await;
        assert_eq!(text, "abc");
        assert_eq!(marks, ["1", "lost", "2", "3", "succeeded"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_just_ends_is_a_lost_connection() {
        let control = Scripted::default();
        control.logs([
            Reply::Stream(vec![]),
            Reply::Stream(vec![chunk(1, 0, "a"), ended(1), over()]),
        ]);
        let (text, marks) = read(&control, follow()).await;
        assert_eq!((text.as_str(), marks.len()), ("a", 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_chosen_attempt_stays_the_one() {
        let control = Scripted::default();
        control.logs([
            Reply::Stream(vec![chunk(2, 0, "a"), lost()]),
            Reply::Stream(vec![
                chunk(2, 1, "b"),
                ended(2),
                Ok(LogItem::End { outcome: None }),
            ]),
        ]);
        let mut query = follow();
        query.attempt = AttemptNumber::new(2);
        let (text, marks) = read(&control, query).await;
        assert_eq!(text, "ab");
        assert_eq!(marks, ["lost", "2", "none"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_connection_is_not_repeated() {
        let control = Scripted::default();
        control.logs([Reply::Error(ControlError::no_job(job_id()))]);
        let caller = Caller::host();
        let mut follower = Follower::new(&control, &caller, follow());
        assert_eq!(follower.next().await, Err(ControlError::no_job(job_id())));
    }

    #[tokio::test(start_paused = true)]
    async fn output_that_is_away_is_waited_for_by_those_who_follow() {
        let away = || ControlError::OutputAway {
            attempt: attempt(1),
            problem: "the archive of logs is not at hand".to_owned(),
        };
        let control = Scripted::default();
        control.logs([
            Reply::Stream(vec![chunk(1, 0, "a"), Err(away())]),
            Reply::Stream(vec![chunk(1, 1, "b"), ended(1), over()]),
            Reply::Stream(vec![over()]),
        ]);
        let (text, marks) = read(&control, follow()).await;
        assert_eq!(text, "ab");
        assert_eq!(marks, ["lost", "1", "succeeded"]);
        control.logs([Reply::Stream(vec![Err(away())])]);
        let caller = Caller::host();
        let mut once = Follower::new(&control, &caller, LogQuery::new(job_id()));
        assert_eq!(once.next().await, Err(away()));
    }

    #[tokio::test(start_paused = true)]
    async fn give_up_when_the_master_stays_away() {
        let control = Scripted::default();
        control.logs([Reply::Stream(vec![chunk(1, 0, "a"), lost()])]);
        let caller = Caller::host();
        let mut follower = Follower::new(&control, &caller, follow());
        let error = loop {
            match follower.next().await {
                Ok(Followed::End { .. }) => panic!("there is no end"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(error.is_temporary(), "{error}");
    }
}
