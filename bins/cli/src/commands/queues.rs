//! `jobyard queues`

use jobyard_core::QueueInfo;

use crate::context::Context;
use crate::failure::Failure;
use crate::patience::repeat;
use crate::table::table;
use crate::views::QueueView;

/// Prints the queues by name.
pub(crate) async fn queues(context: &mut Context) -> Result<u8, Failure> {
    let queues = repeat(|| context.control.queues(&context.caller)).await?;
    if context.json {
        let views: Vec<_> = queues.iter().map(QueueView::from).collect();
        context.console.json(&views).await?;
        return Ok(0);
    }
    context.console.line(&text(&queues)).await?;
    Ok(0)
}

/// The queues as a table.
pub(super) fn text(queues: &[QueueInfo]) -> String {
    let heading = [
        "QUEUE",
        "CLASS",
        "WEIGHT",
        "MAX RUNNING",
        "QUEUED",
        "RUNNING",
        "AHEAD",
    ];
    table(heading, queues.iter().map(row).collect())
}

fn row(queue: &QueueInfo) -> [String; 7] {
    let settings = queue.settings;
    [
        queue.name.clone(),
        settings.class.to_string(),
        settings.weight.to_string(),
        settings
            .max_running
            .map_or_else(|| "none".to_owned(), |limit| limit.to_string()),
        queue.queued.to_string(),
        queue.running.to_string(),
        format!("{}ms", queue.ahead_ms),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;
    use crate::testing::queue;

    #[tokio::test]
    async fn queues_are_listed_with_what_they_may_and_have() {
        let (mut context, control, out, _) = scripted();
        let mut nightly = queue("nightly");
        nightly.settings.class = -1;
        nightly.settings.max_running = Some(4);
        nightly.queued = 12;
        control.hold_queues([queue("default"), nightly]);
        assert_eq!(queues(&mut context).await, Ok(0));
        insta::assert_snapshot!(out.text());
    }
}
