//! What is to be reached.

use jobyard_benches::figures::median;
use jobyard_benches::scheduling::{Shape, Yard, Yardstick};
use jobyard_scheduler::Scheduler;

use crate::measure::{Part, Plan, filled, key_ns, warm_up};
use crate::rows::{Row, Way, standard};

/// The loads that the goals name, and the yardstick, measured in turns.
pub(crate) struct Goals {
    standard: Vec<f64>,
    few_jobs: Vec<f64>,
    few_workers: Vec<f64>,
    many_workers: Vec<f64>,
    yardstick: Vec<f64>,
    bytes: f64,
    /// Whether the loads were as large as the goals say.
    judged: bool,
}

impl Goals {
    /// Fills four schedulers and measures them.
    pub(crate) fn measure(plan: Plan, quick: bool, yardstick: &mut Yardstick) -> Self {
        let load = |jobs, workers| {
            let row = Row::plain(Shape {
                jobs,
                workers,
                ..standard()
            });
            let (mut yard, bytes) = filled(&if quick { row.quick() } else { row });
            warm_up(&mut yard, Way::Decide, plan);
            (yard, bytes.unwrap_or(f64::NAN))
        };
        let Shape { jobs, workers, .. } = standard();
        let (mut base, bytes) = load(jobs, workers);
        let (mut few_jobs, _) = load(10_000, workers);
        let (mut few_workers, _) = load(jobs, 1_000);
        let (mut many_workers, _) = load(jobs, 100_000);
        let mut goals = Self {
            standard: Vec::new(),
            few_jobs: Vec::new(),
            few_workers: Vec::new(),
            many_workers: Vec::new(),
            yardstick: Vec::new(),
            bytes,
            judged: !quick,
        };
        for _ in 0..ROUNDS {
            goals
                .yardstick
                .push(key_ns(yardstick, plan.times(KEYS_TIMES)));
            goals.standard.push(round(&mut base, plan));
            goals.few_jobs.push(round(&mut few_jobs, plan));
            goals.few_workers.push(round(&mut few_workers, plan));
            goals.many_workers.push(round(&mut many_workers, plan));
        }
        goals
    }

    /// One line for each goal.
    pub(crate) fn lines(&self) -> Vec<String> {
        let of = |values: &[f64]| median(values).unwrap_or(f64::NAN);
        let decision = of(&self.standard);
        let size = if self.judged {
            "10,000 workers, 1,000,000 jobs, 1,000 sets, 100 queues"
        } else {
            "a small load"
        };
        let goal = |what: &str, figure: f64, most: f64| {
            let reached = match self.judged {
                true if figure <= most => "yes",
                true => "no",
                false => "not judged, the loads were small",
            };
            format!("goal: {what}: {figure:.2}, reached: {reached}")
        };
        vec![
            format!(
                "decision {decision:.0} ns ({:.0}/s) at {size}; \
                 one key of a million {:.0} ns",
                1e9 / decision,
                of(&self.yardstick)
            ),
            goal(
                "decision at most 4 times the yardstick",
                ratio(&self.standard, &self.yardstick),
                4.0,
            ),
            goal(
                "at 1,000,000 jobs at most 2 times the cost at 10,000 jobs",
                ratio(&self.standard, &self.few_jobs),
                2.0,
            ),
            goal(
                "at 100,000 workers at most 2 times the cost at 1,000 workers",
                ratio(&self.many_workers, &self.few_workers),
                2.0,
            ),
            goal("under 256 bytes for each queued job", self.bytes, 255.99),
        ]
    }
}

/// The others were measured since the last time: the caches are theirs.
fn round(yard: &mut Yard<Scheduler>, plan: Plan) -> f64 {
    Part::take(yard, Way::Decide, plan.decisions / 4, plan.part);
    Part::take(yard, Way::Decide, plan.decisions, 4 * plan.part).ns()
}

/// The median of the ratios of the rounds.
fn ratio(figures: &[f64], others: &[f64]) -> f64 {
    let ratios: Vec<_> = figures.iter().zip(others).map(|(a, b)| a / b).collect();
    median(&ratios).unwrap_or(f64::NAN)
}

const ROUNDS: usize = 5;

/// Of the yardstick, more is taken than of one row: much hangs on it here.
const KEYS_TIMES: usize = 5;
