//! How often each address has failed to enrol lately.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{ENROLMENT_BURST, ENROLMENT_REFILL, MAX_ENROLMENT_ADDRESSES};

/// Counts failures by address: [`ENROLMENT_BURST`] at once, one more after each [`ENROLMENT_REFILL`]. Successes cost
/// nothing, so that a fleet behind one address can join.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// When all failures of an address will be forgiven.
    forgiven: HashMap<IpAddr, Instant>,
}

impl Failures {
    /// How long this address has to wait before it may try again, if it has to.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let forgiven = *self.forgiven.get(&network(address))?;
        let full = ENROLMENT_REFILL * (ENROLMENT_BURST - 1);
        let wait = forgiven.saturating_duration_since(now).checked_sub(full)?;
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes a failure. What was tried at the same time counts as well, up to twice the burst.
    pub(super) fn note(&mut self, address: IpAddr, now: Instant) {
        let address = network(address);
        if self.forgiven.len() >= MAX_ENROLMENT_ADDRESSES && !self.forgiven.contains_key(&address) {
            self.make_room(now);
        }
        let longest = now + ENROLMENT_REFILL * (2 * ENROLMENT_BURST);
        let forgiven = self.forgiven.entry(address).or_insert(now);
        *forgiven = ((*forgiven).max(now) + ENROLMENT_REFILL).min(longest);
    }

    fn make_room(&mut self, now: Instant) {
        self.forgiven.retain(|_, forgiven| *forgiven > now);
        if self.forgiven.len() < MAX_ENROLMENT_ADDRESSES {
            return;
        }
        let next = self.forgiven.iter().min_by_key(|(_, forgiven)| **forgiven);
        if let Some(address) = next.map(|(address, _)| *address) {
            self.forgiven.remove(&address);
        }
    }
}

/// Whoever has one address of version 6 has the other 2^64 of its network as well.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> IpAddr {
        std::net::Ipv4Addr::from(last).into()
    }

    /// XE5
    #[test]
    fn an_address_that_fails_often_waits_and_others_do_not() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for _ in 0..ENROLMENT_BURST {
            assert_eq!(failures.wait(address(1), now), None);
            failures.note(address(1), now);
        }
        assert_eq!(failures.wait(address(1), now), Some(ENROLMENT_REFILL));
        assert_eq!(failures.wait(address(2), now), None);
        assert_eq!(failures.wait(address(1), now + ENROLMENT_REFILL), None);
    }

    #[test]
    fn failures_side_by_side_cost_a_bounded_wait() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for _ in 0..1000 {
            failures.note(address(1), now);
        }
        let wait = failures.wait(address(1), now).expect("it failed often");
        assert!(wait <= ENROLMENT_REFILL * (ENROLMENT_BURST + 1), "{wait:?}");
    }

    #[test]
    fn the_table_stays_small() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for number in 0..MAX_ENROLMENT_ADDRESSES + 100 {
            failures.note(address(u32::try_from(number).unwrap()), now);
        }
        assert_eq!(failures.forgiven.len(), MAX_ENROLMENT_ADDRESSES);
    }

    #[test]
    fn a_network_of_version_6_counts_as_one() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for host in 0..ENROLMENT_BURST {
            failures.note(format!("2001:db8::{host:x}").parse().unwrap(), now);
        }
        assert!(
            failures
                .wait("2001:db8::ffff".parse().unwrap(), now)
                .is_some()
        );
        assert!(
            failures
                .wait("2001:db8:0:1::1".parse().unwrap(), now)
                .is_none()
        );
    }
}
