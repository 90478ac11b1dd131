//! A master without its network side, on stores that a test chooses.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jobyard_clock::SystemClock;
use jobyard_core::{
    Admin, Caller, Clock, ControlError, Event, EventQuery, EventStream, ExecutorSpec, Happening,
    Job, JobId, JobSpec, Jobs, LogStore, NewJob, Role, StopOptions, Store,
};
use jobyard_master::{Master, MasterConfig};
use jobyard_pki::LocalAuthority;
use jobyard_store::{FileLogs, SqliteOptions, SqliteStore};
use uuid::Uuid;

/// Nothing that a test waits for takes this long on any machine.
pub(crate) const GUARD: Duration = Duration::from_mins(2);

/// A master's parts in this directory, with a SQLite store.
pub(crate) fn parts(data: &Path) -> MasterConfig {
    let store = SqliteStore::open(data.join("master.db"), &SqliteOptions::default());
    parts_with(data, Arc::new(store.expect("a store")))
}

/// The same with this store.
pub(crate) fn parts_with(data: &Path, store: Arc<dyn Store>) -> MasterConfig {
    let logs: Arc<dyn LogStore> = Arc::new(FileLogs::open(data.join("logs")).expect("logs"));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let authority = LocalAuthority::open_or_create(&data.join("pki"), Arc::clone(&clock));
    let authority = Arc::new(authority.expect("an authority"));
    MasterConfig::new("test", store, logs, authority, clock)
}

pub(crate) async fn start(parts: MasterConfig) -> Master {
    Master::start(parts).await.expect("it starts")
}

pub(crate) fn host() -> Caller {
    Caller::host()
}

/// A call that may be repeated under this id.
pub(crate) fn again(n: u128) -> Caller {
    let mut caller = Caller::new("ann", Role::Admin);
    caller.request = Some(jobyard_core::RequestId::from_uuid(Uuid::from_u128(n)));
    caller
}

pub(crate) fn id(n: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn new_job(n: u128, command: &str) -> NewJob {
    let config = format!(r#"{{"command": ["{command}"]}}"#);
    let spec = JobSpec::new(ExecutorSpec::new("process", config));
    NewJob::new(id(n), spec.validate().expect("a valid spec"))
}

pub(crate) async fn submit(master: &Master, n: u128) -> Result<bool, ControlError> {
    let submitted = master.submit(&host(), vec![new_job(n, "true")]).await?;
    Ok(submitted[0].created)
}

/// A job that is over: it was stopped while it waited.
pub(crate) async fn over(master: &Master, n: u128) -> Job {
    submit(master, n).await.expect("accepted");
    let options = StopOptions::default();
    master.stop(&host(), id(n), options).await.expect("stopped");
    master.wait(&host(), id(n)).await.expect("over")
}

pub(crate) async fn events(master: &Master, from: Option<u64>, follow: bool) -> EventStream {
    let query = EventQuery::new(from, follow);
    master.events(&host(), query).await.expect("a stream")
}

/// The next event.
pub(crate) async fn next(events: &mut EventStream) -> Event {
    let event = tokio::time::timeout(GUARD, events.next()).await;
    let event = event.expect("in time").expect("it goes on");
    event.expect("an event")
}

/// Everything up to the end.
pub(crate) async fn all(events: EventStream) -> Vec<Event> {
    let all: Vec<Result<Event, ControlError>> = events.collect().await;
    all.into_iter()
        .map(|event| event.expect("an event"))
        .collect()
}

/// Reads on until this happens.
pub(crate) async fn until(events: &mut EventStream, wanted: impl Fn(&Happening) -> bool) -> Event {
    loop {
        let event = next(events).await;
        if wanted(&event.what) {
            return event;
        }
    }
}
