use std::fmt::Write as _;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Now {
    Now {
        wall: Timestamp::from_micros(i64::try_from(millis).expect("small") * 1000),
        steady: Steady::from_micros(millis * 1000),
    }
}

/// When all of them have to be over, in milliseconds.
const TERM: u64 = 90_000;

const MAIN: Main = Main {
    pid: 7,
    start_time: 77,
};

fn ending(millis: u64) -> Ending {
    Ending {
        exit: Exit::Exited(3),
        at: at(millis).wall,
        usage: None,
    }
}

fn failure() -> LaunchFailure {
    LaunchFailure::new(Stage::Program, 2, "no such program")
}

/// A life to which all of this happened, each at its time in milliseconds.
fn after(events: &[(u64, Event)]) -> (Life, Vec<Command>) {
    let mut life = Life::new(SECOND).until(Some(at(TERM).steady));
    let mut out = Vec::new();
    for (millis, event) in events {
        out.clear();
        life.handle(at(*millis), event.clone(), &mut out)
            .expect("an orderly history");
    }
    (life, out)
}

/// All events, each at the time of the table's rows: ten seconds after the last of the history.
fn events() -> Vec<(&'static str, u64, Event)> {
    vec![
        ("Running", 1500, Event::Running(MAIN)),
        ("Failed", 1500, Event::Failed(failure())),
        ("Exited", 1500, Event::Exited(ending(1500))),
        ("Orphaned", 1500, Event::Orphaned),
        ("OutputClosed", 1500, Event::OutputClosed),
        ("Kill", 1500, Event::Kill),
        ("Empty", 1500, Event::Empty),
        ("Time(early)", 1001, Event::Time),
        ("Time(next)", 2000, Event::Time),
        ("Time(last)", 60_000, Event::Time),
        ("Time(over)", TERM, Event::Time),
        ("Extend", 1500, Event::Extend(at(TERM * 2).steady)),
        ("Extend(over)", TERM, Event::Extend(at(TERM * 2).steady)),
    ]
}

/// All states, each with a history that ends at one second.
fn histories() -> Vec<(&'static str, Vec<(u64, Event)>)> {
    let running = (0, Event::Running(MAIN));
    let exited = (1000, Event::Exited(ending(1000)));
    let closed = (500, Event::OutputClosed);
    let kill = (1000, Event::Kill);
    vec![
        ("Starting", vec![]),
        ("Starting, killed", vec![kill.clone()]),
        ("Running", vec![running.clone()]),
        (
            "Running, output closed",
            vec![running.clone(), closed.clone()],
        ),
        ("Draining", vec![running.clone(), exited.clone()]),
        (
            "Killing before the exit",
            vec![running.clone(), kill.clone()],
        ),
        ("Starting, expired", vec![(TERM, Event::Time)]),
        (
            "Killing, expired",
            vec![running.clone(), (TERM, Event::Time)],
        ),
        (
            "Settling",
            vec![running.clone(), closed.clone(), exited.clone()],
        ),
        (
            "Killing after the exit",
            vec![running.clone(), closed, exited.clone(), kill.clone()],
        ),
        (
            "Killing what held the output open",
            vec![running.clone(), exited.clone(), kill],
        ),
        ("Failing", vec![(1000, Event::Failed(failure()))]),
        (
            "Over",
            vec![
                running,
                exited,
                (1000, Event::OutputClosed),
                (1000, Event::Empty),
            ],
        ),
    ]
}

fn phase(life: &Life) -> String {
    let effort = |effort: &Effort| {
        format!(
            "next {}ms, until {}ms",
            effort.next.as_micros() / 1000,
            effort.until.as_micros() / 1000
        )
    };
    let open = if life.output_open { "" } else { ", closed" };
    let output = match life.term {
        Term::Expired => format!("{open}, expired"),
        Term::Endless => format!("{open}, endless"),
        Term::Until(until) if until == at(TERM).steady => open.to_owned(),
        Term::Until(until) => format!("{open}, by {}ms", until.as_micros() / 1000),
    };
    match life.phase() {
        Phase::Starting { killed: None } => format!("Starting{output}"),
        Phase::Starting { killed: Some(goes) } => {
            format!("Starting(killed, {}{output})", effort(goes))
        }
        Phase::Running { .. } => format!("Running{output}"),
        Phase::Draining { until, .. } => {
            format!("Draining(until {}ms{output})", until.as_micros() / 1000)
        }
        Phase::Settling { until, .. } => {
            format!("Settling(until {}ms{output})", until.as_micros() / 1000)
        }
        Phase::Killing {
            ending,
            held_open,
            effort: goes,
            ..
        } => {
            let exit = ending.map_or("running".to_owned(), |ending| ending.exit.to_string());
            let held = if *held_open { ", held open" } else { "" };
            format!("Killing({exit}{held}, {}{output})", effort(goes))
        }
        Phase::Failing { effort: goes, .. } => format!("Failing({}{output})", effort(goes)),
        Phase::Over => "Over".to_owned(),
    }
}

fn command(command: &Command) -> String {
    match command {
        Command::SayRunning(_) => "SayRunning".to_owned(),
        Command::SayExited(ending) => format!(
            "SayExited({} at {}ms)",
            ending.exit,
            ending.at.as_micros() / 1000
        ),
        Command::NoteExpired => "NoteExpired".to_owned(),
        Command::Look => "Look".to_owned(),
        Command::Kill => "Kill".to_owned(),
        Command::Conclude {
            ending,
            held_open,
            unconfirmed,
            ..
        } => {
            let held = if *held_open { ", held open" } else { "" };
            let left = if *unconfirmed { ", unconfirmed" } else { "" };
            format!("Conclude({}{held}{left})", ending.exit)
        }
        Command::Discard {
            failure,
            unconfirmed,
        } => {
            let left = if *unconfirmed { ", unconfirmed" } else { "" };
            format!("Discard({failure}{left})")
        }
    }
}

fn table() -> String {
    let mut table = String::new();
    for (name, history) in histories() {
        writeln!(table, "{name}").expect("a string takes all");
        let (before, _) = after(&history);
        for (name, millis, event) in events() {
            let mut life = before.clone();
            let mut out = Vec::new();
            let result = match life.handle(at(millis), event, &mut out) {
                Err(OutOfTurn) => {
                    assert!(life == before && out.is_empty(), "refused, yet changed");
                    "invalid".to_owned()
                }
                Ok(()) if life == before && out.is_empty() => "no-op".to_owned(),
                Ok(()) => {
                    let commands: Vec<_> = out.iter().map(command).collect();
                    format!("{} [{}]", phase(&life), commands.join(", "))
                }
            };
            writeln!(table, "  {name:<14} {result}").expect("a string takes all");
        }
    }
    table
}

#[test]
fn every_state_and_event_does_what_the_table_says() {
    let found = table();
    let golden = include_str!("table.txt");
    assert!(
        found == golden,
        "src/server/life/table.txt differs; if that is meant, it should be:\n{found}"
    );
}

#[test]
fn kills_follow_each_other_ever_more_slowly_and_end() {
    let (mut life, _) = after(&[(0, Event::Running(MAIN)), (0, Event::Kill)]);
    let mut kills = 0;
    let mut out = Vec::new();
    while let Some(deadline) = life.deadline() {
        out.clear();
        let now = at(deadline.as_micros() / 1000);
        life.handle(now, Event::Time, &mut out).expect("in turn");
        kills += out.iter().filter(|one| **one == Command::Kill).count();
    }
    assert!((5..30).contains(&kills), "{kills} kills");
    assert!(matches!(
        out.last(),
        Some(Command::Conclude {
            unconfirmed: true,
            ..
        })
    ));
}

#[test]
fn time_that_is_over_kills_at_once_and_hides_the_exit_of_the_kill_i5() {
    let (mut life, _) = after(&[(0, Event::Running(MAIN))]);
    assert_eq!(life.deadline(), Some(at(TERM).steady));
    let mut out = Vec::new();
    life.handle(at(TERM), Event::Time, &mut out)
        .expect("in turn");
    assert_eq!(out, [Command::NoteExpired, Command::Kill]);
    assert!(life.has_expired());
    out.clear();
    life.handle(at(TERM + 1), Event::Exited(ending(TERM)), &mut out)
        .expect("in turn");
    assert_eq!((out, life.ending()), (vec![], None));
}

#[test]
fn time_is_moved_on_until_it_has_come_and_not_after_i5() {
    let (mut life, _) = after(&[(0, Event::Running(MAIN))]);
    let later = at(TERM * 2).steady;
    let mut out = Vec::new();
    life.handle(at(TERM - 1), Event::Extend(later), &mut out)
        .expect("in turn");
    assert_eq!((&out[..], life.deadline()), (&[][..], Some(later)));
    // The launcher itself was stopped, and finds both at once: the time, and what would have moved it.
    let latest = Event::Extend(at(TERM * 9).steady);
    life.handle(at(TERM * 3), latest, &mut out)
        .expect("in turn");
    assert_eq!(out, [Command::NoteExpired, Command::Kill]);
    assert!(life.has_expired());
}

#[test]
fn exit_before_the_time_was_over_counts() {
    let (mut life, _) = after(&[
        (0, Event::Running(MAIN)),
        (TERM - 10, Event::Exited(ending(TERM - 10))),
    ]);
    let mut out = Vec::new();
    life.handle(at(TERM), Event::Time, &mut out)
        .expect("in turn");
    assert_eq!(out, [Command::Kill], "what is left has no more time");
    assert!(!life.has_expired());
    assert_eq!(life.ending(), Some(ending(TERM - 10)));
}

#[test]
fn without_a_drain_what_is_left_is_killed_at_the_exit() {
    let mut life = Life::new(Duration::ZERO);
    let mut out = Vec::new();
    for event in [Event::Running(MAIN), Event::Exited(ending(0))] {
        life.handle(at(0), event, &mut out).expect("in turn");
    }
    assert_eq!(out.last(), Some(&Command::Kill));
}
