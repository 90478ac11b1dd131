//! Breaking ties by data.

/// The place of a worker or a job, given by the bits of its id, on a ring of 2^128 places.
///
/// Among workers with equally many free slots, a job goes to the first at or after its own place, past the largest to
/// the smallest. Different ids have different places: each step of the mixing can be undone (the xor-shift and multiply
/// finalizer of MurmurHash3, widened to 128 bits). Public because it is part of the policy: with it, a host can
/// foresee every decision.
#[must_use]
pub const fn ring_place(id: u128) -> u128 {
    let mut place = id;
    place ^= place >> 65;
    place = place.wrapping_mul(ODD_1);
    place ^= place >> 65;
    place = place.wrapping_mul(ODD_2);
    place ^ (place >> 65)
}

// Odd, so that multiplying can be undone, with about half of the bits set.
const ODD_1: u128 = 0xff51_afd7_ed55_8ccd_c4ce_b9fe_1a85_ec53;
const ODD_2: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_ids_land_far_apart() {
        const IDS: u32 = 4096;
        const SHARES: usize = 16;
        let mut shares = [0_u32; SHARES];
        for id in 0..IDS {
            shares[usize::try_from(ring_place(id.into()) >> 124).expect("four bits")] += 1;
        }
        let fair = IDS / 16;
        for share in shares {
            assert!(share > fair / 2 && share < fair * 2, "{shares:?}");
        }
    }
}
