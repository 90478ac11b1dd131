//! Places at which a build with the feature `failpoints` can be made to fail.

#[cfg(not(feature = "failpoints"))]
use rusqlite::Result;

/// A place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// A term is about to be written.
    LeadBefore,
    /// A term is durable, and nobody knows yet.
    LeadAfter,
    /// A batch is about to be made durable.
    CommitBefore,
    /// A batch is durable, and nobody knows yet.
    CommitAfter,
    /// Old records are about to be removed.
    PruneBefore,
    /// The write-ahead log is about to be moved.
    Checkpoint,
}

/// What was ordered for the places.
#[derive(Debug, Default)]
pub(crate) struct Failpoints {
    #[cfg(feature = "failpoints")]
    orders: Vec<armed::Order>,
}

#[cfg(not(feature = "failpoints"))]
impl Failpoints {
    /// Nothing ever fails on order.
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "as with the feature"
    )]
    pub(crate) fn hit(&self, _point: Point) -> Result<()> {
        Ok(())
    }
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::cell::Cell;

    use rusqlite::{Error, Result, ffi};

    use super::{Failpoints, Point};

    /// The variable that is read when no orders are given otherwise.
    const VARIABLE: &str = "JOBYARD_STORE_FAILPOINTS";

    /// One order, and how often its place was passed.
    #[derive(Debug)]
    pub(crate) struct Order {
        point: Point,
        action: Action,
        first: u64,
        last: u64,
        passed: Cell<u64>,
    }

    #[derive(Clone, Copy, Debug)]
    enum Action {
        /// An fsync fails.
        Eio,
        /// There is no room.
        Full,
        /// The process dies on the spot.
        Abort,
    }

    impl Failpoints {
        /// Orders such as `commit.before=eio@3`, `commit.before=full@3-9` or `commit.after=abort`, separated by commas:
        /// the third time, the third to the ninth, the first. Without orders, those in the environment.
        ///
        /// # Panics
        ///
        /// If an order cannot be understood: a test that orders nothing by mistake would prove nothing.
        pub(crate) fn read(given: Option<&str>) -> Self {
            let orders = match given {
                Some(given) => given.to_owned(),
                None => std::env::var(VARIABLE).unwrap_or_default(),
            };
            let orders = orders.split(',').filter(|order| !order.is_empty());
            Self {
                orders: orders
                    .map(|order| {
                        parse(order)
                            .unwrap_or_else(|| panic!("{order:?} is no order for a failpoint"))
                    })
                    .collect(),
            }
        }

        /// Fails if that was ordered for this time.
        pub(crate) fn hit(&self, point: Point) -> Result<()> {
            for order in &self.orders {
                if order.point != point {
                    continue;
                }
                let passed = order.passed.get() + 1;
                order.passed.set(passed);
                if (order.first..=order.last).contains(&passed) {
                    tracing::warn!(?order, "fails on order");
                    order.action.take()?;
                }
            }
            Ok(())
        }
    }

    impl Action {
        fn take(self) -> Result<()> {
            let code = match self {
                Self::Eio => ffi::SQLITE_IOERR_FSYNC,
                Self::Full => ffi::SQLITE_FULL,
                Self::Abort => std::process::abort(),
            };
            Err(Error::SqliteFailure(ffi::Error::new(code), None))
        }
    }

    fn parse(order: &str) -> Option<Order> {
        let (point, rest) = order.trim().split_once('=')?;
        let (action, times) = rest.split_once('@').unwrap_or((rest, "1"));
        let (first, last) = match times.split_once('-') {
            None => (times.parse().ok()?, times.parse().ok()?),
            Some((first, "")) => (first.parse().ok()?, u64::MAX),
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
        };
        Some(Order {
            point: match point {
                "lead.before" => Point::LeadBefore,
                "lead.after" => Point::LeadAfter,
                "commit.before" => Point::CommitBefore,
                "commit.after" => Point::CommitAfter,
                "prune.before" => Point::PruneBefore,
                "checkpoint" => Point::Checkpoint,
                _ => return None,
            },
            action: match action {
                "eio" => Action::Eio,
                "full" => Action::Full,
                "abort" => Action::Abort,
                _ => return None,
            },
            first,
            last,
            passed: Cell::new(0),
        })
    }
}
