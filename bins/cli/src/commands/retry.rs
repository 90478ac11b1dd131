//! `jobyard retry`

use clap::Args;
use jobyard_core::JobId;
use uuid::Uuid;

use crate::context::Context;
use crate::failure::Failure;
use crate::patience::insist;
use crate::views::SubmittedView;

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The job to repeat
    job: JobId,

    /// The id of the new job; the same id again changes nothing [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<JobId>,
}

/// Submits a job like one that is known, and prints the id of the new one.
pub(crate) async fn retry(context: &mut Context, args: RetryArgs) -> Result<u8, Failure> {
    let new_id = args.id.unwrap_or_else(|| JobId::from_uuid(Uuid::now_v7()));
    let caller = context.request();
    let submitted = insist(|| context.control.retry(&caller, args.job, new_id)).await?;
    if context.json {
        context
            .console
            .json(&SubmittedView::from(submitted))
            .await?;
    } else {
        context.console.line(&submitted.id.to_string()).await?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;
    use crate::testing::job_id;

    #[tokio::test]
    async fn the_id_of_the_new_job_is_printed() {
        let (mut context, control, out, _) = scripted();
        let new = JobId::from_uuid(Uuid::from_u128(7));
        let args = RetryArgs {
            job: job_id(),
            id: Some(new),
        };
        assert_eq!(retry(&mut context, args).await, Ok(0));
        assert_eq!(control.retried(), [(job_id(), new)]);
        assert_eq!(out.text(), format!("{new}\n"));
    }
}
