//! All launchers of one directory.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jobyard_core::{AttemptId, mutated};
use jobyard_launcher::protocol::{CageFacts, PROTOCOL_VERSION, Request, Welcome};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::burial::{self, bury};
use super::cell::{Cell, Stage};
use super::connection::Connection;
use super::directory::{self, DeadLock};
use super::link::Link;
use super::process;
use super::wire::Wire;
use crate::launcher::{LauncherCommand, LauncherOptions, OpenLauncherError};

/// Knows every launcher of a directory, and which one takes new starts.
#[derive(Debug)]
pub(crate) struct Keeper {
    options: LauncherOptions,
    facts: CageFacts,
    links: Mutex<Vec<Arc<Link>>>,
    current: watch::Sender<Current>,
}

/// The launcher that takes new starts.
#[derive(Clone, Debug)]
enum Current {
    /// This one, if it lives.
    Known(Arc<Link>),
    /// Somebody starts one just now.
    Starting,
    /// None: starting one failed, so often in a row, the last time for this reason; not again before that time.
    Failed {
        times: u32,
        problem: String,
        not_before: Instant,
    },
}

impl Keeper {
    /// See [`Launcher::open_with`](crate::launcher::Launcher::open_with).
    pub(crate) async fn open(options: LauncherOptions) -> Result<Arc<Self>, OpenLauncherError> {
        if options.command == LauncherCommand::None {
            return Err(OpenLauncherError::NoCommand);
        }
        let options = LauncherOptions {
            dir: std::path::absolute(&options.dir).map_err(in_directory(&options.dir))?,
            ..options
        };
        let (mut links, chosen) = find(&options.dir).await?;
        let (link, facts) = if let Some(chosen) = chosen {
            chosen
        } else {
            let started = start(&options).await?;
            links.push(Arc::clone(&started.0));
            started
        };
        Ok(Arc::new(Self {
            options,
            facts,
            links: Mutex::new(links),
            current: watch::Sender::new(Current::Known(link)),
        }))
    }

    pub(crate) const fn facts(&self) -> &CageFacts {
        &self.facts
    }

    /// Where the launchers are; absolute.
    pub(crate) fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// Whether one of the launchers holds an attempt that is not over, as far as is known.
    pub(crate) fn runs(&self, attempt: AttemptId) -> bool {
        self.find(attempt)
            .is_some_and(|(_, cell)| !cell.look(Stage::is_final))
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        match &*self.current.borrow() {
            Current::Known(link) if link.is_alive() => Some(link.pid()),
            _ => None,
        }
    }

    /// The launcher that takes new starts; another is started if that one is dead.
    pub(crate) async fn current(self: &Arc<Self>) -> Result<Arc<Link>, OpenLauncherError> {
        let mut seen = self.current.subscribe();
        loop {
            let now = seen.borrow_and_update().clone();
            match now {
                Current::Known(link) if link.is_alive() => return Ok(link),
                Current::Known(_) => self.replace(0),
                Current::Failed {
                    times, not_before, ..
                } if not_before <= Instant::now() => self.replace(times),
                Current::Failed { problem, .. } => {
                    return Err(OpenLauncherError::TooEarly { problem });
                }
                Current::Starting => {}
            }
            if seen.changed().await.is_err() {
                return Err(OpenLauncherError::RuntimeEnds);
            }
        }
    }

    /// Starts a launcher in a task of its own, unless somebody else does. The result is seen by all who wait.
    fn replace(self: &Arc<Self>, failures: u32) {
        let is_ours = self.current.send_if_modified(|current| {
            let is_needed = match current {
                Current::Known(link) => !link.is_alive(),
                Current::Failed { not_before, .. } => *not_before <= Instant::now(),
                Current::Starting => false,
            };
            if is_needed {
                *current = Current::Starting;
            }
            is_needed
        });
        if !is_ours {
            return;
        }
        let keeper = Arc::clone(self);
        let replacement = Replacement::new(self.current.clone(), failures);
        tokio::spawn(async move {
            let next = match start(&keeper.options).await {
                Ok((link, _)) => {
                    let mut links = keeper.links();
                    links.retain(|link| link.is_alive() || !link.is_empty());
                    links.push(Arc::clone(&link));
                    Current::Known(link)
                }
                Err(error) => {
                    tracing::error!(%error, "a new launcher could not be started");
                    failed(failures, error.to_string())
                }
            };
            replacement.done(next);
        });
    }

    /// An attempt that one of the launchers holds, or held.
    pub(crate) fn find(&self, attempt: AttemptId) -> Option<(Arc<Link>, Arc<Cell>)> {
        self.links()
            .iter()
            .find_map(|link| Some((Arc::clone(link), link.cell(attempt)?)))
    }

    /// Forgets an attempt that is over.
    pub(crate) async fn forget(&self, attempt: AttemptId) {
        let Some((link, cell)) = self.find(attempt) else {
            return;
        };
        if !cell.look(Stage::is_final) {
            return;
        }
        link.remove(attempt);
        let is_refused = cell.look(|stage| matches!(stage, Stage::Refused(_)));
        if is_refused || link.send(Request::Forget { attempt }).await {
            return;
        }
        let dir = link.dir().to_owned();
        let is_last = link.is_empty();
        if is_last {
            self.links().retain(|other| !Arc::ptr_eq(other, &link));
        }
        let _ = spawn_blocking(move || {
            if is_last {
                directory::remove(&dir);
            } else if let Err(error) = burial::forget(&dir, attempt) {
                tracing::warn!(%error, "that an attempt is forgotten could not be written down");
            }
        })
        .await;
    }

    /// Returns when all that the launchers were asked for before was sent to them.
    pub(crate) async fn all_sent(&self) {
        let links = self.links().clone();
        for link in links {
            link.all_sent().await;
        }
    }

    fn links(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        // Nothing in here can be left half done.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who starts a launcher. Dropped before it is done, as by a panic, it says that this failed: who waits for it
/// would wait for ever otherwise, and nobody would try again.
#[derive(Debug)]
struct Replacement {
    current: watch::Sender<Current>,
    failures: u32,
    next: Option<Current>,
}

impl Replacement {
    /// After so many failures in a row.
    const fn new(current: watch::Sender<Current>, failures: u32) -> Self {
        Self {
            current,
            failures,
            next: None,
        }
    }

    fn done(mut self, next: Current) {
        self.next = Some(next);
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        let next = self.next.take();
        let next =
            next.unwrap_or_else(|| failed(self.failures, "the start was cut short".to_owned()));
        self.current.send_replace(next);
    }
}

/// After so many failures before this one.
fn failed(failures: u32, problem: String) -> Current {
    let pause = LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.saturating_pow(failures));
    Current::Failed {
        times: failures.saturating_add(1),
        problem,
        not_before: Instant::now() + pause,
    }
}

type Chosen = (Arc<Link>, CageFacts);

/// Looks at all launchers that are there, and chooses the one that takes new starts.
async fn find(above: &Path) -> Result<(Vec<Arc<Link>>, Option<Chosen>), OpenLauncherError> {
    let path = above.to_owned();
    let listed = blocking(move || directory::list(&path)).await?;
    let mut dirs = listed.map_err(in_directory(above))?;
    if mutated("no launcher of an earlier life is looked for") {
        dirs.clear();
    }
    let mut links = Vec::new();
    let mut chosen = None;
    for dir in dirs {
        let Some((link, welcome)) = look_at(&dir).await.map_err(in_directory(&dir))? else {
            continue;
        };
        let link = Arc::new(link);
        if let Some(welcome) = welcome {
            if chosen.is_none() && is_ours(&welcome) {
                chosen = Some((Arc::clone(&link), welcome.cages));
            } else {
                link.send(Request::Retire).await;
            }
        }
        links.push(link);
    }
    Ok((links, chosen))
}

/// Whether a launcher is as we would start it.
fn is_ours(welcome: &Welcome) -> bool {
    welcome.accepting
        && welcome.leases
        && welcome.masks
        && welcome.version == PROTOCOL_VERSION
        && welcome.build == BUILD
}

/// Connects to the launcher of a directory, or buries it. `None`: nothing of it is to be remembered.
async fn look_at(dir: &Path) -> std::io::Result<Option<(Link, Option<Welcome>)>> {
    let mut tries = TRIES;
    loop {
        let path = dir.to_owned();
        let lock = blocking(move || directory::take_if_dead(&path)).await;
        if let Some(lock) = lock.map_err(std::io::Error::other)?? {
            return bury_found(dir, lock).await;
        }
        tries -= 1;
        match Wire::open(dir).await {
            Ok((wire, welcome)) => {
                let link = Connection::spawn(dir.to_owned(), wire, &welcome);
                return Ok(Some((link, Some(welcome))));
            }
            // Perhaps it is just ending.
            Err(error) if tries > 0 => {
                tracing::debug!(dir = %dir.display(), %error, "a launcher is not reached");
                tokio::time::sleep(FIRST_PAUSE).await;
            }
            Err(error) => {
                return Err(std::io::Error::other(format!(
                    "the launcher there lives and cannot be talked to: {error}"
                )));
            }
        }
    }
}

async fn bury_found(
    dir: &Path,
    lock: DeadLock,
) -> std::io::Result<Option<(Link, Option<Welcome>)>> {
    let path = dir.to_owned();
    let buried = blocking(move || {
        let buried = bury(&path)?;
        if buried.is_empty() {
            directory::remove(&path);
        }
        drop(lock);
        std::io::Result::Ok(buried)
    });
    let buried = buried.await.map_err(std::io::Error::other)??;
    if buried.is_empty() {
        return Ok(None);
    }
    tracing::info!(dir = %dir.display(), attempts = buried.len(), "a launcher of an earlier life is dead");
    Ok(Some((Link::buried(dir.to_owned(), buried), None)))
}

/// Starts a launcher and connects to it.
async fn start(options: &LauncherOptions) -> Result<Chosen, OpenLauncherError> {
    let above = options.dir.clone();
    let made = blocking(move || directory::make(&above)).await?;
    let dir = made.map_err(in_directory(&options.dir))?;
    let started = match process::start(options, &dir).await {
        Ok(()) => Wire::open(&dir)
            .await
            .map_err(|error| OpenLauncherError::NotReady {
                program: dir.clone(),
                problem: error.to_string(),
            }),
        Err(error) => Err(error),
    };
    match started {
        Ok((wire, welcome)) => {
            let link = Connection::spawn(dir, wire, &welcome);
            Ok((Arc::new(link), welcome.cages))
        }
        Err(error) => {
            // If it lives all the same, it finds that nobody talks to it, and ends.
            let _ = blocking(move || directory::remove(&dir)).await;
            Err(error)
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OpenLauncherError> {
    let done = spawn_blocking(work).await;
    done.map_err(|_| OpenLauncherError::RuntimeEnds)
}

fn in_directory(path: &Path) -> impl FnOnce(std::io::Error) -> OpenLauncherError {
    let path = path.to_owned();
    move |source| OpenLauncherError::Directory { path, source }
}

/// What a launcher of this build says that it is: all crates have one version.
const BUILD: &str = env!("CARGO_PKG_VERSION");
/// How often a launcher that lives and cannot be reached is tried.
const TRIES: u32 = 20;
/// How long to wait before a second try, and the most between later ones.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn start_that_panics_is_a_failure_and_not_one_that_goes_on_for_ever() {
        let current = watch::Sender::new(Current::Starting);
        let replacement = Replacement::new(current.clone(), 2);
        let task = tokio::spawn(async move {
            let _replacement = replacement;
            panic!("as by a mistake");
        });
        task.await.expect_err("it panics");
        let now = current.borrow().clone();
        assert!(matches!(now, Current::Failed { times: 3, .. }), "{now:?}");
    }
}
