//! What would let a job start: each kind of help once.

use jobyard_core::{Group, Help};
use jobyard_scheduler::{Availability, Event};

use crate::yard::{Yard, offer, resources, wanting, wants};

fn known() -> Yard {
    let mut yard = Yard::default();
    yard.tell(Event::FleetKnown);
    yard
}

fn any_worker() -> Help {
    Help::Worker {
        requirements: Vec::new(),
        resources: Vec::new(),
        name: None,
    }
}

#[test]
fn an_impossible_job_is_told_which_worker_it_needs() {
    let mut yard = known();
    let wants = wants(
        "gpu os=linux",
        resources(2, 500, 1 << 30).with("license", 1),
    );
    yard.submit(1, "", 1, |demand| demand.wants = wants.clone());
    let amounts = [
        ("slots", 2),
        ("cpu", 500),
        ("memory", 1 << 30),
        ("license", 1),
    ];
    let help = Help::Worker {
        requirements: wants.draft().requirements.clone(),
        resources: amounts
            .map(|(name, amount)| (name.to_owned(), amount))
            .to_vec(),
        name: None,
    };
    assert_eq!(yard.help(1), [help]);
}

#[test]
fn a_missing_worker_is_asked_for_by_name() {
    let mut yard = known();
    let name = Some("build-7".to_owned());
    let wants = wanting("", |draft| draft.worker.clone_from(&name));
    yard.submit(1, "", 1, |demand| demand.wants = wants);
    let help = Help::Worker {
        requirements: Vec::new(),
        resources: Vec::new(),
        name,
    };
    assert_eq!(yard.help(1), [help]);
}

#[test]
fn an_exclusive_tag_may_be_named() {
    let mut yard = known();
    let mut exclusive = offer(1, "gpu", 1);
    exclusive.exclusive = exclusive.tags.clone();
    yard.join(exclusive);
    yard.queue(1, "", 1);
    let tag = "gpu".parse().expect("a tag");
    assert_eq!(yard.help(1), [Help::NameTag { tag }, any_worker()]);
}

#[test]
fn workers_that_are_away_are_called_back() {
    let mut yard = known();
    yard.tell(Event::WorkerJoined(offer(1, "", 1)));
    yard.worker(2, "", 1);
    yard.availability(2, Availability::Suspended);
    yard.worker(3, "", 1);
    yard.availability(3, Availability::Complaining);
    yard.queue(1, "", 1);
    let resume = Help::Resume {
        name: "w2".to_owned(),
    };
    let connect = Help::Connect {
        name: "w1".to_owned(),
    };
    let relieve = Help::Relieve {
        name: "w3".to_owned(),
    };
    assert_eq!(yard.help(1), [resume, connect, relieve]);
}

#[test]
fn limits_may_be_raised() {
    let mut yard = known();
    yard.set("default", |settings| settings.max_running = Some(1));
    yard.worker(1, "", 9);
    for number in 1..=2 {
        yard.submit(number, "", 1, |demand| {
            demand.group = Some(Group::new("deploy", 1));
        });
    }
    let queue = "default".to_owned();
    let group = "deploy".to_owned();
    let raise = Help::RaiseQueueLimit { queue, above: 1 };
    assert_eq!(yard.help(2), [raise, Help::FreeGroup { group }]);
}

#[test]
fn one_worker_more_helps_where_all_are_busy() {
    let mut yard = known();
    yard.worker(1, "", 1);
    yard.queue(1, "", 1);
    yard.queue(2, "", 1);
    assert_eq!(yard.help(2), [any_worker()]);
}

#[test]
fn an_exclusive_tag_that_the_worker_does_not_offer_is_not_worth_naming() {
    let mut yard = known();
    let mut reserved = offer(1, "", 1);
    let tag = "team=a".parse().expect("a tag");
    reserved.exclusive.insert(tag).expect("room");
    yard.join(reserved);
    yard.queue(1, "", 1);
    assert_eq!(yard.help(1), [any_worker()], "who names it asks for it");
    yard.queue(1, "team=a", 1);
    assert_eq!(yard.scheduler.queued(), 1);
}
