//! A launcher of another build, which a newer agent finds.
//!
//! There is one build here. What an older launcher says of itself is told by somebody who stands before its socket and
//! passes everything else on.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use jobyard_core::{Executor, Exit, JobId, OutputStream};
use jobyard_executor::launcher::Launcher;
use jobyard_launcher::protocol::{Decoder, Reply, SOCKET, Welcome, encode};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest, copy};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::adopt::{gated, life, open_gate, output, start};
use crate::workbench::{GUARD, Workbench, is_alive};

/// Stands before the socket of a launcher, and has it say that it is of another build.
fn disguise(dir: &Path) {
    disguise_only(dir, |welcome| "0.0.9".clone_into(&mut welcome.build));
}

/// Stands before the socket of a launcher, and has it say something else of itself.
pub(crate) fn disguise_only(dir: &Path, change: fn(&mut Welcome)) {
    let real = dir.join("socket.real");
    std::fs::rename(dir.join(SOCKET), &real).expect("a socket");
    let listener = UnixListener::bind(dir.join(SOCKET)).expect("a short path");
    tokio::spawn(async move {
        while let Ok((agent, _)) = listener.accept().await {
            tokio::spawn(pass_on(agent, real.clone(), change));
        }
    });
}

async fn pass_on(agent: UnixStream, real: PathBuf, change: fn(&mut Welcome)) {
    let Ok(launcher) = UnixStream::connect(real).await else {
        return;
    };
    let (mut from_agent, to_agent) = agent.into_split();
    let (from_launcher, mut to_launcher) = launcher.into_split();
    tokio::join!(
        async {
            let _ = copy(&mut from_agent, &mut to_launcher).await;
            let _ = to_launcher.shutdown().await;
        },
        retell(from_launcher, to_agent, change),
    );
}

/// The directory of the one launcher that there is.
pub(crate) fn only_launcher(bench: &Workbench) -> PathBuf {
    let above = bench.base.path().join("launcher");
    let mut dirs = std::fs::read_dir(above).expect("there").flatten();
    dirs.next().expect("one launcher").path()
}

/// Passes on what the launcher says, but for what it says of itself.
async fn retell(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, change: fn(&mut Welcome)) {
    let mut decoder = Decoder::default();
    let mut received = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut received).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        decoder.push(&received[..count]);
        let mut told = BytesMut::new();
        while let Some(mut reply) = decoder.decode::<Reply>().expect("of this protocol") {
            if let Reply::Welcome(welcome) = &mut reply {
                change(welcome);
            }
            encode(&reply, &mut told).expect("short enough");
        }
        if to.write_all(&told).await.is_err() {
            return;
        }
    }
}

/// Becomes readable when the process is dead.
fn watch(pid: u32) -> AsyncFd<OwnedFd> {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let process = pidfd_open(id.expect("a process"), PidfdFlags::empty()).expect("alive");
    #[expect(
        deprecated,
        reason = "its successor is unsafe, since a type could change its descriptor; this one never does"
    )]
    AsyncFd::with_interest(process, Interest::READABLE).expect("a runtime")
}

#[tokio::test]
async fn older_launcher_keeps_its_jobs_and_gets_no_new_ones_p10() {
    let (bench, gate) = gated();
    let first = life(&bench).await;
    let execution = start(&first, &bench).await;
    let old = first.launcher().and_then(Launcher::pid).expect("alive");
    execution.detach().await;
    drop(first);
    disguise(&only_launcher(&bench));

    let second = life(&bench).await;
    let new = second.launcher().and_then(Launcher::pid).expect("alive");
    assert_ne!(new, old, "starts go to a launcher of this build");
    let (sink, of_adopted) = output();
    let adopted = second.adopt(bench.context.clone(), None, of_adopted).await;
    let execution = adopted.expect("the older launcher has it");

    let (other, _) = gated();
    let mut context = other.context.clone();
    context.attempt.job = JobId::from_uuid(uuid::Uuid::now_v7());
    let (_, nowhere) = output();
    let started = second.start(context.clone(), nowhere).await;
    let beside = started.expect("the newer launcher starts it");

    open_gate(&gate, "on").await;
    assert_eq!(execution.wait().await, Ok(Exit::Exited(7)));
    execution.cleanup().await;
    assert_eq!(sink.bytes(OutputStream::Stdout), b"ready\non\n");
    let death = watch(old);
    second.forget(bench.context.attempt).await;
    timeout(GUARD, death.readable())
        .await
        .expect("it ends, since nothing is left to do")
        .expect("readable")
        .retain_ready();
    assert!(!is_alive(&old.to_string()), "nothing held it any more");

    beside.kill().await.expect("delivered");
    assert_eq!(beside.wait().await, Ok(Exit::Signaled(9)));
    beside.cleanup().await;
    second.forget(context.attempt).await;
}
