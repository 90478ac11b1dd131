//! Machines join.

use jobyard_core::{
    ControlError, DEFAULT_TOKEN_TTL, Refusal, RefusalReason, WorkerCommand, WorkerState,
};
use jobyard_master::engine::{Answer, Effect, Input};
use jobyard_master::records::{TOKEN, WORKER, read};
use jobyard_pki::{Denial, JoinSecret, TokenRecord};

use crate::cluster::Cluster;
use crate::step::Step;
use crate::vocabulary::{hello, just_before, key, name, token, worker};

const SEED: u8 = 1;

fn with_token(uses: u32) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.create_token(SEED, uses);
    cluster
}

fn refusal(step: &Step) -> Refusal {
    match step.answer() {
        Answer::Denied(refusal) => refusal,
        other => panic!("refused: {other:?}"),
    }
}

/// Whoever asks learns the same, whatever the cause; the audit trail knows better.
fn assert_denied(cluster: &Cluster, step: &Step, cause: Denial) {
    assert_eq!(
        refusal(step),
        Refusal::new(RefusalReason::Unauthenticated, Denial::PUBLIC_TEXT)
    );
    let entries = step.audit();
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!((&*entry.who, &*entry.action), ("192.0.2.9", "enrol"));
    assert_eq!(entry.result, cause.to_string());
    assert!(entry.subject.starts_with("token "), "{}", entry.subject);
    assert!(cluster.engine.workers(true).is_empty(), "nobody joined");
    let members = |effect: &Effect| matches!(effect, Effect::Membership { .. });
    assert!(!step.effects.iter().any(members));
}

fn uses_left(cluster: &Cluster, seed: u8) -> u32 {
    let record: TokenRecord =
        read(cluster.record(TOKEN, token(seed).id().as_str())).expect("a token");
    record.uses_left
}

#[test]
fn a_machine_joins_and_nothing_is_said_before_it_is_durable() {
    let mut cluster = with_token(2);
    let step = cluster.join(SEED, 1, "builder");
    assert!(step.is_durable(), "the certificate is signed after this");
    let enrolled = Answer::Enrolled {
        worker: worker(1),
        name: "builder".to_owned(),
    };
    assert_eq!(step.answer(), enrolled);
    // Worker and use of the token stand or fall together.
    let kinds: Vec<&str> = step
        .changes
        .iter()
        .filter_map(|change| match change {
            jobyard_core::Change::Put(record) => Some(record.kind.0),
            _ => None,
        })
        .collect();
    assert!(kinds.contains(&"token") && kinds.contains(&"worker"));
    assert_eq!(uses_left(&cluster, SEED), 1);
    let record = cluster.worker(1);
    assert_eq!(record.key, Some(key(1)));
    assert_eq!(record.enrolled_at, cluster.now.wall);
    let member = Effect::Membership {
        worker: worker(1),
        member: true,
    };
    assert!(step.effects.contains(&member));
    let entry = &step.audit()[0];
    assert_eq!(entry.result, "ok");
    assert_eq!(entry.subject, worker(1).to_string());
}

#[test]
fn a_new_worker_is_shown_before_it_connects() {
    let mut cluster = with_token(1);
    cluster.join(SEED, 1, "builder");
    let shown = cluster.engine.find_worker("builder").expect("a worker");
    assert_eq!(shown.state(), WorkerState::Inactive);
    let (_, step) = cluster.connect(1, 1);
    assert!(step.refusals().is_empty());
}

#[test]
fn a_worker_offers_the_tags_of_its_token_in_addition() {
    let mut cluster = with_token(1);
    cluster.join(SEED, 1, "builder");
    cluster.connect_as(1, hello(1, Vec::new()));
    let tags: Vec<String> = cluster
        .engine
        .worker(worker(1))
        .expect("a worker")
        .tags
        .iter()
        .map(|tag| tag.to_string())
        .collect();
    assert_eq!(tags, ["executor=process", "lab=1"]);
}

#[test]
fn an_unknown_token_is_refused() {
    let mut cluster = with_token(1);
    let step = cluster.join(9, 1, "builder");
    assert_denied(&cluster, &step, Denial::Unknown);
}

#[test]
fn a_wrong_secret_is_refused() {
    let mut cluster = with_token(1);
    let mut joining = cluster.joining(SEED, 1, "builder");
    joining.secret = JoinSecret::from_slice(&[8; 32]).expect("32 bytes");
    let step = cluster.tell(Input::Enrol(Box::new(joining)));
    assert_denied(&cluster, &step, Denial::WrongSecret);
    assert_eq!(uses_left(&cluster, SEED), 1);
}

#[test]
fn an_expired_token_is_refused() {
    let mut cluster = with_token(1);
    cluster.pass(DEFAULT_TOKEN_TTL);
    let step = cluster.join(SEED, 1, "builder");
    assert_denied(&cluster, &step, Denial::Expired);
}

#[test]
fn a_token_is_good_until_the_last_moment() {
    let mut cluster = with_token(1);
    cluster.pass(just_before(DEFAULT_TOKEN_TTL));
    let step = cluster.join(SEED, 1, "builder");
    assert!(matches!(step.answer(), Answer::Enrolled { .. }));
}

#[test]
fn a_used_up_token_is_refused() {
    let mut cluster = with_token(1);
    cluster.join(SEED, 1, "first");
    let step = cluster.join(SEED, 2, "second");
    assert_eq!(refusal(&step).message, Denial::PUBLIC_TEXT);
    assert_eq!(step.audit()[0].result, Denial::UsedUp.to_string());
    assert_eq!(cluster.engine.workers(true).len(), 1);
}

#[test]
fn a_revoked_token_is_refused_and_its_workers_stay() {
    let mut cluster = with_token(2);
    cluster.join(SEED, 1, "first");
    let id = token(SEED).id().clone();
    let step = cluster.revoke_token(id.as_str());
    assert_eq!(step.answer(), Answer::Done);
    assert_eq!(step.audit()[0].action, "token.revoke");
    for n in [1, 2] {
        let step = cluster.join(SEED, n, "second");
        assert_eq!(refusal(&step).message, Denial::PUBLIC_TEXT);
        assert_eq!(step.audit()[0].result, Denial::Revoked.to_string());
    }
    let (_, step) = cluster.connect(1, 1);
    assert!(step.refusals().is_empty());
}

#[test]
fn revoking_again_changes_nothing_and_an_unknown_token_is_not_found() {
    let mut cluster = with_token(1);
    let id = token(SEED).id().clone();
    cluster.revoke_token(id.as_str());
    let again = cluster.revoke_token(id.as_str());
    assert_eq!(again.answer(), Answer::Done);
    assert!(!again.is_durable());
    let error = ControlError::NotFound {
        what: "token",
        id: "none".to_owned(),
    };
    let step = cluster.revoke_token("none");
    assert_eq!(step.answer(), Answer::Refused(error));
}

#[test]
fn the_same_key_is_the_same_worker_and_costs_no_use() {
    let mut cluster = with_token(1);
    cluster.join(SEED, 1, "builder");
    let mut joining = cluster.joining(SEED, 1, "another-name");
    joining.fresh = worker(77);
    let step = cluster.tell(Input::Enrol(Box::new(joining)));
    let enrolled = Answer::Enrolled {
        worker: worker(1),
        name: "builder".to_owned(),
    };
    assert_eq!(step.answer(), enrolled);
    assert_eq!(uses_left(&cluster, SEED), 0);
    assert_eq!(cluster.engine.workers(true).len(), 1);
}

#[test]
fn an_answer_that_was_lost_in_a_crash_is_given_again() {
    let mut cluster = with_token(1);
    let joining = cluster.joining(SEED, 1, "builder");
    cluster.tell_and_crash(Input::Enrol(Box::new(joining)));
    assert_eq!(uses_left(&cluster, SEED), 1, "nothing was used");
    let step = cluster.join(SEED, 1, "builder");
    assert!(matches!(step.answer(), Answer::Enrolled { .. }));
    cluster.restart();
    let step = cluster.join(SEED, 1, "builder");
    assert!(matches!(step.answer(), Answer::Enrolled { .. }));
    assert_eq!(cluster.engine.workers(true).len(), 1);
}

#[test]
fn a_taken_name_costs_no_use() {
    let mut cluster = with_token(2);
    cluster.join(SEED, 1, "builder");
    let step = cluster.join(SEED, 2, "builder");
    assert_eq!(refusal(&step).reason, RefusalReason::AlreadyExists);
    assert_eq!(uses_left(&cluster, SEED), 1);
    let step = cluster.join(SEED, 2, "builder-2");
    assert!(matches!(step.answer(), Answer::Enrolled { .. }));
}

#[test]
fn a_name_that_cannot_be_used_costs_no_use() {
    let mut cluster = with_token(1);
    for bad in ["", "..", "a b", "../x"] {
        let step = cluster.join(SEED, 1, bad);
        assert_eq!(refusal(&step).reason, RefusalReason::Invalid, "{bad}");
    }
    assert_eq!(uses_left(&cluster, SEED), 1);
}

#[test]
fn nobody_may_be_called_like_the_id_of_another() {
    let mut cluster = with_token(2);
    cluster.join(SEED, 1, "victim");
    let id = worker(1).to_string();
    for impostor in [id.clone(), id.replace('-', ""), id.to_uppercase()] {
        let step = cluster.join(SEED, 2, &impostor);
        assert_eq!(refusal(&step).reason, RefusalReason::Invalid);
    }
    cluster.set_worker(&id, WorkerCommand::Suspend);
    let shown = cluster.engine.find_worker("victim").expect("a worker");
    assert_eq!(shown.admin, jobyard_core::AdminState::Suspended);
}

#[test]
fn the_key_of_a_removed_worker_does_not_come_back() {
    let mut cluster = Cluster::with_workers(1);
    cluster.set_worker(&name(1), WorkerCommand::Remove);
    // With the token that admitted it, and with another.
    cluster.create_token(SEED, 1);
    for seed in [200, SEED] {
        let step = cluster.join(seed, 1, "back-again");
        assert_eq!(refusal(&step).reason, RefusalReason::Forbidden);
        assert_ne!(step.audit()[0].result, "ok");
    }
    assert_eq!(uses_left(&cluster, SEED), 1);
}

#[test]
fn a_key_joins_once_whatever_token_it_shows() {
    let mut cluster = Cluster::with_workers(1);
    cluster.create_token(SEED, 1);
    let step = cluster.join(SEED, 1, "twin");
    assert_eq!(refusal(&step).reason, RefusalReason::Forbidden);
    assert_eq!(uses_left(&cluster, SEED), 1);
    assert_eq!(cluster.engine.workers(true).len(), 1);
}

#[test]
fn the_audit_trail_shows_tokens_as_far_as_they_can_be_printed() {
    let mut cluster = Cluster::new();
    let mut joining = cluster.joining(SEED, 1, "x");
    joining.token = format!("\u{1b}[31m\n{}", "a".repeat(1_000));
    let step = cluster.tell(Input::Enrol(Box::new(joining)));
    let subject = &step.audit()[0].subject;
    assert!(subject.len() < 64 && subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
}

#[test]
fn tokens_are_listed_and_never_with_their_secret() {
    let mut cluster = with_token(3);
    let tokens = cluster.engine.tokens();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].id, token(SEED).id().as_str());
    assert_eq!(tokens[0].uses_left, 3);
    cluster.join(SEED, 1, "builder");
    let secret = token(SEED).expose();
    let secret = secret.split('.').nth(3).expect("the secret");
    for record in cluster.records.values() {
        assert!(!String::from_utf8_lossy(&record.body).contains(secret));
    }
    assert!(cluster.records.keys().any(|(kind, _)| *kind == WORKER));
}

fn admit_local(cluster: &mut Cluster, n: u128, name: &str) -> Step {
    let (reply, name) = (cluster.reply_to(), name.to_owned());
    let fresh = worker(n);
    cluster.tell(Input::AdmitLocal { reply, name, fresh })
}

#[test]
fn a_worker_of_the_same_program_needs_no_token_and_stays_the_same() {
    let mut cluster = Cluster::new();
    let enrolled = Answer::Enrolled {
        worker: worker(1),
        name: "inside".to_owned(),
    };
    let step = admit_local(&mut cluster, 1, "inside");
    assert!(step.is_durable());
    assert_eq!(step.answer(), enrolled);
    assert_eq!(step.audit()[0].subject, worker(1).to_string());
    assert_eq!(admit_local(&mut cluster, 2, "inside").answer(), enrolled);
    cluster.restart();
    assert_eq!(admit_local(&mut cluster, 3, "inside").answer(), enrolled);
    assert_eq!(cluster.engine.workers(true).len(), 1);
}

#[test]
fn a_worker_of_the_same_program_does_not_take_the_name_of_another() {
    let mut cluster = Cluster::with_workers(1);
    let step = admit_local(&mut cluster, 9, &name(1));
    assert_eq!(refusal(&step).reason, RefusalReason::AlreadyExists);
    for bad in ["..", &worker(1).to_string()] {
        let step = admit_local(&mut cluster, 9, bad);
        assert_eq!(refusal(&step).reason, RefusalReason::Invalid);
    }
    admit_local(&mut cluster, 9, "inside");
    let step = cluster.join(200, 50, "inside");
    assert_eq!(refusal(&step).reason, RefusalReason::AlreadyExists);
}
