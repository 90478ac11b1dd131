//! Queues of a low class come to their turn.

use std::time::Duration;

use proptest::prelude::*;

use crate::yard::Yard;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A queue that has had nothing goes first as soon as it has risen to the highest class.
    #[test]
    fn a_low_class_is_passed_over_for_one_period_per_class_at_most(
        low in -5..3_i32,
        gap in 1..6_i32,
        ageing_ms in 1..5_000_u64,
        job_ms in 1..3_000_u64,
    ) {
        let mut yard = Yard::with(|policy| policy.ageing = Some(Duration::from_millis(ageing_ms)));
        let high = (low + gap).max(0);
        yard.set("urgent", |settings| settings.class = low + gap);
        yard.set("slow", |settings| settings.class = low);
        yard.worker(9, "", 1);
        let mut next = 100;
        let mut urgent = |yard: &mut Yard| {
            next += 1;
            yard.submit(next, "", 1, |demand| demand.queue = "urgent".into())
        };
        for _ in 0..3 {
            urgent(&mut yard);
        }
        yard.wait(1);
        let mut running = yard.release(101)[0].0;
        yard.submit(1, "", 1, |demand| demand.queue = "slow".into());
        let queued = yard.now;
        let classes = u64::try_from(high - low).expect("it is higher");
        let due = queued + Duration::from_millis(ageing_ms * classes);
        for _ in 0..100_000 {
            yard.wait(job_ms);
            running = yard.release(running)[0].0;
            urgent(&mut yard);
            let may_go = yard.now >= due;
            // The urgent queue rises as well where the limit lies above its class.
            if running == 1 {
                prop_assert!(may_go || low + gap < 0, "before its time");
                return Ok(());
            }
            prop_assert!(!may_go, "it is due since {due:?}");
        }
        prop_assert!(false, "it never ran");
    }
}

#[test]
fn without_ageing_a_low_class_waits_for_ever() {
    let mut yard = Yard::with(|policy| policy.ageing = None);
    yard.set("urgent", |settings| settings.class = 1);
    yard.worker(9, "", 1);
    yard.queue(1, "", 1);
    yard.queue(2, "", 1);
    for number in 10..30 {
        yard.submit(number, "", 1, |demand| demand.queue = "urgent".into());
    }
    yard.wait(600_000);
    assert_eq!(yard.release(1), [(10, 9)]);
    for number in 10..29 {
        yard.wait(600_000);
        assert_eq!(yard.release(number), [(number + 1, 9)]);
    }
}

#[test]
fn one_job_brings_a_risen_queue_back_to_its_class() {
    let mut yard = Yard::default();
    yard.set("urgent", |settings| settings.class = 1);
    yard.worker(9, "", 1);
    yard.submit(10, "", 1, |demand| demand.queue = "urgent".into());
    for number in 1..=2 {
        yard.queue(number, "", 1);
    }
    for number in 11..=13 {
        yard.submit(number, "", 1, |demand| demand.queue = "urgent".into());
    }
    yard.wait(59_999);
    assert_eq!(yard.release(10), [(11, 9)]);
    yard.wait(1);
    assert_eq!(yard.release(11), [(1, 9)], "it has risen, and has had less");
    assert_eq!(yard.release(1), [(12, 9)], "it begins anew");
}

#[test]
fn nobody_rises_above_the_highest_class() {
    let mut yard = Yard::default();
    yard.set("urgent", |settings| settings.class = 1);
    yard.worker(9, "", 1);
    yard.submit(10, "", 1, |demand| demand.queue = "urgent".into());
    yard.queue(1, "", 1);
    yard.queue(2, "", 1);
    yard.wait(60_000);
    assert_eq!(yard.release(10), [(1, 9)]);
    yard.submit(11, "", 1, |demand| demand.queue = "urgent".into());
    // Both stand in class 1 now, and the default queue has had ten hours.
    yard.wait(36_000_000);
    assert_eq!(yard.release(1), [(11, 9)]);
}
