//! `jobyard worker`

use std::time::Duration;

use clap::Subcommand;
use jobyard_core::{Worker, WorkerCommand as Order, parse_duration};

use crate::context::Context;
use crate::escape::escape_line;
use crate::failure::Failure;
use crate::patience::{insist, repeat};
use crate::size::show_size;
use crate::table::{or_dash, pairs};
use crate::views::{WorkerView, time};

use super::workers::{shares, tags};

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// Show one worker
    Show {
        /// Its name or id
        worker: String,
    },
    /// Give it no more jobs; it keeps those that it has
    Suspend {
        /// Its name or id
        worker: String,
    },
    /// Give it jobs again
    Resume {
        /// Its name or id
        worker: String,
    },
    /// Give it no more jobs and let it finish those that it has; returns once no job can start there any more
    Drain {
        /// Its name or id
        worker: String,

        /// How long it may take to finish, as in 10m; what still runs then is stopped and runs elsewhere [default: as
        /// long as it likes]
        #[arg(long, value_name = "T", value_parser = parse_duration)]
        deadline: Option<Duration>,
    },
    /// Remove it for good: its jobs are stopped and its certificate is refused
    Remove {
        /// Its name or id
        worker: String,
    },
}

/// Shows or changes one worker.
pub(crate) async fn worker(context: &mut Context, command: WorkerCommand) -> Result<u8, Failure> {
    let (name, order) = match command {
        WorkerCommand::Show { worker } => (worker, None),
        WorkerCommand::Suspend { worker } => (worker, Some(Order::Suspend)),
        WorkerCommand::Resume { worker } => (worker, Some(Order::Resume)),
        WorkerCommand::Drain { worker, deadline } => (worker, Some(Order::Drain { deadline })),
        WorkerCommand::Remove { worker } => (worker, Some(Order::Remove)),
    };
    let worker = match order {
        None => repeat(|| context.control.worker(&context.caller, &name)).await?,
        Some(order) => {
            let caller = context.request();
            // A drain takes as long as what is on its way to the worker; a master that restarts meanwhile is asked again.
            insist(|| context.control.set_worker(&caller, &name, order)).await?
        }
    };
    if context.json {
        context.console.json(&WorkerView::from(&worker)).await?;
    } else if order.is_none() {
        context.console.line(&text(&worker)).await?;
    } else {
        let line = format!("{} {}", worker.name, worker.state().as_str());
        context.console.line(&line).await?;
    }
    Ok(0)
}

fn text(worker: &Worker) -> String {
    let jobs: Vec<_> = worker
        .attempts
        .iter()
        .map(|attempt| attempt.job.to_string())
        .collect();
    let facts = &worker.facts;
    let machine = format!(
        "{} ({} {}, {} cores, {})",
        facts.host,
        facts.os,
        facts.arch,
        facts.cores,
        show_size(facts.memory_bytes)
    );
    let (used, total) = (worker.used.slots, worker.capacity.slots);
    let shares: Vec<_> = shares(worker)
        .iter()
        .map(|share| (share.name(), share.long()))
        .collect();
    let mut lines = vec![
        ("worker", worker.id.to_string()),
        ("name", worker.name.clone()),
        ("state", worker.state().as_str().to_owned()),
    ];
    // What the worker says of itself is not ours: it may hold anything.
    let complaints = worker.complaints.iter();
    lines.extend(complaints.map(|complaint| ("complains", escape_line(&complaint.to_string()))));
    lines.push(("slots", format!("{used} of {total} taken")));
    lines.extend(
        shares
            .iter()
            .map(|(name, text)| (name.as_str(), text.clone())),
    );
    lines.extend([
        ("tags", tags(worker)),
        ("jobs", jobs.join(" ")),
        ("machine", machine),
        ("version", facts.version.clone()),
        ("address", worker.address.clone()),
        ("enrolled", time(worker.enrolled_at)),
        ("last contact", or_dash(worker.last_contact.map(time))),
    ]);
    pairs(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{complaining_worker, worker};

    #[test]
    fn a_worker_is_shown_in_full() {
        insta::assert_snapshot!(text(&worker()));
    }

    #[test]
    fn what_a_worker_complains_about_stands_beneath_its_state() {
        let shown = text(&complaining_worker("forge"));
        let lines: Vec<_> = shown.lines().skip(2).take(3).collect();
        assert_eq!(
            lines,
            [
                "state         active",
                "complains     disk: 1.2 GiB left of the 5 GiB wanted",
                "complains     tainted: process 77 could not be killed",
            ]
        );
    }
}
