//! Which stage of a job meets which event in the engine, for the table of what was tried.

use jobyard_core::{JobId, WorkerMessage};
use jobyard_master::engine::{Engine, Input};

use crate::summary::Summary;

/// Jobs that an input is about, with what happens to them and their stages before.
#[derive(Debug)]
pub(super) struct Watched(Vec<(JobId, &'static str, &'static str)>);

impl Watched {
    pub(super) fn before(engine: &Engine, input: &Input) -> Self {
        let mut watched = Vec::new();
        let mut see = |job: JobId, event| watched.push((job, event, engine.stage_of(job)));
        match input {
            Input::Once { call, .. } => return Self::before(engine, call),
            Input::Stop { job, options, .. } => {
                see(*job, if options.force { "force" } else { "stop" });
            }
            Input::LogSettled { attempt, .. } => see(attempt.job, "log settled"),
            Input::SessionOpened { hello, .. } => {
                for held in &hello.inventory {
                    see(held.attempt.job, "listed in a hello");
                }
            }
            Input::Said { messages, .. } => {
                for message in messages {
                    match message {
                        WorkerMessage::Started { attempt, .. } => see(attempt.job, "started"),
                        WorkerMessage::Finished(report) => see(report.attempt.job, "finished"),
                        WorkerMessage::Declined { attempt, .. } => see(attempt.job, "declined"),
                        _ => {}
                    }
                }
            }
            Input::DeadlineReached | Input::SetWorker { .. } | Input::SessionEnded { .. } => {
                let event = match input {
                    Input::DeadlineReached => "time passes",
                    Input::SetWorker { .. } => "order to a worker",
                    _ => "session ends",
                };
                for job in engine.unsettled() {
                    see(job, event);
                }
            }
            _ => {}
        }
        Self(watched)
    }

    /// Time and the orders of operators count only for jobs that they change.
    pub(super) fn after(self, engine: &Engine, summary: &mut Summary) {
        for (job, event, stage) in self.0 {
            let now = engine.stage_of(job);
            let counts = now != stage
                || !matches!(event, "time passes" | "order to a worker" | "session ends");
            if counts {
                summary.step("engine", stage, event);
            }
        }
    }
}
