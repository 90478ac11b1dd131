//! Jobs that a launcher starts.

mod copier;
mod execution;
mod start;

use std::fmt;

use jobyard_core::{AttemptContext, Execution, Gone, LimitKind, Output};
use tokio::task::spawn_blocking;

use self::copier::Copier;
use self::execution::LaunchedExecution;
pub(super) use self::start::start;
use super::unix::{OUTPUT, Pool, Scratch};
use crate::launcher::{Launcher, Stage};

/// Why an attempt is not found.
pub(super) enum NotFound {
    /// Nothing of it is left.
    Gone(Gone),
    /// The launcher knows nothing of it.
    Unknown,
}

impl fmt::Debug for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone(_) => "Gone",
            Self::Unknown => "Unknown",
        })
    }
}

/// Finds an attempt of an earlier life.
pub(super) async fn adopt(
    launcher: &Launcher,
    pool: Option<&Pool>,
    context: &AttemptContext,
    output: Output,
    unenforced: Vec<LimitKind>,
) -> Result<Box<dyn Execution>, NotFound> {
    let (base, attempt) = (context.scratch.clone(), context.attempt);
    let pool = pool.cloned();
    let find = move || match pool {
        Some(pool) => Scratch::found(&base, &pool, attempt),
        None => Scratch::left_over(&base),
    };
    let found = spawn_blocking(find).await;
    let scratch = found.unwrap_or_else(|_| Scratch::left_over(&context.scratch));
    let Some((link, cell)) = launcher.keeper().find(context.attempt) else {
        scratch.remove().await;
        return Err(NotFound::Unknown);
    };
    match cell.reached(|stage| *stage != Stage::Asked).await {
        // What may still run is no case for `Gone`: it is handed out as an execution that is lost.
        Stage::Lost { residue, .. } if !residue.unconfirmed => {
            if output.place().is_some() {
                // What was written until then is counted.
                cell.tell(Some(output.clone()));
            }
            if cell.is_cut_short() {
                output.cut_short();
            }
            scratch.remove().await;
            Err(NotFound::Gone(Gone::new(residue.killed)))
        }
        Stage::Refused(_) => {
            scratch.remove().await;
            launcher.keeper().forget(context.attempt).await;
            Err(NotFound::Gone(Gone::new(0)))
        }
        _ => {
            let copier = if output.place().is_some() {
                cell.tell(Some(output.clone()));
                None
            } else {
                let dir = scratch.file(OUTPUT);
                Some(Copier::start(dir, cell.progress(), output.clone()))
            };
            let execution = LaunchedExecution::new(launcher, link, cell, attempt, scratch, output)
                .with_copier(copier)
                .with_unenforced(unenforced);
            Ok(Box::new(execution))
        }
    }
}
