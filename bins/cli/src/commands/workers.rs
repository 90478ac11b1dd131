//! `jobyard workers`

use clap::Args;
use jobyard_core::{Tag, Worker};

use crate::context::Context;
use crate::failure::Failure;
use crate::retry::repeat;
use crate::table::{or_dash, table};
use crate::views::{WorkerView, time};

#[derive(Debug, Args)]
pub(crate) struct WorkersArgs {
    /// Those that were removed, too
    #[arg(long)]
    removed: bool,
}

/// Prints the workers by name.
pub(crate) async fn workers(context: &mut Context, args: WorkersArgs) -> Result<u8, Failure> {
    let workers = repeat(|| context.control.workers(&context.caller, args.removed)).await?;
    if context.json {
        let views: Vec<_> = workers.iter().map(WorkerView::from).collect();
        context.console.json(&views).await?;
        return Ok(0);
    }
    let heading = ["NAME", "STATE", "SLOTS", "LAST CONTACT", "TAGS"];
    let rows = workers.iter().map(row).collect();
    context.console.line(&table(heading, rows)).await?;
    Ok(0)
}

fn row(worker: &Worker) -> [String; 5] {
    let tags: Vec<_> = worker.tags.iter().map(|tag: Tag| tag.to_string()).collect();
    [
        worker.name.clone(),
        worker.state().as_str().to_owned(),
        format!("{}/{}", worker.slots_used, worker.slots),
        or_dash(worker.last_contact.map(time)),
        tags.join(" "),
    ]
}
