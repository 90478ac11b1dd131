//! Jobs on their way to the engine.

use std::collections::BTreeMap;

use bytes::Bytes;
use jobyard_core::{
    Caller, ControlError, JobId, JobOrigin, MAX_SUBMIT_JOBS, NewJob, PROCESS_EXECUTOR, Submitted,
    TOMBSTONE, ValidSpec,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use tracing::info;

use super::{damaged, failed, refused};
use crate::engine::{Answer, Input, Submission};
use crate::records::{Demand, JOB, JobRecord, SpecDigest, Tomb, read};
use crate::shell::shared::Shared;

impl Shared {
    /// Submits jobs for a caller who may.
    pub(super) async fn submit(
        &self,
        caller: &Caller,
        origin: JobOrigin,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Submitted>, ControlError> {
        let submissions = self.prepare(origin, jobs).await?;
        // A repeat adds nothing, and is answered however little room there is.
        if submissions.iter().any(|job| job.known.is_none()) {
            self.admit().await?;
        }
        let by = caller.name.clone();
        let answer = self
            .call(caller, |reply| Input::Submit {
                reply,
                by,
                jobs: submissions,
            })
            .await?;
        match answer {
            Answer::Submitted(submitted) => {
                info!("accepted");
                Ok(submitted)
            }
            other => Err(refused(other)),
        }
    }

    /// Why a job was submitted, also one that retention has removed; `None` if there never was one with this id.
    pub(super) async fn origin_of(&self, id: JobId) -> Result<Option<JobOrigin>, ControlError> {
        if let Some(job) = self.find_job(id).await? {
            return Ok(Some(job.origin));
        }
        let tomb = self.config.store.get(TOMBSTONE, &id.to_string()).await;
        let tomb = tomb.map_err(failed)?;
        let tomb = tomb.as_ref().map(read::<Tomb>).transpose();
        Ok(tomb.map_err(damaged)?.map(|tomb| tomb.origin))
    }

    /// Checks what a submit asks for, and looks up which of its jobs are known already.
    async fn prepare(
        &self,
        origin: JobOrigin,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Submission>, ControlError> {
        if jobs.len() > MAX_SUBMIT_JOBS {
            let problem = format!("{} jobs at once, at most {MAX_SUBMIT_JOBS}", jobs.len());
            return Err(ControlError::invalid("jobs", problem));
        }
        for job in &jobs {
            if let Some(check) = self.config.checks.get(&job.spec.executor.name) {
                check(&job.spec.executor.config).map_err(|problem| {
                    ControlError::invalid(
                        format!("executor.config: {}", problem.field),
                        problem.problem,
                    )
                })?;
            }
        }
        let known = self.known_digests(&jobs).await?;
        let mut submissions = Vec::with_capacity(jobs.len());
        for (job, known) in jobs.into_iter().zip(known) {
            let submission = submission(&job, origin, known)?;
            self.specs.insert(&submission.digest, job.spec);
            submissions.push(submission);
        }
        Ok(submissions)
    }

    /// The digests of those jobs that the store knows, or has known. First those that are there, then those that were
    /// removed: retention moves a job from the one to the other in one commit, and never back.
    async fn known_digests(
        &self,
        jobs: &[NewJob],
    ) -> Result<Vec<Option<SpecDigest>>, ControlError> {
        let store = &self.config.store;
        let keys: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        let found = store.get_many(JOB, &keys).await.map_err(failed)?;
        let mut known = Vec::with_capacity(found.len());
        for record in &found {
            let job = record.as_ref().map(read::<JobRecord>).transpose();
            known.push(job.map_err(damaged)?.map(|job| job.digest));
        }
        let missing: Vec<usize> = (0..known.len()).filter(|at| known[*at].is_none()).collect();
        let keys: Vec<String> = missing.iter().map(|at| keys[*at].clone()).collect();
        let tombs = store.get_many(TOMBSTONE, &keys).await.map_err(failed)?;
        for (at, tomb) in missing.into_iter().zip(tombs) {
            let tomb = tomb.as_ref().map(read::<Tomb>).transpose();
            known[at] = tomb.map_err(damaged)?.map(|tomb| tomb.digest);
        }
        Ok(known)
    }
}

fn submission(
    job: &NewJob,
    origin: JobOrigin,
    known: Option<SpecDigest>,
) -> Result<Submission, ControlError> {
    if job.spec.has_hidden_secrets() {
        let problem = "a value is missing: jobs are shown without them, so bring them again";
        return Err(ControlError::invalid("secret_env", problem));
    }
    if let Some(name) = set_twice(&job.spec) {
        let problem = format!("{name:?} is a variable of `env` as well: leave one out");
        return Err(ControlError::invalid("secret_env", problem));
    }
    let spec_json = serde_json::to_vec(&job.spec).map_err(|problem| ControlError::Internal {
        problem: problem.to_string(),
    })?;
    Ok(Submission {
        id: job.id,
        demand: Demand::of(&job.spec),
        name: job.spec.name.clone(),
        labels: job.spec.labels.clone(),
        digest: digest(&spec_json, origin),
        origin,
        spec_json: Bytes::from(spec_json),
        known,
    })
}

/// A secret whose name is that of a plain variable too. Only the configuration of processes is known here; what else is
/// wrong with one is said by the worker that reads it.
fn set_twice(spec: &ValidSpec) -> Option<&str> {
    #[derive(Deserialize)]
    #[expect(
        clippy::zero_sized_map_values,
        reason = "the form that serde reads: a table, of which only the names count"
    )]
    struct Variables {
        #[serde(default)]
        env: BTreeMap<String, IgnoredAny>,
    }

    if spec.secret_env.is_empty() || spec.executor.name != PROCESS_EXECUTOR {
        return None;
    }
    let plain: Variables = serde_json::from_str(&spec.executor.config).ok()?;
    let mut secrets = spec.secret_env.keys();
    let twice = secrets.find(|name| plain.env.contains_key(*name));
    twice.map(String::as_str)
}

/// Half of a SHA-256 is plenty: it has to tell apart the specs that one client gives one id.
fn digest(spec_json: &[u8], origin: JobOrigin) -> SpecDigest {
    use std::fmt::Write;

    let mut hash = Sha256::new();
    hash.update(spec_json);
    if let Some(of) = origin.retry_of() {
        hash.update(of.to_string());
    }
    let hash = hash.finalize();
    let mut text = String::with_capacity(32);
    for byte in &hash[..16] {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    SpecDigest(text)
}
