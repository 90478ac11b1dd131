//! Sending many jobs in calls of a bounded size, each of which may be repeated.

use jobyard_core::{MAX_SUBMIT_JOBS, NewJob, Submitted, ValidSpec};

use crate::context::Context;
use crate::failure::Failure;
use crate::patience::insist;

/// How many bytes of specs go in one call: with one more of the largest it stays below the 4 MiB of a message.
const CALL_BYTES: usize = 2 * 1024 * 1024;

/// What a job costs beside its configuration, about.
const BYTES_PER_JOB: usize = 512;

/// Submits jobs in as many calls as it takes. After each call `accepted` is told of what it brought. A call whose
/// answer was lost is repeated with the same ids for a while; the master recognises what it has already.
pub(crate) async fn submit_all(
    context: &mut Context,
    jobs: Vec<NewJob>,
    mut accepted: impl AsyncFnMut(&mut Context, &[Submitted]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let total = jobs.len();
    let mut done = 0;
    for call in calls(jobs) {
        let caller = context.request();
        let control = &context.control;
        let submitted = insist(|| control.submit(&caller, call.clone()))
            .await
            .map_err(|problem| gave_up(problem.into(), done, total))?;
        done += submitted.len();
        accepted(context, &submitted).await?;
    }
    Ok(())
}

fn gave_up(failure: Failure, done: usize, total: usize) -> Failure {
    if total == 1 {
        return failure;
    }
    failure
        .with_context(format!("{done} of {total} jobs are known to be accepted"))
        .with_hint(
            "submitting the same jobs with the same ids again is safe: give them ids, \
             or let `jobyard submit -f FILE --dry-run` do so and submit what it prints",
        )
}

/// Cuts the list into calls by number and by size.
fn calls(jobs: Vec<NewJob>) -> Vec<Vec<NewJob>> {
    let mut calls: Vec<Vec<NewJob>> = Vec::new();
    let mut bytes = 0;
    for job in jobs {
        let size = size(&job.spec);
        match calls.last_mut() {
            Some(call) if call.len() < MAX_SUBMIT_JOBS && bytes + size <= CALL_BYTES => {
                call.push(job);
                bytes += size;
            }
            _ => {
                calls.push(vec![job]);
                bytes = size;
            }
        }
    }
    calls
}

fn size(spec: &ValidSpec) -> usize {
    let secrets = spec.secret_env.iter();
    let secrets: usize = secrets
        .map(|(name, value)| name.len() + value.expose().len())
        .sum();
    spec.executor.config.len() + secrets + BYTES_PER_JOB
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;
    use jobyard_core::{ControlError, ExecutorSpec, JobId, JobSpec};
    use uuid::Uuid;

    fn jobs(count: usize, config_bytes: usize) -> Vec<NewJob> {
        let spec = JobSpec::new(ExecutorSpec::new("x", "x".repeat(config_bytes)))
            .validate()
            .expect("a valid spec");
        let id = |_| JobId::from_uuid(Uuid::now_v7());
        (0..count)
            .map(id)
            .map(|id| NewJob::new(id, spec.clone()))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_asked_for_again_with_the_same_ids() {
        let (mut context, control, _, _) = scripted();
        let lost = ControlError::unavailable("restarts");
        control.fail_submits([lost.clone(), lost]);
        let mut ids = Vec::new();
        submit_all(&mut context, jobs(2_500, 10), async |_, submitted| {
            ids.extend(submitted.iter().map(|submitted| submitted.id));
            Ok(())
        })
        .await
        .expect("accepted");
        assert_eq!(ids.len(), 2_500);
        let calls = control.submitted();
        let sizes: Vec<_> = calls.iter().map(Vec::len).collect();
        assert_eq!(sizes, [1_000, 1_000, 1_000, 1_000, 500]);
        assert_eq!(calls[0], calls[1]);
        assert_eq!(calls[1], calls[2]);
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_says_how_many_were_accepted() {
        let (mut context, control, _, _) = scripted();
        let full = ControlError::invalid("queue", "it is full");
        control.fail_submits([]);
        let mut first = true;
        let error = submit_all(&mut context, jobs(1_500, 10), async |_, _| {
            if std::mem::take(&mut first) {
                control.fail_submits([full.clone()]);
            }
            Ok(())
        })
        .await
        .expect_err("refused");
        let text = error.to_string();
        assert!(text.contains("1000 of 1500 jobs"), "{text}");
        assert!(text.contains("same ids"), "{text}");
    }

    #[test]
    fn calls_stay_below_the_size_of_a_message() {
        let sizes: Vec<_> = calls(jobs(5, 900 * 1024)).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert!(calls(Vec::new()).is_empty());
    }
}
