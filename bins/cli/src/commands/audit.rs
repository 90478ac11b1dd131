//! `jobyard audit`

use clap::Args;
use jobyard_core::AuditQuery;

use crate::context::Context;
use crate::failure::Failure;
use crate::patience::repeat;
use crate::table::table;
use crate::views::{AuditView, time};

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// At most so many entries [default: 100]
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        hide_default_value = true
    )]
    limit: usize,

    /// Only entries older than this one, by its number
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
}

/// Prints who did what.
pub(crate) async fn audit(context: &mut Context, args: AuditArgs) -> Result<u8, Failure> {
    let mut query = AuditQuery::default();
    query.limit = args.limit;
    query.after = args.after;
    let page = repeat(|| context.control.audit(&context.caller, query)).await?;
    if context.json {
        let views: Vec<_> = page.entries.iter().map(AuditView::from).collect();
        context.console.json(&views).await?;
        return Ok(0);
    }
    let rows = page.entries.into_iter().map(|entry| {
        [
            entry.seq.to_string(),
            time(entry.at),
            entry.who,
            entry.action,
            entry.subject,
            entry.result,
        ]
    });
    let heading = ["SEQ", "TIME", "WHO", "ACTION", "SUBJECT", "RESULT"];
    context
        .console
        .line(&table(heading, rows.collect()))
        .await?;
    Ok(0)
}
