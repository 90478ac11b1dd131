//! `jobyard explain`

use clap::Args;
use jobyard_core::{JobId, WaitVerdict};

use crate::context::Context;
use crate::failure::Failure;
use crate::retry::repeat;
use crate::views::{ExplanationView, verdict};

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Its id
    job: JobId,
}

/// Prints why a job waits.
pub(crate) async fn explain(context: &mut Context, args: ExplainArgs) -> Result<u8, Failure> {
    let explanation = repeat(|| context.control.explain(&context.caller, args.job)).await?;
    if context.json {
        let view = ExplanationView::new(args.job, &explanation);
        context.console.json(&view).await?;
        return Ok(0);
    }
    let sentence = match explanation.verdict {
        Some(WaitVerdict::Never) => "it will never run on the workers that there are",
        Some(WaitVerdict::NotNow) => "it waits and will run",
        Some(WaitVerdict::NotKnownYet) => "it is not known yet whether it will run",
        _ => "it does not wait",
    };
    let heading = format!("{}: {sentence}", verdict(&explanation));
    context.console.line(&heading).await?;
    for reason in &explanation.reasons {
        context.console.line(&format!("  {reason}")).await?;
    }
    Ok(0)
}
