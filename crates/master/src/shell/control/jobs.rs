//! Calls about jobs.

use async_trait::async_trait;
use jobyard_core::{
    Action, Caller, ControlError, Explanation, Job, JobId, JobOrigin, JobPage, JobQuery, JobState,
    Jobs, LogQuery, LogStream, NewJob, RecordQuery, StopOptions, Submitted,
};
use tracing::{Instrument, info_span};

use super::{damaged, failed, page_size, refused, spec_of};
use crate::engine::{Answer, Input};
use crate::records::{JOB, JobRecord, SPEC, read};
use crate::shell::master::Master;
use crate::shell::requests::{Ask, stopped};

#[async_trait]
impl Jobs for Master {
    async fn submit(
        &self,
        caller: &Caller,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Submitted>, ControlError> {
        let request = caller
            .request
            .map(|request| request.to_string())
            .unwrap_or_default();
        let span = info_span!("submit", by = %caller.name, jobs = jobs.len(), request);
        async {
            self.shared.allow(caller, Action::Submit)?;
            self.shared.submit(caller, JobOrigin::Manual, jobs).await
        }
        .instrument(span)
        .await
    }

    async fn job(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError> {
        let record = self.shared.job_record(caller, id).await?;
        self.shared.shown(record).await
    }

    async fn jobs(&self, caller: &Caller, query: JobQuery) -> Result<JobPage, ControlError> {
        let mut records = RecordQuery::new(JOB, page_size(query.limit)?);
        records.state = query.state.map(|state| state.as_str().to_owned());
        records.group = query.queue;
        records.labels = query.labels.into_iter().collect();
        records.after = query.after;
        let page = self.shared.list(records).await?;
        let mut visible = Vec::with_capacity(page.records.len());
        for record in &page.records {
            let record: JobRecord = read(record).map_err(damaged)?;
            let owner = record.submitted_by.as_str();
            if self
                .shared
                .config
                .authorizer
                .allows(caller, Action::ReadJob { owner })
            {
                visible.push(record);
            }
        }
        let keys: Vec<String> = visible.iter().map(|record| record.id.to_string()).collect();
        let specs = self
            .shared
            .config
            .store
            .get_many(SPEC, &keys)
            .await
            .map_err(failed)?;
        let mut jobs = Vec::with_capacity(visible.len());
        for (record, spec) in visible.into_iter().zip(specs) {
            if spec.is_none() && record.state.is_finished() {
                // Retention has removed both in between.
                continue;
            }
            jobs.push(
                self.shared
                    .with_live_logs(
                        record
                            .clone()
                            .into_job(spec_of(&record, spec)?.hide_secrets()),
                    )
                    .await,
            );
        }
        Ok(JobPage::new(jobs, page.next))
    }

    async fn wait(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError> {
        let mut watch = self.shared.hub.watch(id);
        loop {
            let record = self.shared.job_record(caller, id).await?;
            if record.state.is_finished() {
                return self.shared.shown(record).await;
            }
            tokio::select! {
                () = watch.changed() => {}
                () = self.shared.stopping.cancelled() => return Err(stopped()),
            }
        }
    }

    async fn stop(
        &self,
        caller: &Caller,
        id: JobId,
        options: StopOptions,
    ) -> Result<JobState, ControlError> {
        let Some(record) = self.shared.find_job(id).await? else {
            let tomb = self.shared.find_tomb(caller, id).await?;
            return match tomb {
                // It was over long ago.
                Some(_) => Ok(JobState::Finished),
                None => Err(ControlError::no_job(id)),
            };
        };
        let owner = record.submitted_by.as_str();
        self.shared
            .allow_on_job(caller, id, owner, Action::StopJob { owner })?;
        if record.state.is_finished() {
            return Ok(record.state);
        }
        let by = caller.name.clone();
        let answer = self
            .shared
            .call(caller, |reply| Input::Stop {
                reply,
                by,
                job: id,
                options,
            })
            .await?;
        match answer {
            Answer::Stopping(state) => Ok(state),
            // It has finished between the read and the call.
            Answer::Refused(ControlError::NotFound { .. }) => Ok(JobState::Finished),
            other => Err(refused(other)),
        }
    }

    async fn retry(
        &self,
        caller: &Caller,
        id: JobId,
        new_id: JobId,
    ) -> Result<Submitted, ControlError> {
        self.shared.allow(caller, Action::Submit)?;
        let origin = JobOrigin::Retry { of: id };
        // A late repeat of a call whose job is there already does not need the first job any more.
        if let Some(known) = self.shared.origin_of(new_id).await? {
            return if known == origin {
                Ok(Submitted::new(new_id, false))
            } else {
                Err(ControlError::AlreadyExists {
                    what: "job",
                    id: new_id.to_string(),
                })
            };
        }
        let record = self.shared.job_record(caller, id).await?;
        let spec = self.shared.whole(record).await?.spec;
        let job = NewJob::new(new_id, spec);
        let submitted = self.shared.submit(caller, origin, vec![job]).await?;
        let first = submitted.into_iter().next();
        first.ok_or_else(|| ControlError::Internal {
            problem: "a job was accepted and not answered".to_owned(),
        })
    }

    async fn logs(&self, caller: &Caller, query: LogQuery) -> Result<LogStream, ControlError> {
        let record = self.shared.job_record(caller, query.job).await?;
        crate::shell::followers::follow(&self.shared, query, &record)
    }

    async fn explain(&self, caller: &Caller, id: JobId) -> Result<Explanation, ControlError> {
        let record = self.shared.job_record(caller, id).await?;
        let known = self.shared.inbox.ask(|to| Ask::Explain(id, to)).await?;
        Ok(known.unwrap_or_else(|| Explanation::not_waiting(record.state)))
    }
}
