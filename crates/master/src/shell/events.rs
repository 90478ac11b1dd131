//! Readers of what happened: each reads the store at its own speed, and is woken by commits.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream;
use jobyard_core::{Action, Caller, ControlError, Event, EventQuery, EventStream, RecordQuery};
use tokio::sync::watch;

use super::control::{damaged, failed};
use super::requests::stopped;
use super::shared::{Progress, Shared};
use crate::records::{EVENT, KeptEvent, read_events};

/// How many records a reader takes at once. One holds up to some hundred KiB, most hold little.
const PAGE_RECORDS: usize = 16;

/// Begins to read. Nothing is done that the reader does not ask for, and nothing is left once the stream is dropped.
pub(super) async fn read(
    shared: &Arc<Shared>,
    caller: &Caller,
    query: EventQuery,
) -> Result<EventStream, ControlError> {
    let progress = shared.progress.subscribe();
    let newest = progress.borrow().event_seq;
    let oldest = oldest(shared).await?;
    let next = match query.from {
        None if query.follow => newest + 1,
        None | Some(0) => oldest,
        Some(from) if from < oldest => return Err(ControlError::Gone { oldest }),
        Some(from) => from,
    };
    let reader = Reader {
        shared: Arc::clone(shared),
        caller: caller.clone(),
        progress,
        next,
        end: (!query.follow).then_some(newest),
        ready: VecDeque::new(),
        is_over: false,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let item = reader.next().await?;
        Some((item, reader))
    });
    Ok(Box::pin(events))
}

/// The place of the oldest event that is kept; 1 if there is none.
async fn oldest(shared: &Shared) -> Result<u64, ControlError> {
    let events = page(shared, 0, 1).await?;
    Ok(events.first().map_or(1, |kept| kept.event.seq))
}

/// Events from the record on that holds the one after this place.
async fn page(shared: &Shared, after: u64, records: usize) -> Result<Vec<KeptEvent>, ControlError> {
    let mut query = RecordQuery::new(EVENT, records);
    query.ascending = true;
    query.after = Some(after);
    let page = shared.config.store.list(query).await.map_err(failed)?;
    let mut events = Vec::new();
    for record in &page.records {
        events.extend(read_events(record).map_err(damaged)?);
    }
    Ok(events)
}

struct Reader {
    shared: Arc<Shared>,
    caller: Caller,
    progress: watch::Receiver<Progress>,
    /// The place of the next event to read.
    next: u64,
    /// The last one to read; `None`: there is no last one.
    end: Option<u64>,
    /// Read, and not yet given.
    ready: VecDeque<Event>,
    is_over: bool,
}

impl Reader {
    /// The next event; `None` at the end, which comes after an error too.
    async fn next(&mut self) -> Option<Result<Event, ControlError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.is_over || self.end.is_some_and(|end| self.next > end) {
                return None;
            }
            if let Err(problem) = self.read_on().await {
                self.is_over = true;
                return Some(Err(problem));
            }
        }
    }

    /// Reads another page, or waits until there is one.
    async fn read_on(&mut self) -> Result<(), ControlError> {
        // Seen before the page is read: what comes after it wakes.
        let newest = self.progress.borrow_and_update().event_seq;
        if newest < self.next {
            return self.wait().await;
        }
        let next = self.next;
        let events = page(&self.shared, next - 1, PAGE_RECORDS).await?;
        let mut events = events
            .into_iter()
            .filter(|kept| kept.event.seq >= next)
            .peekable();
        match events.peek().map(|kept| kept.event.seq) {
            Some(first) if first == next => {}
            Some(oldest) => return Err(ControlError::Gone { oldest }),
            None => {
                let problem = format!("the event {next} is missing");
                return Err(ControlError::Internal { problem });
            }
        }
        for KeptEvent { event, owner } in events {
            if self.end.is_some_and(|end| event.seq > end) {
                break;
            }
            self.next = event.seq + 1;
            let authorizer = &self.shared.config.authorizer;
            let is_visible = owner.is_none_or(|owner| {
                let owner = owner.as_str();
                authorizer.allows(&self.caller, Action::ReadJob { owner })
            });
            if is_visible {
                self.ready.push_back(event);
            }
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), ControlError> {
        tokio::select! {
            result = self.progress.changed() => result.map_err(|_| stopped()),
            () = self.shared.stopping.cancelled() => Err(stopped()),
        }
    }
}
