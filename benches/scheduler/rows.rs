//! The loads.

use std::sync::Arc;
use std::time::Duration;

use jobyard_benches::scheduling::{Groups, Shape, Target};
use jobyard_scheduler::{Placement, Policy, Score, ScoredJob, ScoredWorker};

/// Rows that belong together.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// One load, and what is done to it.
pub(crate) struct Row {
    /// Short, and different for each.
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) policy: Policy,
    pub(crate) way: Way,
}

/// What is counted as one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A job ends, what follows is assigned, and as many are queued.
    Decide,
    /// The same; and one worker falls silent, and the one before it comes back.
    DecideAndFlap,
    /// A job is queued and goes to an idle worker at once; another one ends.
    Place,
    /// A job is queued, and one that waits is taken back.
    ReplaceWaiting,
}

impl Row {
    fn new(name: impl Into<String>, shape: Shape) -> Self {
        Self {
            name: name.into(),
            shape,
            policy: Policy::default(),
            way: Way::Decide,
        }
    }

    /// Without a name, under the default policy.
    pub(crate) fn plain(shape: Shape) -> Self {
        Self::new("", shape)
    }

    fn way(self, way: Way) -> Self {
        Self { way, ..self }
    }

    fn placement(mut self, placement: Placement) -> Self {
        self.policy.placement = placement;
        self
    }

    /// The same, small.
    pub(crate) fn quick(mut self) -> Self {
        let shape = &mut self.shape;
        shape.jobs /= 20;
        shape.workers /= 10;
        shape.sets = shape.sets.min(1_000);
        shape.tag_sets = shape.tag_sets.min(100);
        if let Some(groups) = &mut shape.groups {
            groups.count = groups.count.min(500);
        }
        self
    }
}

/// All of them.
pub(crate) fn sections() -> Vec<Section> {
    vec![
        Section {
            title: "Sizes",
            rows: sizes(),
        },
        Section {
            title: "Kinds",
            rows: kinds(),
        },
        Section {
            title: "Adversarial",
            rows: adversarial(),
        },
        Section {
            title: "Idle fleets and placement",
            rows: idle(),
        },
    ]
}

/// The load that the goals are about.
pub(crate) fn standard() -> Shape {
    Shape::new(MILLION, 10_000)
}

fn sizes() -> Vec<Row> {
    let mut rows = Vec::new();
    for workers in [1_000, 10_000, 100_000] {
        for jobs in [10_000, 100_000, MILLION] {
            let name = format!("size {jobs} jobs, {workers} workers");
            rows.push(Row::new(name, Shape::new(jobs, workers)));
        }
    }
    rows
}

fn kinds() -> Vec<Row> {
    let groups = Some(Groups {
        count: 1_000,
        limit: 4,
        percent: 30,
    });
    let sets = |sets| Shape { sets, ..standard() };
    let tag_sets = |tag_sets| Shape {
        tag_sets,
        ..standard()
    };
    vec![
        Row::new("one requirement set", sets(1)),
        Row::new("10 requirement sets", sets(10)),
        Row::new("100 requirement sets", sets(100)),
        Row::new(
            "one queue",
            Shape {
                queues: 1,
                ..standard()
            },
        ),
        Row::new(
            "one queue, one set",
            Shape {
                queues: 1,
                ..sets(1)
            },
        ),
        Row::new("one tag set", tag_sets(1)),
        Row::new("1,000 tag sets", tag_sets(1_000)),
        Row::new(
            "cpu, memory, gpu",
            Shape {
                resources: true,
                ..standard()
            },
        ),
        Row::new(
            "caps on half of the queues",
            Shape {
                caps: true,
                ..standard()
            },
        ),
        Row::new(
            "groups",
            Shape {
                groups,
                ..standard()
            },
        ),
        Row::new(
            "10 classes, 5 priorities",
            Shape {
                classes: 10,
                priorities: 5,
                ..standard()
            },
        ),
        Row::new(
            "all of these",
            Shape {
                resources: true,
                caps: true,
                groups,
                classes: 10,
                priorities: 5,
                preferences: true,
                ..tag_sets(1_000)
            },
        ),
        Row::new("pack, all taken", standard()).placement(Placement::Pack),
        Row::new(
            "warm, all taken",
            Shape {
                warm: true,
                ..standard()
            },
        )
        .placement(warm()),
    ]
}

fn adversarial() -> Vec<Row> {
    let one_by_one = |target| Shape {
        target,
        ..standard()
    };
    vec![
        Row::new(
            "10,000 requirement sets",
            Shape {
                sets: 10_000,
                ..standard()
            },
        ),
        Row::new(
            "a million in a queue beside one job",
            Shape {
                queues: 1,
                lonely: true,
                ..standard()
            },
        ),
        Row::new(
            "all held by one cap",
            Shape {
                queues: 1,
                cap: Some(100),
                ..standard()
            },
        ),
        Row::new(
            "all held by one group",
            Shape {
                groups: Some(Groups {
                    count: 1,
                    limit: 100,
                    percent: 100,
                }),
                ..standard()
            },
        ),
        Row::new(
            "5,000 groups of 2",
            Shape {
                groups: Some(Groups {
                    count: 5_000,
                    limit: 2,
                    percent: 100,
                }),
                ..standard()
            },
        ),
        Row::new("all busy: submit and withdraw", standard()).way(Way::ReplaceWaiting),
        Row::new("each job wants a worker by name", one_by_one(Target::Name)),
        Row::new(
            "each job wants a worker by its own tag",
            one_by_one(Target::OwnTag),
        ),
        Row::new("backlog for one worker in 100", one_by_one(Target::Rare)),
        Row::new("flapping workers", standard()).way(Way::DecideAndFlap),
        Row::new(
            "1,000 queues, weights 1 to 1,000",
            Shape {
                queues: 1_000,
                max_weight: 1_000,
                ..standard()
            },
        ),
    ]
}

fn idle() -> Vec<Row> {
    let idle = |workers| Shape {
        taken: 50,
        ..Shape::new(0, workers)
    };
    let place = |name: &str, shape| Row::new(name, shape).way(Way::Place);
    let tag_sets = 1_000;
    vec![
        place("idle, 1,000 workers", idle(1_000)),
        place("idle, 10,000 workers", idle(10_000)),
        place("idle, 100,000 workers", idle(100_000)),
        place(
            "idle, 1,000 tag sets",
            Shape {
                tag_sets,
                ..idle(10_000)
            },
        ),
        place(
            "idle, cpu, memory, gpu",
            Shape {
                resources: true,
                ..idle(10_000)
            },
        ),
        place(
            "idle, preferences",
            Shape {
                preferences: true,
                ..idle(10_000)
            },
        ),
        place("idle, pack", idle(10_000)).placement(Placement::Pack),
        place(
            "idle, warm",
            Shape {
                warm: true,
                ..idle(10_000)
            },
        )
        .placement(warm()),
        place("idle, scored", idle(10_000))
            .placement(Placement::Scored(Arc::new(SmallestThatIsFree))),
    ]
}

fn warm() -> Placement {
    Placement::Warm {
        patience: Duration::from_secs(10),
    }
}

/// A host's own placement, of the usual cost.
#[derive(Debug)]
struct SmallestThatIsFree;

impl Score for SmallestThatIsFree {
    fn score(&self, _job: &ScoredJob<'_>, worker: &ScoredWorker<'_>) -> i64 {
        let free = 1_000_i64.saturating_sub(worker.load.into());
        free - i64::from(worker.capacity.slots) * 100
    }
}

const MILLION: usize = 1_000_000;
