//! How full a worker is.

use jobyard_core::Resources;

/// The load of a worker in thousandths: the largest, over the resources that it has, of what is taken divided by what
/// there is, rounded up; 1000 for a resource that is taken and of which there is none. More than 1000 after the capacity
/// shrank.
#[must_use]
pub fn load(used: &Resources, capacity: &Resources) -> u32 {
    used.iter()
        .map(|(kind, taken)| of_one(taken, capacity.amount(kind)))
        .max()
        .unwrap_or(0)
}

/// The load of one resource.
pub(crate) fn of_one(taken: u64, there_is: u64) -> u32 {
    if taken == 0 {
        return 0;
    }
    if there_is == 0 {
        return 1000;
    }
    let thousandths = (u128::from(taken) * 1000).div_ceil(u128::from(there_is));
    u32::try_from(thousandths).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_resource_counts() {
        let capacity = Resources::of_slots(8).with("gpu", 2);
        assert_eq!(load(&Resources::default(), &capacity), 0);
        assert_eq!(load(&Resources::of_slots(3), &capacity), 375);
        assert_eq!(load(&Resources::of_slots(3).with("gpu", 1), &capacity), 500);
        assert_eq!(load(&Resources::of_slots(1), &Resources::of_slots(3)), 334);
    }

    #[test]
    fn what_is_not_there_is_full() {
        assert_eq!(load(&Resources::of_slots(1), &Resources::default()), 1000);
        assert_eq!(load(&Resources::of_slots(9), &Resources::of_slots(3)), 3000);
    }
}
