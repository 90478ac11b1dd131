//! Calls that are repeated with the same request id.

use jobyard_core::{NewToken, QueueChange, RequestId, StopOptions, WorkerCommand};
use jobyard_master::engine::{Answer, Effect, Input, ReplyTo};
use jobyard_master::records::TOKEN;
use jobyard_pki::TokenRecord;
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::step::Step;
use crate::vocabulary::{attempt, draft, job, name, submission, token};

fn request(n: u128) -> RequestId {
    RequestId::from_uuid(Uuid::from_u128(n))
}

fn once(cluster: &mut Cluster, n: u128, call: impl FnOnce(ReplyTo) -> Input) -> Step {
    let reply = cluster.reply_to();
    let call = Box::new(call(reply));
    let request = request(n);
    cluster.tell(Input::Once { request, call })
}

fn submit(by: &str, n: u128) -> impl Fn(ReplyTo) -> Input {
    let by = by.to_owned();
    move |reply| Input::Submit {
        reply,
        by: by.clone(),
        jobs: vec![submission(n, draft("{}"))],
    }
}

#[test]
fn fn1_a_repeated_call_has_one_effect_and_one_answer() {
    let mut cluster = Cluster::with_workers(1);
    let first = once(&mut cluster, 1, submit("ann", 1));
    let again = once(&mut cluster, 1, submit("ann", 1));
    assert_eq!(again.answer(), first.answer(), "created, as it was");
    assert!(!again.is_durable());

    let suspend = |reply| Input::SetWorker {
        reply,
        by: "olga".to_owned(),
        worker: name(1),
        to: WorkerCommand::Suspend,
    };
    let first = once(&mut cluster, 2, suspend);
    assert_eq!(first.audit().len(), 1);
    let again = once(&mut cluster, 2, suspend);
    assert_eq!(again.answer(), first.answer());
    assert!(again.audit().is_empty() && again.events().is_empty());

    let mut change = QueueChange::default();
    change.weight = Some(3);
    let set = move |reply| Input::SetQueue {
        reply,
        by: "olga".to_owned(),
        queue: "team".to_owned(),
        change,
    };
    assert_eq!(once(&mut cluster, 3, set).audit().len(), 1);
    assert!(!once(&mut cluster, 3, set).is_durable());

    let stop = |reply| Input::Stop {
        reply,
        by: "ann".to_owned(),
        job: job(1),
        options: StopOptions::default(),
    };
    let first = once(&mut cluster, 4, stop);
    assert_eq!(once(&mut cluster, 4, stop).answer(), first.answer());
}

#[test]
fn another_call_under_the_same_id_is_another_call() {
    let mut cluster = Cluster::new();
    once(&mut cluster, 1, submit("ann", 1));
    let other = once(&mut cluster, 1, submit("ann", 2));
    assert!(other.is_durable(), "another job");
    let answers = once(&mut cluster, 1, submit("bob", 1)).answer();
    let Answer::Submitted(jobs) = answers else {
        panic!("{answers:?}");
    };
    assert!(!jobs[0].created, "another caller is answered for himself");
}

#[test]
fn what_was_refused_is_looked_at_again() {
    let mut cluster = Cluster::new();
    let stop = |reply| Input::Stop {
        reply,
        by: "ann".to_owned(),
        job: job(1),
        options: StopOptions::default(),
    };
    let refused = once(&mut cluster, 1, stop).answer();
    assert!(matches!(refused, Answer::Refused(_)));
    cluster.submit(1);
    let stopped = once(&mut cluster, 1, stop).answer();
    assert!(matches!(stopped, Answer::Stopping(_)), "{stopped:?}");
}

#[test]
fn a_repeat_that_comes_while_the_first_is_under_way_leaves_with_it() {
    let mut cluster = Cluster::new();
    let call = submit("ann", 1);
    let (first, second) = (cluster.reply_to(), cluster.reply_to());
    for reply in [first, second] {
        let (request, call) = (request(1), Box::new(call(reply)));
        cluster
            .engine
            .handle(cluster.now, Input::Once { request, call });
    }
    let step = cluster.settle();
    assert!(step.is_durable(), "nobody hears before the commit");
    let mut answered = step.effects.iter().filter_map(|effect| match effect {
        Effect::Reply { to, .. } => Some(*to),
        _ => None,
    });
    assert_eq!(answered.next(), Some(first));
    assert_eq!(answered.next(), Some(second));
    assert_eq!(answered.next(), None);
}

#[test]
fn w6_a_repeated_drain_joins_the_one_that_waits() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    let drain = |reply| Input::SetWorker {
        reply,
        by: "olga".to_owned(),
        worker: name(1),
        to: WorkerCommand::Drain { deadline: None },
    };
    let first = once(&mut cluster, 1, drain);
    let again = once(&mut cluster, 1, drain);
    let answers = |step: &Step| {
        let replies = step.effects.iter();
        let replies = replies.filter(|effect| matches!(effect, Effect::Reply { .. }));
        replies.count()
    };
    assert_eq!(
        (answers(&first), answers(&again)),
        (0, 0),
        "it may still begin"
    );
    assert_eq!(first.audit().len() + again.audit().len(), 1);
    let step = cluster.started(session, attempt(1, 1));
    assert_eq!(answers(&step), 2, "both at once: {step:?}");
    let late = once(&mut cluster, 1, drain);
    assert!(matches!(late.answer(), Answer::Worker(_)));
    assert!(!late.is_durable());
}

fn create(seed: u8, cluster: &Cluster, request: &str) -> impl Fn(ReplyTo) -> Input + use<> {
    let terms = NewToken::default();
    let mut record = TokenRecord::new(&token(seed), &terms, cluster.now.wall).expect("good terms");
    record.request = Some(request.to_owned());
    move |reply| Input::CreateToken {
        reply,
        by: "root".to_owned(),
        record: Box::new(record.clone()),
        terms: terms.clone(),
    }
}

fn tokens(cluster: &Cluster) -> usize {
    let all = cluster.records.keys();
    all.filter(|(kind, _)| *kind == TOKEN).count()
}

#[test]
fn a_token_that_is_asked_for_again_is_the_same_token() {
    let mut cluster = Cluster::new();
    let call = create(1, &cluster, "call root");
    let first = once(&mut cluster, 1, &call).answer();
    assert_eq!(once(&mut cluster, 1, &call).answer(), first);
    // In a later term of the same process the same call mints the same word.
    cluster.restart();
    assert_eq!(once(&mut cluster, 1, &call).answer(), first);
    assert_eq!(tokens(&cluster), 1);
}

#[test]
fn a_token_whose_answer_was_lost_with_its_master_is_replaced() {
    let mut cluster = Cluster::new();
    let call = create(1, &cluster, "call root");
    once(&mut cluster, 1, call);
    let call = create(3, &cluster, "another root");
    once(&mut cluster, 2, call);
    cluster.restart();
    let call = create(2, &cluster, "call root");
    let step = once(&mut cluster, 1, call);
    let Answer::Token(info) = step.answer() else {
        panic!("{step:?}");
    };
    assert_eq!(info.id, token(2).id().as_str());
    assert_eq!(
        tokens(&cluster),
        2,
        "the one whose secret nobody saw is gone"
    );
    let audit = &step.audit()[0];
    assert!(audit.result.contains(token(1).id().as_str()), "{audit:?}");
    let joined = cluster.join(2, 1, "fresh").answer();
    assert!(matches!(joined, Answer::Enrolled { .. }));
    let refused = cluster.join(1, 2, "late").answer();
    assert!(matches!(refused, Answer::Denied(_)));
}
