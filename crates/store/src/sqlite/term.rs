//! The row that says who leads.

use jobyard_core::Epoch;
use rusqlite::{Connection, params};

use super::failure::Failure;

/// The row as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// The newest term.
    pub(crate) epoch: Epoch,
    /// Whether it still lasts.
    pub(crate) held: bool,
    /// Its last batch.
    pub(crate) batch: u64,
}

/// Reads the row.
pub(crate) fn read(connection: &Connection) -> Result<Term, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT epoch, holder IS NOT NULL, batch FROM leader")?;
    let (epoch, held, batch): (i64, bool, i64) =
        statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let number = |value: i64| {
        u64::try_from(value)
            .map_err(|_| Failure::Storage("the leader's row holds a negative number".to_owned()))
    };
    Ok(Term {
        epoch: Epoch(number(epoch)?),
        held,
        batch: number(batch)?,
    })
}

/// Whether `epoch` leads, or by which term it was replaced.
pub(crate) fn check(connection: &Connection, epoch: Epoch) -> Result<Term, Failure> {
    let term = read(connection)?;
    if term.held && term.epoch == epoch {
        Ok(term)
    } else {
        Err(Failure::Fenced(term.epoch))
    }
}

/// Begins a term above the last one and above `at_least`.
pub(crate) fn begin(
    connection: &Connection,
    holder: &str,
    at_least: Epoch,
) -> Result<Term, Failure> {
    let last = read(connection)?.epoch.max(at_least);
    let epoch = last.next();
    let stored = i64::try_from(epoch.0)
        .map_err(|_| Failure::Storage(format!("there is no term after {last}")))?;
    connection
        .prepare_cached("UPDATE leader SET epoch = ?1, holder = ?2, batch = 0")?
        .execute(params![stored, holder])?;
    Ok(Term {
        epoch,
        held: true,
        batch: 0,
    })
}

/// Ends the term; its number stays used.
pub(crate) fn end(connection: &Connection) -> Result<(), Failure> {
    connection
        .prepare_cached("UPDATE leader SET holder = NULL")?
        .execute([])?;
    Ok(())
}
