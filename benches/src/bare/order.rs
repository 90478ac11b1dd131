//! What the benchmark tells the bare master, a line each, over its standard input.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, bail};

/// One order. The master answers with the nanoseconds that it took: for all jobs in one line, or a line for each job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Run this many jobs with this many in flight.
    Many { jobs: u64, window: u64 },
    /// Run this many jobs, one after the other.
    OneByOne { jobs: u64 },
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Many { jobs, window } => write!(f, "many {jobs} {window}"),
            Self::OneByOne { jobs } => write!(f, "one-by-one {jobs}"),
        }
    }
}

impl FromStr for Order {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let number = |text: &str| {
            text.parse()
                .with_context(|| format!("{text:?} is no number"))
        };
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["many", jobs, window] => Ok(Self::Many {
                jobs: number(jobs)?,
                window: number(window)?,
            }),
            ["one-by-one", jobs] => Ok(Self::OneByOne {
                jobs: number(jobs)?,
            }),
            _ => bail!("{line:?} is no order"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_read_back_as_they_were_written() {
        for order in [
            Order::Many {
                jobs: 10_000,
                window: 16,
            },
            Order::OneByOne { jobs: 200 },
        ] {
            assert_eq!(order.to_string().parse::<Order>().expect("an order"), order);
        }
        assert!("many 1".parse::<Order>().is_err());
    }
}
