//! Numbers with units, as people write them.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The longest number, in characters.
pub const MAX_QUANTITY_CHARS: usize = 32;

/// A number that is not negative, with an optional unit: `8`, `1.5`, `64GiB`, `2kb`.
///
/// Units are those of amounts of data: `b`, `kb`, `mb`, `gb`, `tb` (powers of 1000) and `kib`, `mib`, `gib`, `tib`
/// (powers of 1024), in any case. Up to 15 digits stand before the point and up to 6 behind it. Two of them are equal if
/// they mean the same number, and keep the text in which they were written, lower-cased.
#[derive(Clone, Debug)]
pub struct Quantity {
    text: String,
    /// In millionths.
    millionths: u128,
}

impl Quantity {
    /// The number, rounded down to a whole one.
    pub const fn whole(&self) -> u128 {
        self.millionths / MILLION
    }

    /// The number in thousandths, rounded down.
    pub const fn thousandths(&self) -> u128 {
        self.millionths / 1_000
    }

    /// The number in millionths.
    pub const fn millionths(&self) -> u128 {
        self.millionths
    }
}

impl FromStr for Quantity {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        if text.len() > MAX_QUANTITY_CHARS {
            return Err(InvalidQuantity::TooLong);
        }
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        let unit = unit.to_ascii_lowercase();
        let factor = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor);
        let millionths = millionths(number)?;
        let Some(factor) = factor else {
            return Err(InvalidQuantity::UnknownUnit { unit });
        };
        Ok(Self {
            text: text.to_ascii_lowercase(),
            millionths: millionths * factor,
        })
    }
}

/// What stands before the unit.
fn millionths(number: &str) -> Result<u128, InvalidQuantity> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let fits = |part: &str, most: usize| {
        !part.is_empty() && part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !fits(whole, 15) || !fits(fraction, 6) {
        return Err(InvalidQuantity::NotANumber);
    }
    let parse = |digits: &str| {
        digits
            .parse::<u128>()
            .map_err(|_| InvalidQuantity::NotANumber)
    };
    Ok(parse(whole)? * MILLION + parse(&format!("{fraction:0<6}"))?)
}

const MILLION: u128 = 1_000_000;

const UNITS: [(&str, u128); 10] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.millionths == other.millionths
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.millionths.cmp(&other.millionths)
    }
}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.millionths.hash(state);
    }
}

/// Why a text is no quantity. The author of the text has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidQuantity {
    /// No number stands there, or one with too many digits.
    #[error("a number is expected here, as in `8`, `1.5` or `64GiB`")]
    NotANumber,
    /// What stands behind the number is no unit.
    #[error("`{unit}` is no unit: use none, or one of b, kb, mb, gb, tb, kib, mib, gib, tib")]
    UnknownUnit {
        /// What stands there.
        unit: String,
    },
    /// Longer than [`MAX_QUANTITY_CHARS`].
    #[error("a number has at most {MAX_QUANTITY_CHARS} characters")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        text.parse().expect(text)
    }

    #[test]
    fn units_are_powers_of_1000_or_of_1024() {
        assert_eq!(quantity("1.5GiB").whole(), 3 << 29);
        assert_eq!(quantity("2kB").whole(), 2_000);
        assert_eq!(quantity("0.25").thousandths(), 250);
        assert_eq!(quantity("1024KiB"), quantity("1mib"));
        assert!(quantity("9") < quantity("10"));
    }

    #[test]
    fn the_text_is_kept() {
        assert_eq!(quantity("1.50GiB").to_string(), "1.50gib");
    }

    #[test]
    fn refuse_what_is_no_number() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1e3",
            "1.2.3",
            "1234567890123456",
            "0.1234567",
            "8 gib",
        ] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
        assert_eq!(
            "5parsecs".parse::<Quantity>(),
            Err(InvalidQuantity::UnknownUnit {
                unit: "parsecs".to_owned()
            })
        );
    }

    #[test]
    fn the_largest_does_not_overflow() {
        assert!(quantity("999999999999999.999999TiB").whole() > u128::from(u64::MAX));
    }
}
