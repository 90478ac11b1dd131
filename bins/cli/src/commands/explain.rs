//! `jobyard explain`

use clap::Args;
use jobyard_core::{Explanation, JobId, WaitReason, WaitVerdict};

use crate::context::Context;
use crate::escape::escape_line;
use crate::failure::Failure;
use crate::patience::repeat;
use crate::views::{ExplanationView, help_text, verdict};

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
    context.console.line(&text(&explanation)).await?;
    Ok(0)
}

/// The verdict in a sentence, then lists: the reasons, the workers that come near, and what would help.
fn text(explanation: &Explanation) -> String {
    let sentence = match explanation.verdict {
        Some(WaitVerdict::Never) => "it will never run on the workers that there are",
        Some(WaitVerdict::NotNow) => "it waits and will run",
        Some(WaitVerdict::NotKnownYet) => "it is not known yet whether it will run",
        _ => "it does not wait",
    };
    let mut lines = vec![format!("{}: {sentence}", verdict(explanation))];
    let reasons = explanation.reasons.iter();
    let (near, reasons): (Vec<_>, Vec<_>) =
        reasons.partition(|reason| matches!(reason, WaitReason::Nearest { .. }));
    lines.extend(reasons.into_iter().map(item));
    if !near.is_empty() {
        lines.push("nearest workers:".to_owned());
        lines.extend(near.into_iter().map(nearest));
    }
    if !explanation.help.is_empty() {
        lines.push("what would help:".to_owned());
        let help = explanation.help.iter().map(help_text);
        lines.extend(help.map(|help| item(&help)));
    }
    lines.join("\n")
}

fn item(said: &impl ToString) -> String {
    format!("  {}", escape_line(&said.to_string()))
}

/// Shorter than the sentence, beneath a heading that says the rest.
fn nearest(reason: &WaitReason) -> String {
    let WaitReason::Nearest { name, lacks, .. } = reason else {
        return item(reason);
    };
    let lacks: Vec<_> = lacks.iter().map(ToString::to_string).collect();
    item(&format!("`{name}` {}", lacks.join(", and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hopeless;
    use jobyard_core::{Help, JobState};

    #[test]
    fn a_hopeless_job_is_told_what_would_help() {
        insta::assert_snapshot!(text(&hopeless()));
    }

    #[test]
    fn a_job_that_waits_for_its_turn_is_told_what_stands_before_it() {
        let reasons = vec![
            WaitReason::QueueFull {
                queue: "team".to_owned(),
                running: 4,
                limit: 4,
            },
            WaitReason::GroupFull {
                group: "deploy".to_owned(),
                running: 1,
                limit: 1,
            },
            WaitReason::Busy { workers: 3 },
            WaitReason::Behind { jobs: 7 },
        ];
        let help = vec![
            Help::RaiseQueueLimit {
                queue: "team".to_owned(),
                above: 4,
            },
            Help::FreeGroup {
                group: "deploy".to_owned(),
            },
        ];
        let waiting = Explanation::waiting(WaitVerdict::NotNow, reasons).with_help(help);
        insta::assert_snapshot!(text(&waiting));
    }

    #[test]
    fn a_job_that_does_not_wait_has_nothing_to_explain() {
        let running = Explanation::not_waiting(JobState::Running);
        assert_eq!(text(&running), "running: it does not wait");
    }
}
