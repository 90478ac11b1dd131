//! `jobyard status`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jobyard_core::LogUsage;

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
    let logs = described(&status.logs);
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

/// How much output there is, and whether there is room for more.
fn described(logs: &LogUsage) -> String {
    let mut text = format!("{} in {} attempts", show_size(logs.bytes), logs.logs);
    if logs.archived > 0 {
        let _ = write!(text, ", {} archived", show_size(logs.archived));
    }
    if let Some(budget) = logs.budget {
        let _ = write!(text, ", budget {}", show_size(budget));
    }
    if logs.is_full() {
        text.push_str(": used up, output waits at its workers");
    }
    text
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
