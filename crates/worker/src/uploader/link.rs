//! The life of one upload link.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{
    Link, LinkError, LinkReceiver, LinkSender, LogChunk, LogEnd, UploadAnswer, UploadFrame,
};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::pacer::{Flights, Grant};
use super::{Pacer, Places, READ_BATCH};
use crate::spool::{CHUNK_COST, LogProgress, ReadError, SEGMENT_BYTES, SpoolLog, SpoolReader};

/// How a link came to its end.
#[derive(Debug)]
pub(super) enum LinkEnd {
    /// The master has everything, and knows that this is all.
    Sealed,
    /// Others wait for a link, and nothing is left to send at the moment, or it has had its [`Share`]. The master has
    /// everything below this offset, which is all that was sent; or what it lacks of that never comes.
    MadeRoom { durable: u64 },
    /// It broke, or was refused.
    Broken(LinkError),
    /// The spool could not be read at the moment.
    Unreadable(io::Error),
}

/// Uses a link until its end.
pub(super) async fn run(
    log: &Arc<SpoolLog>,
    places: &Places,
    pacer: &Pacer,
    mut link: Link<UploadFrame, UploadAnswer>,
) -> LinkEnd {
    let (from, rest) = match first_answer(&mut *link.receiver).await {
        Ok(answers) => answers,
        Err(error) => return LinkEnd::Broken(error),
    };
    let (durable, _) = watch::channel(from);
    let flights = Flights::default();
    let answers = listen(log, &mut *link.receiver, rest, &durable, &flights);
    let way = Way {
        places,
        pacer,
        flights: &flights,
        durable: durable.subscribe(),
    };
    let sending = send(log, way, &mut *link.sender, from);
    tokio::pin!(answers);
    tokio::select! {
        end = &mut answers => return end,
        sent = sending => match sent {
            Sent::Everything => {}
            Sent::Stopped(end) => return end,
        },
    }
    answers.await
}

/// Where to begin, and what came with that.
async fn first_answer(
    receiver: &mut dyn LinkReceiver<UploadAnswer>,
) -> Result<(u64, Vec<UploadAnswer>), LinkError> {
    let mut answers = receiver.receive().await?;
    match answers.first() {
        Some(UploadAnswer::ResumeAt(offset)) => {
            let offset = *offset;
            answers.remove(0);
            Ok((offset, answers))
        }
        _ => Err(LinkError::Lost {
            problem: "the master did not say where to begin".to_owned(),
        }),
    }
}

/// Takes the master's answers until the log is sealed.
async fn listen(
    log: &Arc<SpoolLog>,
    receiver: &mut dyn LinkReceiver<UploadAnswer>,
    mut answers: Vec<UploadAnswer>,
    durable: &watch::Sender<u64>,
    flights: &Flights,
) -> LinkEnd {
    loop {
        for answer in answers {
            match answer {
                UploadAnswer::Sealed => return LinkEnd::Sealed,
                UploadAnswer::Durable(offset) | UploadAnswer::ResumeAt(offset) => {
                    durable.send_if_modified(|durable| {
                        let grown = offset > *durable;
                        *durable = offset.max(*durable);
                        grown
                    });
                }
                // What a newer master may add changes nothing about what was sent.
                _ => {}
            }
        }
        let reached = *durable.borrow();
        flights.durable(reached);
        log.is_durable(reached);
        trim(log, reached).await;
        answers = match receiver.receive().await {
            Ok(answers) => answers,
            Err(error) => return LinkEnd::Broken(error),
        };
    }
}

/// Deletes what the master has, when it is enough to be worth it.
async fn trim(log: &Arc<SpoolLog>, durable: u64) {
    if durable >= log.first().saturating_add(SEGMENT_BYTES) {
        let log = Arc::clone(log);
        // Fails only when the runtime ends.
        let _ = spawn_blocking(move || log.trim(durable)).await;
    }
}

/// What sending came to.
enum Sent {
    /// All output and its end.
    Everything,
    /// Not everything.
    Stopped(LinkEnd),
}

/// What sending goes by.
struct Way<'a> {
    places: &'a Places,
    pacer: &'a Pacer,
    flights: &'a Flights,
    durable: watch::Receiver<u64>,
}

/// Sends output as it comes, and its end.
async fn send(
    log: &Arc<SpoolLog>,
    mut way: Way<'_>,
    sender: &mut dyn LinkSender<UploadFrame>,
    from: u64,
) -> Sent {
    let mut progress = log.watch();
    let mut reader = SpoolReader::new(Arc::clone(log), from);
    let share = Share::begin(from);
    loop {
        // Seen before the read, so that what is read then is all there is.
        let LogProgress { end, closed } = *progress.borrow_and_update();
        if reader.offset() < end {
            if share.is_used_up(reader.offset()) && way.places.are_wanted() {
                let durable = all_durable(&mut way.durable, reader.offset()).await;
                return Sent::Stopped(LinkEnd::MadeRoom { durable });
            }
            let grant = way.pacer.grant(READ_BATCH).await;
            let chunks;
            (reader, chunks) = match read(reader, &grant).await {
                Ok(read) => read,
                Err(ReadError::Io(error)) => return Sent::Stopped(LinkEnd::Unreadable(error)),
                Err(error) => {
                    tracing::warn!(attempt = %log.attempt(), %error, "output is lost");
                    drop(grant);
                    return send_end_when_closed(log, way.places, sender).await;
                }
            };
            if !chunks.is_empty() {
                way.flights.add(grant, cost(&chunks), reader.offset());
                if let Err(error) = sender.send(vec![UploadFrame::Chunks(chunks)]).await {
                    return Sent::Stopped(LinkEnd::Broken(error));
                }
            }
            continue;
        }
        if let Some(end) = closed {
            return send_end(sender, end).await;
        }
        let sent = reader.offset();
        tokio::select! {
            // The sender of both lives as long as the link.
            _ = progress.changed() => {}
            durable = make_room(way.places, &mut way.durable, sent) => {
                return Sent::Stopped(LinkEnd::MadeRoom { durable });
            }
        }
    }
}

async fn read(
    mut reader: SpoolReader,
    grant: &Grant,
) -> Result<(SpoolReader, Vec<LogChunk>), ReadError> {
    let size = grant.size();
    let task = spawn_blocking(move || reader.read(size).map(|chunks| (reader, chunks)));
    task.await
        .unwrap_or_else(|error| Err(ReadError::Io(io::Error::other(error))))
}

/// What these chunks take of a grant.
fn cost(chunks: &[LogChunk]) -> usize {
    let cost = |chunk: &LogChunk| chunk.bytes.len() + CHUNK_COST;
    chunks.iter().map(cost).sum()
}

/// Returns when others wait for a link and the master has all that was sent.
async fn make_room(places: &Places, durable: &mut watch::Receiver<u64>, sent: u64) -> u64 {
    let reached = all_durable(durable, sent).await;
    places.wanted().await;
    reached
}

/// Returns when the master has all that was sent.
async fn all_durable(durable: &mut watch::Receiver<u64>, sent: u64) -> u64 {
    let reached = durable.wait_for(|durable| *durable >= sent).await;
    // The sender lives as long as the link.
    reached.map_or(sent, |durable| *durable)
}

/// For how long a link that always has something to send keeps its place while others wait.
struct Share {
    from: u64,
    until: Instant,
}

impl Share {
    /// How much it sends, at most, but for what it reads at once: what costs far more than opening another link.
    const BYTES: u64 = 1024 * 1024;

    /// How long it lasts, at most: a job that prints a line now and then is not to stand before all others.
    const TIME: Duration = Duration::from_secs(1);

    fn begin(from: u64) -> Self {
        Self {
            from,
            until: Instant::now() + Self::TIME,
        }
    }

    fn is_used_up(&self, sent: u64) -> bool {
        sent.saturating_sub(self.from) >= Self::BYTES || Instant::now() >= self.until
    }
}

/// What could not be read will never come: the master is told where the output would have ended. Until that is known
/// there is nothing to send, however much more comes, so that the place is for others.
async fn send_end_when_closed(
    log: &SpoolLog,
    places: &Places,
    sender: &mut dyn LinkSender<UploadFrame>,
) -> Sent {
    let mut progress = log.watch();
    let closed = progress.wait_for(|progress| progress.closed.is_some());
    let closed = tokio::select! {
        biased;
        closed = closed => closed.ok().and_then(|progress| progress.closed),
        () = places.wanted() => {
            let durable = log.progress().end;
            return Sent::Stopped(LinkEnd::MadeRoom { durable });
        }
    };
    send_end(sender, closed.unwrap_or_default()).await
}

async fn send_end(sender: &mut dyn LinkSender<UploadFrame>, end: LogEnd) -> Sent {
    match sender.send(vec![UploadFrame::End(end)]).await {
        Ok(()) => Sent::Everything,
        Err(error) => Sent::Stopped(LinkEnd::Broken(error)),
    }
}

#[cfg(test)]
mod tests;
