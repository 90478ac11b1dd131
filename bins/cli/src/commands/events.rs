//! `jobyard events`

use std::fmt::Write as _;

use clap::Args;
use futures_util::StreamExt;
use jobyard_core::{ControlError, Event, EventQuery};

use crate::context::Context;
use crate::escape::escape_line;
use crate::failure::Failure;
use crate::patience::{FOLLOW_PATIENCE, Retry};
use crate::views::{EventView, time};

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Go on with what happens from now on
    #[arg(long, short)]
    follow: bool,

    /// Begin with this one, by its number [default: the oldest that is kept, or with --follow the next one]
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
}

/// Prints what happened, across lost connections, each event once.
pub(crate) async fn events(context: &mut Context, args: EventsArgs) -> Result<u8, Failure> {
    let mut reader = Reader {
        query: EventQuery::new(args.from, args.follow),
        retry: Retry::new(FOLLOW_PATIENCE),
        is_reached: false,
    };
    while let Err(problem) = reader.read(context).await? {
        // Whoever asks for the first time is told at once that there is no master.
        if !reader.is_reached {
            return Err(problem.into());
        }
        let is_first = reader.retry.is_first_failure();
        let said = format!("{problem}; trying again");
        reader.retry.pause(problem).await?;
        if is_first && !context.json {
            context.console.note(&said).await;
        }
    }
    Ok(0)
}

struct Reader {
    query: EventQuery,
    retry: Retry,
    is_reached: bool,
}

impl Reader {
    /// Prints what comes, until the end or until the master is lost.
    async fn read(&mut self, context: &mut Context) -> Result<Result<(), ControlError>, Failure> {
        let mut events = match context.control.events(&context.caller, self.query).await {
            Ok(events) => events,
            Err(problem) => return Ok(Err(problem)),
        };
        self.is_reached = true;
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(problem) => return Ok(Err(problem)),
            };
            self.retry.succeeded();
            // From here on nothing may be missed, also if it began with whatever came next.
            self.query.from = Some(event.seq + 1);
            if context.json {
                context.console.json(&EventView::from(&event)).await?;
            } else {
                context.console.line(&text(&event)).await?;
            }
        }
        if self.query.follow {
            return Ok(Err(ControlError::unavailable("it ended the stream")));
        }
        Ok(Ok(()))
    }
}

/// One line: its number, when, what, and what else is known of it.
fn text(event: &Event) -> String {
    let view = EventView::from(event);
    let mut line = format!("{} {} {}", event.seq, time(event.time), view.kind());
    for (name, value) in view.details() {
        let shown = match (value, event.what.outcome()) {
            (_, Some(outcome)) if name == "outcome" => format!("\"{outcome}\""),
            (serde_json::Value::String(text), _) => text.clone(),
            (other, _) => other.to_string(),
        };
        let _ = write!(line, " {name}={shown}");
    }
    // Names and complaints come from others.
    escape_line(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;
    use crate::testing::{job_id, worker_id};
    use crate::views::time_at;
    use jobyard_core::{AttemptNumber, Exit, Happening, Outcome};

    fn finished(seq: u64) -> Event {
        let what = Happening::AttemptFinished {
            job_id: job_id(),
            attempt: AttemptNumber::FIRST,
            worker_id: worker_id(),
            outcome: Outcome::of_exit(Exit::Exited(7)),
        };
        Event::new(seq, time_at(1), what)
    }

    fn args(from: Option<u64>, follow: bool) -> EventsArgs {
        EventsArgs { follow, from }
    }

    #[tokio::test]
    async fn an_event_is_a_line_of_what_is_known_of_it() {
        let (mut context, control, out, _) = scripted();
        control.happen([Ok(vec![Ok(finished(41))])]);
        assert_eq!(events(&mut context, args(Some(41), false)).await, Ok(0));
        insta::assert_snapshot!(out.text());
    }

    #[tokio::test]
    async fn nothing_is_escaped_by_whoever_named_it() {
        let (mut context, control, out, _) = scripted();
        let what = Happening::WorkerEnrolled {
            worker_id: worker_id(),
            name: "\u{1b}[2J".to_owned(),
        };
        control.happen([Ok(vec![Ok(Event::new(1, time_at(1), what))])]);
        assert_eq!(events(&mut context, args(None, false)).await, Ok(0));
        assert!(!out.text().contains('\u{1b}'));
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_goes_on_behind_what_it_has_read() {
        let (mut context, control, out, err) = scripted();
        let away = || ControlError::unavailable("it restarts");
        control.happen([
            Ok(vec![Ok(finished(5)), Ok(finished(6)), Err(away())]),
            Err(away()),
            Ok(vec![
                Ok(finished(7)),
                Err(ControlError::Gone { oldest: 100 }),
            ]),
        ]);
        context.json = true;
        let failure = events(&mut context, args(Some(5), true)).await;
        let failure = failure.expect_err("it fell behind").to_string();
        assert!(failure.contains("100"), "{failure}");
        let seqs: Vec<_> = out
            .text()
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).expect("JSON")["seq"].clone()
            })
            .collect();
        assert_eq!(seqs, [5, 6, 7]);
        let asked: Vec<_> = control.event_queries().iter().map(|it| it.from).collect();
        assert_eq!(asked, [Some(5), Some(7), Some(7)]);
        assert_eq!(err.text(), "");
    }

    #[tokio::test(start_paused = true)]
    async fn no_master_is_said_at_once() {
        let (mut context, control, _, _) = scripted();
        control.happen([Err(ControlError::unavailable("nobody listens"))]);
        assert!(events(&mut context, args(None, true)).await.is_err());
        assert_eq!(control.event_queries().len(), 1);
    }
}
