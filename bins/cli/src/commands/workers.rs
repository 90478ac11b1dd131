//! `jobyard workers`

use clap::Args;
use jobyard_core::{ResourceKind, Worker, show_amount};

use crate::context::Context;
use crate::failure::Failure;
use crate::patience::repeat;
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
    context.console.line(&text(&workers)).await?;
    Ok(0)
}

/// The workers as a table. Resources and complaints have a column if any of them has one.
fn text(workers: &[Worker]) -> String {
    type Column = (&'static str, fn(&Worker) -> String);
    let has = |wanted: fn(&Worker) -> bool| workers.iter().any(wanted);
    let columns: [(bool, Column); 7] = [
        (true, ("NAME", |worker| worker.name.clone())),
        (true, ("STATE", |worker| worker.state().as_str().to_owned())),
        (
            has(|worker| !worker.complaints.is_empty()),
            ("COMPLAINTS", complaints),
        ),
        (true, ("SLOTS", slots)),
        (
            has(|worker| !shares(worker).is_empty()),
            ("RESOURCES", resources),
        ),
        (
            true,
            ("LAST CONTACT", |worker| {
                or_dash(worker.last_contact.map(time))
            }),
        ),
        (true, ("TAGS", tags)),
    ];
    let columns = columns.iter().filter(|(shown, _)| *shown);
    let columns: Vec<_> = columns.map(|(_, column)| *column).collect();
    let heading: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let row = |worker| -> Vec<String> { columns.iter().map(|(_, cell)| cell(worker)).collect() };
    table(heading, workers.iter().map(row).collect())
}

fn slots(worker: &Worker) -> String {
    format!("{}/{}", worker.used.slots, worker.capacity.slots)
}

fn resources(worker: &Worker) -> String {
    let shares: Vec<_> = shares(worker).iter().map(Share::short).collect();
    or_dash(Some(shares.join(",")).filter(|text| !text.is_empty()))
}

/// What it complains about, in a word each; `jobyard worker show` has the rest.
fn complaints(worker: &Worker) -> String {
    let mut kinds: Vec<_> = worker
        .complaints
        .iter()
        .map(|it| it.kind.as_str())
        .collect();
    kinds.dedup();
    or_dash(Some(kinds.join(",")).filter(|text| !text.is_empty()))
}

/// The tags, each exclusive one as `+tag`.
pub(super) fn tags(worker: &Worker) -> String {
    let tags = worker.tags.iter().map(|tag| {
        let mark = if worker.exclusive.contains(&tag) {
            "+"
        } else {
            ""
        };
        format!("{mark}{tag}")
    });
    tags.collect::<Vec<_>>().join(" ")
}

/// What a worker has of one resource, and what of it is taken.
pub(super) struct Share<'a> {
    kind: ResourceKind<'a>,
    used: u64,
    total: u64,
}

/// Everything but slots of which the worker has some, or of which some is taken.
pub(super) fn shares(worker: &Worker) -> Vec<Share<'_>> {
    let gone = worker
        .used
        .iter()
        .filter(|(kind, _)| worker.capacity.amount(*kind) == 0);
    let mut kinds: Vec<_> = worker
        .capacity
        .iter()
        .chain(gone)
        .map(|(kind, _)| kind)
        .filter(|kind| *kind != ResourceKind::Slots)
        .collect();
    kinds.sort_unstable();
    let share = |kind| Share {
        kind,
        used: worker.used.amount(kind),
        total: worker.capacity.amount(kind),
    };
    kinds.into_iter().map(share).collect()
}

impl Share<'_> {
    /// What it is called.
    pub(super) fn name(&self) -> String {
        self.kind.to_string()
    }

    /// As a sentence.
    pub(super) fn long(&self) -> String {
        let [used, total] = self.shown();
        let unit = if self.kind == ResourceKind::Cpu {
            " cores"
        } else {
            ""
        };
        format!("{used} of {total}{unit} taken")
    }

    /// One word for a table.
    fn short(&self) -> String {
        let [used, total] = self.shown();
        format!("{}={used}/{total}", self.kind).replace(' ', "")
    }

    fn shown(&self) -> [String; 2] {
        let name = self.name();
        [self.used, self.total].map(|amount| match amount {
            // Nothing has no unit.
            0 => "0".to_owned(),
            amount => show_amount(&name, amount),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{complaining_worker, worker, worker_of_slots};

    #[test]
    fn resources_have_a_column_if_any_worker_has_them() {
        let shown = [
            text(&[worker_of_slots("plain")]),
            text(&[worker(), worker_of_slots("plain")]),
        ];
        insta::assert_snapshot!(shown.join("\n\n"));
    }

    #[test]
    fn complaints_have_a_column_if_any_worker_has_them() {
        let shown = text(&[complaining_worker("full"), worker_of_slots("plain")]);
        let words: Vec<Vec<_>> = shown
            .lines()
            .map(|line| line.split_whitespace().take(4).collect())
            .collect();
        assert_eq!(
            words,
            [
                ["NAME", "STATE", "COMPLAINTS", "SLOTS"],
                ["full", "active", "disk,tainted", "0/4"],
                ["plain", "active", "-", "0/4"],
            ]
        );
    }

    #[test]
    fn what_is_taken_of_a_resource_that_is_gone_is_shown() {
        let mut shrunk = worker_of_slots("shrunk");
        shrunk.used = shrunk.used.with("gpu", 1);
        assert!(text(&[shrunk]).contains("gpu=1/0"));
    }
}
