//! `jobyard queue`

use clap::{Args, Subcommand};
use jobyard_core::{QueueChange, QueueSettings};

use crate::context::Context;
use crate::failure::Failure;
use crate::patience::repeat;
use crate::views::QueueView;

use super::queues::text;

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Change how a queue shares workers with the others; what is not given stays as it is
    Set(SetArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    jobyard queue set release --class 1                gets workers before the queues of class 0\n  \
    jobyard queue set team --weight 3                  gets three times as much as a queue of weight 1\n  \
    jobyard queue set nightly --max-running 4          runs at most four jobs at once\n  \
    jobyard queue set nightly --max-running 0          starts nothing until it is set again\n  \
    jobyard queue set nightly --max-running none       runs as many as there is room for")]
pub(crate) struct SetArgs {
    /// Its name
    queue: String,

    /// Its share among the queues of its class, against their weights
    #[arg(long, value_name = "W")]
    weight: Option<u32>,

    /// Higher classes get workers first; may be negative
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    class: Option<i32>,

    /// How many of its jobs may run at once; none for any number
    #[arg(long, value_name = "N|none", value_parser = limit)]
    max_running: Option<Limit>,
}

/// A number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(Option<u64>);

/// Changes queues.
pub(crate) async fn queue(context: &mut Context, command: QueueCommand) -> Result<u8, Failure> {
    match command {
        QueueCommand::Set(args) => set(context, args).await,
    }
}

async fn set(context: &mut Context, args: SetArgs) -> Result<u8, Failure> {
    let mut change = QueueChange::default();
    change.weight = args.weight;
    change.class = args.class;
    change.max_running = args.max_running.map(|limit| limit.0);
    if change == QueueChange::default() {
        return Err(Failure::usage("there is nothing to change").with_hint(
            "give --weight, --class or --max-running; `jobyard queues` shows what is set",
        ));
    }
    change
        .applied_to(QueueSettings::default())
        .check()
        .map_err(Failure::usage)?;
    let caller = context.request();
    let queue = repeat(|| context.control.set_queue(&caller, &args.queue, change)).await?;
    if context.json {
        context.console.json(&QueueView::from(&queue)).await?;
    } else {
        context.console.line(&text(&[queue])).await?;
    }
    Ok(0)
}

fn limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    let number = text.parse().map(|number| Limit(Some(number)));
    number.map_err(|_| "write a whole number, or none for any number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;
    use crate::testing::queue as info;

    fn args() -> SetArgs {
        SetArgs {
            queue: "team".to_owned(),
            weight: None,
            class: None,
            max_running: None,
        }
    }

    #[tokio::test]
    async fn only_what_is_given_changes_and_the_queue_is_shown_after_it() {
        let (mut context, control, out, _) = scripted();
        let mut team = info("team");
        team.settings.weight = 3;
        team.settings.max_running = Some(8);
        control.hold_queues([team]);
        let mut change = args();
        change.class = Some(-2);
        change.max_running = limit("none").ok();
        assert_eq!(set(&mut context, change).await, Ok(0));
        insta::assert_snapshot!(out.text());
    }

    #[tokio::test]
    async fn json_is_one_object_with_the_keys_of_the_list() {
        let (mut context, _, out, _) = scripted();
        context.json = true;
        let mut change = args();
        change.max_running = limit("0").ok();
        assert_eq!(set(&mut context, change).await, Ok(0));
        let shown: serde_json::Value = serde_json::from_str(&out.text()).expect("JSON");
        assert_eq!(
            (&shown["name"], &shown["max_running"]),
            (&"team".into(), &0.into())
        );
    }

    #[tokio::test]
    async fn nothing_to_change_and_impossible_settings_are_refused_before_anything_is_sent() {
        let (mut context, control, _, _) = scripted();
        let nothing = set(&mut context, args()).await.expect_err("nothing");
        assert!(
            nothing.to_string().contains("nothing to change"),
            "{nothing}"
        );
        let weightless = SetArgs {
            weight: Some(0),
            ..args()
        };
        let weightless = set(&mut context, weightless).await.expect_err("no weight");
        assert!(weightless.to_string().contains("weight"), "{weightless}");
        let beyond = SetArgs {
            class: Some(1_001),
            ..args()
        };
        let beyond = set(&mut context, beyond).await.expect_err("too high");
        assert!(beyond.to_string().contains("class"), "{beyond}");
        assert!(control.queue_changes().is_empty());
    }

    #[test]
    fn a_limit_is_a_number_or_none() {
        assert_eq!(limit("none"), Ok(Limit(None)));
        assert_eq!(limit("4"), Ok(Limit(Some(4))));
        for text in ["", "-1", "many", "None "] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
