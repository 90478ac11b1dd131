//! What a master does with the jobs.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use futures_util::StreamExt;
use futures_util::stream;
use jobyard_benches::consumption::own_memory_kib;
use jobyard_clock::SystemClock;
use jobyard_core::{
    BootId, Caller, Clock, ExecutorSpec, Hello, JobId, JobSpec, Jobs, MAX_SUBMIT_JOBS,
    MasterMessage, NewJob, TagSet, Transport, ValidSpec, WorkerFacts, WorkerMessage,
};
use jobyard_master::{Master, MasterConfig};
use jobyard_pki::LocalAuthority;
use jobyard_store::{FileLogs, SqliteOptions, SqliteStore};
use jobyard_transport::InProcess;
use uuid::Uuid;

use crate::facts::{Facts, figure};
use crate::phase::Kind;

/// The database in a round's directory.
pub(crate) const DATABASE: &str = "master.db";

/// How many calls wait for their answer at once.
const IN_FLIGHT: usize = 8;

/// A master that accepts all jobs.
pub(crate) async fn submit(kind: Kind, jobs: usize, dir: &Path) -> Result<Facts> {
    let mut facts = Facts::default();
    let master = start(dir).await?;
    let before = memory()?;
    let begun = Instant::now();
    let calls = stream::iter((0..jobs).step_by(MAX_SUBMIT_JOBS)).map(|first| {
        let batch = (first..jobs.min(first + MAX_SUBMIT_JOBS)).map(|number| job(kind, number));
        let master = master.clone();
        async move {
            let batch = batch.collect::<Result<_>>()?;
            master.submit(&Caller::host(), batch).await?;
            Ok::<_, anyhow::Error>(())
        }
    });
    let mut calls = calls.buffer_unordered(IN_FLIGHT);
    while let Some(answer) = calls.next().await {
        answer?;
    }
    facts.seconds("submit", begun.elapsed());
    facts.set("submit bytes", memory()? - before);
    master.shutdown().await;
    Ok(facts)
}

/// A master that starts on all jobs, until a worker has been sent the first.
pub(crate) async fn restart(dir: &Path) -> Result<Facts> {
    let mut facts = Facts::default();
    let before = memory()?;
    let begun = Instant::now();
    let master = start(dir).await?;
    facts.seconds("started", begun.elapsed());
    facts.set("restart bytes", memory()? - before);
    let worker = match master.admit_local("bench").await {
        Ok(worker) => worker,
        Err(refusal) => bail!("the worker was refused: {refusal:?}"),
    };
    let transport = InProcess::new(worker, Arc::new(master.clone()));
    let mut session = transport.connect(hello()?).await?;
    'dispatched: loop {
        for message in session.control.receiver.receive().await? {
            match message {
                // The first word of a worker says that it has taken in what it was told about its attempts.
                MasterMessage::Welcome(_) => {
                    let first = vec![WorkerMessage::Heartbeat];
                    session.control.sender.send(first).await?;
                }
                MasterMessage::Assign(_) => break 'dispatched,
                _ => {}
            }
        }
    }
    facts.seconds("dispatched", begun.elapsed());
    drop(session);
    master.shutdown().await;
    Ok(facts)
}

async fn start(dir: &Path) -> Result<Master> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store = SqliteStore::open(dir.join(DATABASE), &SqliteOptions::default())?;
    let logs = FileLogs::open(dir.join("logs"))?;
    let authority = LocalAuthority::open_or_create(&dir.join("pki"), Arc::clone(&clock))?;
    let config = MasterConfig::new(
        "bench",
        Arc::new(store),
        Arc::new(logs),
        Arc::new(authority),
        clock,
    );
    Ok(Master::start(config).await?)
}

fn job(kind: Kind, number: usize) -> Result<NewJob> {
    let id = JobId::from_uuid(Uuid::now_v7());
    Ok(NewJob::new(id, spec(kind, number)?))
}

/// What a small job of a build looks like.
fn spec(kind: Kind, number: usize) -> Result<ValidSpec> {
    let own = match kind {
        Kind::Shared => 0,
        Kind::Own => number,
    };
    let config = format!(
        r#"{{"command":["/usr/bin/make","-C","src","target"],"env":{{"NUMBER":"{own}","STAGE":"test"}}}}"#
    );
    Ok(JobSpec::new(ExecutorSpec::new("process", config)).validate()?)
}

fn hello() -> Result<Hello> {
    let mut tags = TagSet::new();
    tags.insert("executor=process".parse()?)?;
    let boot = |number| BootId::from_uuid(Uuid::from_u128(number));
    Ok(Hello::new(
        boot(1),
        boot(2),
        WorkerFacts::default(),
        tags,
        1,
    ))
}

/// Memory of this process that is not a file's, in bytes.
fn memory() -> Result<f64> {
    Ok(figure(own_memory_kib(std::process::id())? * 1_024))
}
