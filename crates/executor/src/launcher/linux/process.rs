//! Starting a launcher.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jobyard_launcher::ASKED;
use rustix::process::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::burial;
use crate::launcher::{LauncherCommand, LauncherOptions, OpenLauncherError};
use crate::process::DeathWatch;

/// Starts a launcher in its directory and returns when it listens.
pub(super) async fn start(options: &LauncherOptions, dir: &Path) -> Result<(), OpenLauncherError> {
    let (program, argument) = match &options.command {
        LauncherCommand::Program(path) => (path.clone(), None),
        // What runs now, even if the file was replaced meanwhile.
        LauncherCommand::CurrentExe => (PathBuf::from("/proc/self/exe"), Some(ASKED)),
        LauncherCommand::None => return Err(OpenLauncherError::NoCommand),
    };
    let mut command = Command::new(&program);
    command.args(argument).arg("--dir").arg(dir);
    command.args(["--name", &burial::name(dir)]);
    if let Some(mechanism) = options.mechanism {
        command.args(["--mechanism", mechanism.as_str()]);
    }
    if let Some(idle) = options.idle {
        command.args(["--idle-ms", &idle.as_millis().to_string()]);
    }
    let kept = std::env::vars_os().filter(|(name, _)| KEPT.iter().any(|kept| *name == **kept));
    command
        .env_clear()
        .envs(kept.collect::<Vec<_>>())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // Starting waits for the exec.
    let spawned = spawn_blocking(move || command.spawn()).await;
    let spawned = spawned.map_err(|_| OpenLauncherError::RuntimeEnds)?;
    let mut child = spawned.map_err(|source| OpenLauncherError::Start {
        program: program.clone(),
        source,
    })?;
    let stdout = child.stdout.take().map(OwnedFd::from);
    reap_when_dead(child);
    let ready = match stdout {
        Some(stdout) => timeout(PATIENCE, read_line(stdout)).await,
        None => Ok(Ok(String::new())),
    };
    let problem = match ready {
        Ok(Ok(line)) if line.starts_with(READY) => return Ok(()),
        Ok(Ok(line)) if line.trim().is_empty() => last_words(dir),
        Ok(Ok(line)) => line.trim().to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it said nothing for {} s", PATIENCE.as_secs()),
    };
    Err(OpenLauncherError::NotReady { program, problem })
}

async fn read_line(pipe: OwnedFd) -> io::Result<String> {
    let mut line = Vec::new();
    let mut pipe = Receiver::from_owned_fd(pipe)?.take(LINE);
    while !line.contains(&b'\n') {
        if pipe.read_buf(&mut line).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// What the launcher wrote for people.
fn last_words(dir: &Path) -> String {
    let mut text = String::new();
    let log = fs::File::open(dir.join(jobyard_launcher::protocol::LOG));
    let read = log.and_then(|file| file.take(LINE).read_to_string(&mut text));
    match read {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "it ended without a word".to_owned(),
    }
}

/// A launcher is a child of ours for as long as we live: once it is dead, it is waited for, so that nothing of it stays.
fn reap_when_dead(mut child: Child) {
    let Ok(death) = DeathWatch::new(Pid::from_child(&child)) else {
        return;
    };
    tokio::spawn(async move {
        death.dead().await;
        let _ = child.wait();
    });
}

/// The line that says that it listens.
const READY: &str = "ready";
/// How long it may take to find out what the machine offers, and to listen.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much is read of what it says.
const LINE: u64 = 4096;
/// What a launcher finds in its environment: what it takes to load it, and what those who measure it need.
const KEPT: [&str; 3] = ["LD_LIBRARY_PATH", "LD_PRELOAD", "LLVM_PROFILE_FILE"];
