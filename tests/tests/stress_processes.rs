//! Thousands of jobs that leave as much behind as they can, through one launcher: afterwards nothing is left of them.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_core::{
    AttemptContext, AttemptId, AttemptNumber, Executor, ExecutorSpec, Exit, JobId, JobSpec, Output,
    OutputSink, OutputStream, PROCESS_EXECUTOR, StopSignal,
};
use jobyard_executor::launcher::{Launcher, LauncherCommand};
use jobyard_executor::{ProcessConfig, ProcessExecutor};
use jobyard_tests::{GUARD, Process, control_groups, descendants, program};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many jobs each round has, of which every third ends by itself.
const JOBS: usize = 2_000;
/// How many rounds; the variable `JOBYARD_STRESS_ROUNDS` asks for more, to tell a leak from noise.
const ROUNDS: usize = 3;
/// How many run at once.
const AT_ONCE: usize = 48;
/// How much more memory launcher and agent may hold after the third round than after the second. The launcher has one
/// thread, and a leak of sixty-four bytes for each job would be as much. In the agent the threads of the runtime take turns
/// with what they allocate, so that pages fill up for many rounds although as much is given back as is taken.
const NOISE: [u64; 2] = [128 * 1024, 512 * 1024];

/// Each leaves two processes that ignore signals and hold the output open; one has forked twice and is in a session of its
/// own. Then it ends, or becomes such a process itself, or stops itself.
const JOB: &str = "trap '' TERM HUP\n\
    (setsid sleep 1000 &)\n\
    sleep 1000 &\n\
    echo ready\n\
    case $1 in\n\
    0) exit 3;;\n\
    1) exec sleep 1000;;\n\
    2) while :; do kill -STOP $$; done;;\n\
    esac\n";

/// Counts what is printed.
#[derive(Default)]
struct Counter(watch::Sender<usize>);

#[async_trait]
impl OutputSink for Counter {
    async fn write(&self, _stream: OutputStream, bytes: Bytes) {
        self.0.send_modify(|count| *count += bytes.len());
    }
}

/// One job, from its start to its end.
async fn run(executor: Arc<ProcessExecutor>, base: PathBuf, mark: String, number: usize) {
    let kind = (number % 3).to_string();
    let script = base.join("job.sh");
    let config = ProcessConfig::command(["sh", script.to_str().expect("UTF-8"), &kind])
        .with_env("JOBYARD_STRESS", mark)
        .to_config_string();
    let spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config));
    let job = JobId::from_uuid(uuid::Uuid::now_v7());
    let attempt = AttemptId::new(job, AttemptNumber::FIRST);
    let scratch = base.join("scratch").join(job.to_string());
    let context = AttemptContext::new(attempt, spec.validate().expect("valid"), scratch);
    let sink = Arc::new(Counter::default());
    let mut printed = sink.0.subscribe();

    let started = executor.start(context, Output::new(sink)).await;
    let execution = started.unwrap_or_else(|error| panic!("{error}"));
    let expected = if kind == "0" {
        Exit::Exited(3)
    } else {
        printed
            .wait_for(|count| *count > 0)
            .await
            .expect("it says that it is ready");
        if number.is_multiple_of(2) {
            execution
                .signal(StopSignal::Interrupt)
                .await
                .expect("it runs");
        }
        execution.kill().await.expect("it runs");
        Exit::Signaled(9)
    };
    let exit = execution.wait().await.expect("the launcher lives");
    // Interrupts are not ignored.
    assert!(exit == expected || exit == Exit::Signaled(2), "{exit}");
    let residue = execution.cleanup().await;
    assert!(residue.killed >= 2 && !residue.unconfirmed, "{residue:?}");
    executor.forget(attempt).await;
    assert_eq!(*printed.borrow(), "ready\n".len());
}

async fn round(executor: &Arc<ProcessExecutor>, base: &Path, mark: &str) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut jobs = JoinSet::new();
    for number in 0..JOBS {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .expect("never closed");
        let job = run(
            Arc::clone(executor),
            base.to_owned(),
            mark.to_owned(),
            number,
        );
        jobs.spawn(async move {
            timeout(GUARD, job).await.expect("in time");
            drop(place);
        });
        while let Some(done) = jobs.try_join_next() {
            done.expect("every one of them ends well");
        }
    }
    while let Some(done) = jobs.join_next().await {
        done.expect("every one of them ends well");
    }
}

/// All processes that have this in their environment.
fn marked(mark: &str) -> Vec<String> {
    let has_it = |pid: &String| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(mark)
    };
    let entries = fs::read_dir("/proc").expect("Linux").flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let pids = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    pids.filter(has_it).collect()
}

fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

#[test]
fn thousands_of_jobs_leave_no_process_no_group_no_file_and_no_memory() {
    // Few threads, so that little memory waits for them.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(2).build();
    runtime.expect("a runtime").block_on(rounds());
}

async fn rounds() {
    let base = tempfile::tempdir().expect("a directory");
    fs::create_dir(base.path().join("scratch")).expect("made");
    fs::write(base.path().join("job.sh"), JOB).expect("written");
    let mark = format!("stress-of-{}", uuid::Uuid::now_v7());
    let launchers = base.path().join("launcher");
    let command = LauncherCommand::Program(program("jobyard-launcher"));
    let launcher = Launcher::open(&launchers, command)
        .await
        .expect("a launcher");
    let launcher_process = Process::find(launcher.pid().expect("it lives")).expect("it lives");
    let agent_process = Process::find(std::process::id()).expect("that is us");
    let id = fs::read_dir(&launchers)
        .expect("there")
        .flatten()
        .next()
        .expect("one");
    let id = id.file_name().into_string().expect("UTF-8");
    let executor =
        Arc::new(ProcessExecutor::launched(launcher.clone()).with_drain(std::time::Duration::ZERO));

    let number = std::env::var("JOBYARD_STRESS_ROUNDS").ok();
    let number = number.and_then(|number| number.parse().ok());
    let mut held = Vec::new();
    for number in 1..=number.unwrap_or(ROUNDS) {
        let begun = std::time::Instant::now();
        round(&executor, base.path(), &mark).await;
        let now = [&launcher_process, &agent_process]
            .map(|process| (process.resident_bytes(), process.descriptors()));
        println!(
            "round {number}: {JOBS} jobs in {:?}; launcher and agent hold {now:?} (bytes, descriptors)",
            begun.elapsed()
        );
        held.push(now);
        let left = descendants(launcher_process.pid());
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(marked(&mark), [] as [String; 0]);
    }
    let last = &held[held.len() - 2..];
    for ((before, after), noise) in last[0].iter().zip(&last[1]).zip(NOISE) {
        assert!(after.0 <= before.0 + noise, "{held:?}");
        assert_eq!(after.1, before.1, "descriptors: {held:?}");
    }

    // Nothing ran as anything but this launcher's, and nothing is left when it goes.
    launcher_process.terminate();
    drop((executor, launcher));
    launcher_process.wait_for_end();
    assert_eq!(control_groups(&id), [] as [PathBuf; 0]);
    assert_eq!(entries(&base.path().join("scratch")), 0);
}
