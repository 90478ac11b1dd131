//! `jobyard status`

use std::collections::BTreeMap;

use crate::context::Context;
use crate::failure::Failure;
use crate::patience::repeat;
use crate::size::show_size;
use crate::table::{or_dash, pairs};
use crate::views::{StatusView, time};

/// Prints how the master is.
pub(crate) async fn status(context: &mut Context) -> Result<u8, Failure> {
    let status = repeat(|| context.control.status(&context.caller)).await?;
    if context.json {
        context.console.json(&StatusView::from(&status)).await?;
        return Ok(0);
    }
    let logs = format!(
        "{} in {} attempts",
        show_size(status.logs.bytes),
        status.logs.logs
    );
    let lines = [
        ("master", format!("{} {}", status.name, status.version)),
        ("epoch", status.epoch.to_string()),
        ("started", time(status.started_at)),
        ("listens", or_dash(status.listen)),
        ("store", status.store.clone()),
        ("workers", counts(&status.workers)),
        ("jobs", counts(&status.jobs)),
        ("queues", counts(&status.queues)),
        ("finished", status.finished.to_string()),
        ("logs", logs),
    ];
    context.console.line(&pairs(&lines)).await?;
    Ok(0)
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let texts: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts.join(", ")
    }
}
