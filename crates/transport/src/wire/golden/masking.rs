//! What came with the secrets of jobs, and how peers of the release before read it.

use jobyard_core::*;

use super::recorded;
use super::samples::{at, attempt, uuid};
use crate::generated::v1;
use crate::wire::InvalidMessage;

const VALUE: &str = "hunter2 \u{e9}\n";

fn spec() -> ValidSpec {
    let mut spec = JobSpec::new(ExecutorSpec::new("process", r#"{"command":["make"]}"#));
    for (name, value) in [("PASSWORD", VALUE), ("TOKEN", "example-token")] {
        spec.secret_env
            .insert(name.to_owned(), SecretText::new(value));
    }
    spec.validate().unwrap()
}

fn new_job() -> NewJob {
    NewJob::new(JobId::from_uuid(uuid(0x10)), spec())
}

#[test]
fn jobs_with_secrets() {
    let wire = recorded("new_job_secrets", &v1::NewJob::from(new_job()));
    assert!(!format!("{wire:?}").contains("hunter2"));
    assert_eq!(NewJob::try_from(wire), Ok(new_job()));
    let assignment = Assignment::new(attempt(1), spec());
    let wire = recorded(
        "assignment_secrets",
        &v1::Assignment::from(assignment.clone()),
    );
    assert_eq!(Assignment::try_from(wire), Ok(assignment));
}

#[test]
fn jobs_are_shown_without_the_values() {
    let id = JobId::from_uuid(uuid(0x10));
    let job = Job::new(id, spec(), 7, at(1), "ci".to_owned());
    let wire = recorded("job_secrets", &v1::Job::from(job.clone()));
    let shown = Job::try_from(wire).unwrap();
    assert_eq!(shown.spec, job.spec.hide_secrets());
    let spec = v1::JobSpec::from(&shown.spec);
    assert_eq!(spec.executor, "process", "old readers find it where it was");
    assert!(
        ValidSpec::try_from(spec).is_err(),
        "it cannot be run by that"
    );
}

/// The same as somebody reads it who does not know the field.
fn by_an_old_peer(spec: &ValidSpec) -> Result<ValidSpec, InvalidMessage> {
    let mut wire = v1::JobSpec::from(spec);
    wire.secrets = None;
    wire.try_into()
}

#[test]
fn whoever_does_not_know_of_secrets_refuses_to_run_a_job_without_them() {
    let refusal = by_an_old_peer(&spec()).expect_err("there is no executor");
    assert!(refusal.to_string().contains("executor"), "{refusal}");
    let shown = by_an_old_peer(&spec().hide_secrets()).expect("readable");
    assert_eq!(shown.executor, spec().executor);
}

#[test]
fn refuse_names_that_come_twice_and_values_that_are_missing() {
    let whole = v1::JobSpec::from(&spec());
    let broken = |change: fn(&mut v1::JobSecrets)| {
        let mut wire = whole.clone();
        change(wire.secrets.as_mut().unwrap());
        ValidSpec::try_from(wire).expect_err("refused").to_string()
    };
    assert!(broken(|it| it.env[1].name = "PASSWORD".to_owned()).contains("twice"));
    assert!(broken(|it| it.env[1].value = None).contains("TOKEN"));
    assert!(broken(|it| it.env[1].value = Some("x".to_owned())).contains("one character"));
    assert!(broken(|it| it.executor.clear()).contains("executor"));
    assert!(broken(|it| it.env = vec![v1::SecretEntry::default(); 65]).contains("secrets"));
    let mut twice = whole;
    twice.executor = "process".to_owned();
    let refusal = ValidSpec::try_from(twice).expect_err("refused").to_string();
    assert!(refusal.contains("named twice"), "{refusal}");
}
