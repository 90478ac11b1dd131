//! A worker has something against its machine.

use jobyard_core::{
    AttemptId, Complaint, ComplaintKind, DeclineReason, KilledProcess, Outcome, WorkerMessage,
};

use super::rig::{Rig, attempt, boot, hello, names, sent};
use crate::agent::{AttemptEnd, Input, JournalEntry, Output, ShutdownMode};

fn disk() -> Complaint {
    Complaint::new(ComplaintKind::Disk, "100 MiB are free")
}

fn complain(rig: &mut Rig, complaints: &[Complaint], exhausted: bool) -> Vec<Output> {
    rig.feed(Input::Complaints {
        complaints: complaints.to_vec(),
        exhausted,
    })
}

/// Ends an attempt without an end of all of its processes.
fn taint(rig: &mut Rig, attempt: AttemptId) -> Vec<Output> {
    let mut end = AttemptEnd::new(attempt, Outcome::Succeeded, rig.now.wall);
    end.residue.unconfirmed = true;
    end.residue.processes = vec![KilledProcess::new(42, "stuck".to_owned())];
    rig.feed(Input::AttemptEnded(end))
}

/// The last complaints that were told.
fn told(out: &[Output]) -> Vec<Complaint> {
    let said = sent(out).into_iter().rev();
    said.into_iter()
        .find_map(|message| match message {
            WorkerMessage::Complaints(complaints) => Some(complaints),
            _ => None,
        })
        .expect("complaints")
}

#[test]
fn the_reason_is_told_with_the_refusal_and_not_beyond_it() {
    let mut rig = Rig::open();
    let out = complain(&mut rig, &[disk()], false);
    assert_eq!(
        sent(&out),
        [
            WorkerMessage::Complaints(vec![disk()]),
            WorkerMessage::Accepting(false)
        ]
    );
    assert_eq!(complain(&mut rig, &[disk()], false), [], "told already");
    let load = Complaint::new(ComplaintKind::Load, "9 for each core");
    let out = complain(&mut rig, &[disk(), load.clone()], false);
    assert_eq!(sent(&out), [WorkerMessage::Complaints(vec![disk(), load])]);
    let out = complain(&mut rig, &[], false);
    assert_eq!(
        sent(&out),
        [
            WorkerMessage::Accepting(true),
            WorkerMessage::Complaints(Vec::new())
        ]
    );
}

#[test]
fn each_session_hears_it_anew() {
    let mut rig = Rig::open();
    rig.lose_session();
    assert_eq!(complain(&mut rig, &[disk()], false), []);
    for _ in 0..2 {
        assert!(!rig.hello().accepting);
        let out = rig.welcomed();
        assert_eq!(names(&out), ["opened", "heartbeat", "complain"]);
        assert_eq!(told(&out), [disk()]);
        rig.lose_session();
    }
    complain(&mut rig, &[], false);
    assert!(rig.hello().accepting);
    assert_eq!(names(&rig.welcomed()), ["opened", "heartbeat"]);
}

#[test]
fn what_comes_all_the_same_is_run_as_long_as_there_is_room_at_all() {
    let mut rig = Rig::open();
    complain(&mut rig, &[disk()], false);
    assert_eq!(names(&rig.begin(attempt(1, 1))), ["start", "upload"]);
    complain(&mut rig, &[disk()], true);
    let b = attempt(2, 1);
    let reason = DeclineReason::Full;
    assert_eq!(
        sent(&rig.assign(b)),
        [WorkerMessage::Declined { attempt: b, reason }]
    );
}

#[test]
fn an_end_and_a_complaint_are_one_refusal() {
    let mut rig = Rig::open();
    rig.run(attempt(1, 1));
    complain(&mut rig, &[disk()], false);
    let timeout = std::time::Duration::from_mins(10);
    let out = rig.feed(Input::Shutdown(ShutdownMode::Drain { timeout }));
    assert_eq!(out, []);
    let out = complain(&mut rig, &[], false);
    assert_eq!(sent(&out), [WorkerMessage::Complaints(Vec::new())]);
    let b = attempt(2, 1);
    let reason = DeclineReason::Stopping;
    assert_eq!(
        sent(&rig.assign(b)),
        [WorkerMessage::Declined { attempt: b, reason }]
    );
}

#[test]
fn what_cannot_be_killed_taints_the_worker_and_is_written_down_before_the_end() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.run(a);
    let out = taint(&mut rig, a);
    assert_eq!(names(&out), ["complain", "accepting", "say finished"]);
    let complaint = &told(&out)[0];
    assert_eq!(complaint.kind, ComplaintKind::Tainted);
    assert!(complaint.text.contains("42 (stuck)"), "{complaint}");
    let entries: Vec<_> = out
        .iter()
        .filter_map(|output| match output {
            Output::Journal(entry) => Some(entry),
            _ => None,
        })
        .collect();
    assert!(
        matches!(
            entries[..],
            [JournalEntry::Tainted { .. }, JournalEntry::Finished(_)]
        ),
        "{entries:?}"
    );
    // The machine's own condition is another matter.
    complain(&mut rig, &[disk()], false);
    let out = complain(&mut rig, &[], false);
    assert_eq!(sent(&out).len(), 1, "still tainted: {out:?}");
}

#[test]
fn a_taint_lasts_until_its_processes_are_gone() {
    let a = attempt(1, 1);
    let journal = vec![JournalEntry::Tainted {
        attempt: a,
        boot: boot(1),
        processes: vec![KilledProcess::new(42, "stuck".to_owned())],
    }];
    let mut rig = Rig::new(journal.clone());
    assert_eq!(
        rig.agent.taints().next().map(|(of, left)| (of, left.len())),
        Some((a, 1))
    );
    assert!(!hello(&rig.start()).unwrap().accepting);
    assert_eq!(told(&rig.welcomed())[0].kind, ComplaintKind::Tainted);

    let mut rig = Rig::new(journal);
    let out = rig.feed(Input::TaintGone { attempt: a });
    assert_eq!(
        out,
        [Output::Journal(JournalEntry::Untainted { attempt: a })]
    );
    assert!(hello(&rig.start()).unwrap().accepting);
}

#[test]
fn another_boot_is_clean() {
    let a = attempt(1, 1);
    let mut rig = Rig::new(vec![JournalEntry::Tainted {
        attempt: a,
        boot: boot(2),
        processes: Vec::new(),
    }]);
    assert_eq!(rig.agent.taints().count(), 0);
    let out = rig.start();
    assert_eq!(
        out[0],
        Output::Journal(JournalEntry::Untainted { attempt: a })
    );
    assert!(hello(&out).unwrap().accepting);
}
