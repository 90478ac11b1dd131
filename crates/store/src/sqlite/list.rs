//! Pages of records.

use jobyard_core::{LoadError, MAX_PAGE, Record, RecordKind, RecordPage, RecordQuery};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::failure::Failure;
use super::row;
use crate::page::cut_page;

/// One page. Work is bounded by the page as long as the narrowest filter has an index: labels, a name, a state or a
/// group alone do. A second filter is checked row by row.
pub(crate) fn list(connection: &Connection, query: &RecordQuery) -> Result<RecordPage, LoadError> {
    if query.limit == 0 || query.limit > MAX_PAGE {
        return Err(LoadError::BadQuery {
            problem: "a page holds 1 to 1000 records",
        });
    }
    let Some(question) = Question::of(query) else {
        return Ok(RecordPage::default());
    };
    let mut statement = connection
        .prepare_cached(&question.sql)
        .map_err(Failure::from)?;
    let mut rows = statement
        .query(params_from_iter(question.values))
        .map_err(Failure::from)?;
    let mut records = Vec::new();
    while let Some(found) = rows.next().map_err(Failure::from)? {
        records.push(row::read(query.kind, found)?);
    }
    cut_page(records, query.limit)
}

/// One record.
pub(crate) fn get(
    connection: &Connection,
    kind: RecordKind,
    key: &str,
) -> Result<Option<Record>, LoadError> {
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT {columns} FROM records r WHERE r.kind = ?1 AND r.key = ?2",
            columns = row::COLUMNS
        ))
        .map_err(Failure::from)?;
    let mut rows = statement.query([kind.0, key]).map_err(Failure::from)?;
    match rows.next().map_err(Failure::from)? {
        Some(found) => row::read(kind, found).map(Some),
        None => Ok(None),
    }
}

/// Those that ended first, before a moment.
pub(crate) fn oldest_ended(
    connection: &Connection,
    kind: RecordKind,
    before: u64,
    limit: usize,
) -> Result<Vec<Record>, LoadError> {
    if limit == 0 || limit > MAX_PAGE {
        return Err(LoadError::BadQuery {
            problem: "a page holds 1 to 1000 records",
        });
    }
    let Some(last) = before.checked_sub(1) else {
        return Ok(Vec::new());
    };
    let last = i64::try_from(last).unwrap_or(i64::MAX);
    let mut statement = connection
        .prepare_cached(&oldest_ended_sql(limit))
        .map_err(Failure::from)?;
    let mut rows = statement
        .query(params![kind.0, last])
        .map_err(Failure::from)?;
    let mut records = Vec::new();
    while let Some(found) = rows.next().map_err(Failure::from)? {
        records.push(row::read(kind, found)?);
    }
    Ok(records)
}

/// Those that have ended, beyond one of them.
pub(crate) fn ended_after(
    connection: &Connection,
    kind: RecordKind,
    after: Option<&(u64, String)>,
    limit: usize,
) -> Result<Vec<Record>, LoadError> {
    if limit == 0 || limit > MAX_PAGE {
        return Err(LoadError::BadQuery {
            problem: "a page holds 1 to 1000 records",
        });
    }
    let (ended, key) = match after {
        Some((ended, key)) => (i64::try_from(*ended).unwrap_or(i64::MAX), key.as_str()),
        None => (-1, ""),
    };
    let mut statement = connection
        .prepare_cached(&ended_after_sql(limit))
        .map_err(Failure::from)?;
    let mut rows = statement
        .query(params![kind.0, ended, key])
        .map_err(Failure::from)?;
    let mut records = Vec::new();
    while let Some(found) = rows.next().map_err(Failure::from)? {
        records.push(row::read(kind, found)?);
    }
    Ok(records)
}

/// In the order of an index, but for those that ended at the same microsecond.
fn ended_after_sql(limit: usize) -> String {
    let columns = row::COLUMNS;
    format!(
        "SELECT {columns} FROM records r INDEXED BY records_by_end \
         WHERE r.kind = ?1 AND r.live = 0 AND r.ended IS NOT NULL AND r.ended >= ?2 AND (r.ended > ?2 OR r.key > ?3) \
         ORDER BY r.ended, r.key LIMIT {limit}"
    )
}

fn oldest_ended_sql(limit: usize) -> String {
    let columns = row::COLUMNS;
    format!(
        "SELECT {columns} FROM records r INDEXED BY records_by_end \
         WHERE r.kind = ?1 AND r.live = 0 AND r.ended IS NOT NULL AND r.ended <= ?2 \
         ORDER BY r.ended LIMIT {limit}"
    )
}

/// How many are live, or are not.
pub(crate) fn count(
    connection: &Connection,
    kind: RecordKind,
    live: bool,
) -> Result<u64, LoadError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT count(*) FROM records INDEXED BY records_by_order WHERE kind = ?1 AND live = ?2",
        )
        .map_err(Failure::from)?;
    let count: i64 = statement
        .query_row(params![kind.0, live], |row| row.get(0))
        .map_err(Failure::from)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// A query as SQL. The text depends on which filters there are, never on their values, so it stays compiled.
struct Question {
    sql: String,
    values: Vec<Value>,
}

/// What the rows are read along.
#[derive(Clone, Copy)]
enum Path {
    /// Along the first label.
    Label,
    /// Along an index of a column.
    Column(&'static str),
    /// Along the order; the live and the other half are merged.
    Order,
}

impl Question {
    /// `None` if the answer is known to be empty.
    fn of(query: &RecordQuery) -> Option<Self> {
        let path = if !query.labels.is_empty() {
            Path::Label
        } else if query.name.is_some() {
            Path::Column("records_by_name")
        } else if query.state.is_some() {
            Path::Column("records_by_state")
        } else if query.group.is_some() {
            Path::Column("records_by_group")
        } else {
            Path::Order
        };
        let mut question = Self {
            sql: String::new(),
            values: vec![Value::Text(query.kind.0.to_owned())],
        };
        let filters = question.filters(query, path)?;
        let direction = if query.ascending { "ASC" } else { "DESC" };
        let columns = row::COLUMNS;
        // One more than asked for tells whether there is a next page.
        let limit = query.limit + 1;
        question.sql = match path {
            Path::Label => format!(
                "SELECT {columns} FROM labels l CROSS JOIN records r ON r.id = l.record \
                 WHERE l.kind = ?1{filters} ORDER BY l.ord {direction} LIMIT {limit}"
            ),
            Path::Column(index) => format!(
                "SELECT {columns} FROM records r INDEXED BY {index} \
                 WHERE r.kind = ?1{filters} ORDER BY r.ord {direction} LIMIT {limit}"
            ),
            Path::Order => {
                let half = |live| {
                    format!(
                        "SELECT {columns} FROM records r INDEXED BY records_by_order \
                         WHERE r.kind = ?1 AND r.live = {live}{filters}"
                    )
                };
                match query.live {
                    Some(live) => {
                        let half = half(i32::from(live));
                        format!("{half} ORDER BY r.ord {direction} LIMIT {limit}")
                    }
                    None => format!(
                        "{} UNION ALL {} ORDER BY 3 {direction} LIMIT {limit}",
                        half(0),
                        half(1)
                    ),
                }
            }
        };
        Some(question)
    }

    /// The conditions after the kind.
    fn filters(&mut self, query: &RecordQuery, path: Path) -> Option<String> {
        let mut conditions = Vec::new();
        let columns = [
            ("r.state", &query.state),
            ("r.name", &query.name),
            ("r.grp", &query.group),
        ];
        for (column, value) in columns {
            if let Some(value) = value {
                let value = self.bind(Value::Text(value.clone()));
                conditions.push(format!(" AND {column} = {value}"));
            }
        }
        if let (Some(live), Path::Label | Path::Column(_)) = (query.live, path) {
            conditions.push(format!(" AND r.live = {}", i32::from(live)));
        }
        for (index, (label, value)) in query.labels.iter().enumerate() {
            let label = self.bind(Value::Text(label.clone()));
            let value = self.bind(Value::Text(value.clone()));
            conditions.push(if index == 0 {
                format!(" AND l.label = {label} AND l.value = {value}")
            } else {
                format!(
                    " AND EXISTS (SELECT 1 FROM labels o WHERE o.kind = ?1 AND o.label = {label} \
                     AND o.value = {value} AND o.ord = l.ord AND o.record = l.record)"
                )
            });
        }
        if let Some(after) = query.after {
            let order = match path {
                Path::Label => "l.ord",
                Path::Column(_) | Path::Order => "r.ord",
            };
            let (comparison, place) = match (query.ascending, i64::try_from(after)) {
                (true, Ok(place)) => (">", place),
                (true, Err(_)) => return None,
                (false, Ok(place)) => ("<", place),
                (false, Err(_)) => ("<=", i64::MAX),
            };
            let place = self.bind(Value::Integer(place));
            conditions.push(format!(" AND {order} {comparison} {place}"));
        }
        Some(conditions.concat())
    }

    /// The name of a parameter with this value.
    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::super::open::{beside, open_writer};
    use super::super::store::SqliteOptions;
    use super::*;

    const JOB: RecordKind = RecordKind("job");

    /// A history of so many records, one in ten of them live.
    fn history(records: i64) -> (tempfile::TempDir, Connection) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let lock = beside(&path, ".lock");
        let connection = open_writer(&path, &lock, &SqliteOptions::default()).unwrap();
        let insert = "INSERT INTO records \
             (kind, key, version, ord, live, state, name, grp, labels, body, ended) \
             SELECT 'job', 'job-' || value, 1, value, value % 10 = 0, 'finished', 'build', \
             'default', '{\"team\":\"red\"}', '{\"padding\":\"some of it\"}', value * 1000 \
             FROM numbers";
        connection
            .execute_batch(&format!(
                "BEGIN; \
                 CREATE TEMP TABLE numbers AS WITH RECURSIVE n(value) AS \
                 (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {records}) SELECT value FROM n; \
                 {insert}; \
                 INSERT INTO labels SELECT 'job', 'team', 'red', ord, id FROM records; COMMIT;"
            ))
            .unwrap();
        (directory, connection)
    }

    /// Every form of question that an index answers alone.
    fn questions() -> Vec<RecordQuery> {
        let mut forms = Vec::new();
        for ascending in [false, true] {
            for after in [None, Some(700)] {
                for live in [None, Some(true), Some(false)] {
                    let mut query = RecordQuery::new(JOB, 100);
                    (query.ascending, query.after, query.live) = (ascending, after, live);
                    forms.push(query);
                }
                for field in 0..4 {
                    let mut query = RecordQuery::new(JOB, 100);
                    (query.ascending, query.after) = (ascending, after);
                    match field {
                        0 => query.state = Some("finished".to_owned()),
                        1 => query.name = Some("build".to_owned()),
                        2 => query.group = Some("default".to_owned()),
                        _ => query.labels = vec![("team".to_owned(), "red".to_owned())],
                    }
                    forms.push(query);
                }
            }
        }
        forms
    }

    /// What a page cost: steps of SQLite's machine, bytes of the statement.
    fn cost(connection: &Connection, sql: &str, values: &[Value]) -> (i32, i32) {
        let mut statement = connection.prepare(sql).unwrap();
        let mut rows = statement.query(params_from_iter(values)).unwrap();
        let mut count = 0;
        while rows.next().unwrap().is_some() {
            count += 1;
        }
        drop(rows);
        assert!(count <= 101, "{count} rows were read: {sql}");
        for status in [
            StatementStatus::FullscanStep,
            StatementStatus::Sort,
            StatementStatus::AutoIndex,
        ] {
            let found = statement.get_status(status);
            assert_eq!(found, 0, "{sql}");
        }
        let steps = statement.get_status(StatementStatus::VmStep);
        (steps, statement.get_status(StatementStatus::MemUsed))
    }

    fn plan(connection: &Connection, sql: &str, values: &[Value]) -> String {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let lines = statement
            .query_map(params_from_iter(values), |row| row.get::<_, String>(3))
            .unwrap();
        lines.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn page_of_a_long_history_costs_what_one_of_a_short_one_does() {
        let (_short, short) = history(2_000);
        let (_long, long) = history(200_000);
        let mut forms: Vec<(String, Vec<Value>)> = questions()
            .iter()
            .map(|query| {
                let question = Question::of(query).unwrap();
                (question.sql, question.values)
            })
            .collect();
        let kind = Value::Text("job".to_owned());
        forms.push((oldest_ended_sql(100), vec![kind, Value::Integer(i64::MAX)]));
        for (sql, values) in forms {
            let plan = plan(&long, &sql, &values);
            assert!(plan.contains("SEARCH"), "{plan}: {sql}");
            assert!(!plan.contains("SCAN"), "{plan}: {sql}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}: {sql}");
            let (steps, bytes) = cost(&short, &sql, &values);
            let (long_steps, long_bytes) = cost(&long, &sql, &values);
            assert!(
                long_steps <= steps + steps / 10,
                "{long_steps} steps instead of {steps}: {sql}"
            );
            assert!(
                long_bytes <= 2 * bytes,
                "{long_bytes} bytes instead of {bytes}: {sql}"
            );
        }
    }

    #[test]
    fn pages_cover_a_long_history_once() {
        let (_directory, connection) = history(20_000);
        let mut query = RecordQuery::new(JOB, MAX_PAGE);
        let mut expected = 20_000;
        loop {
            let page = list(&connection, &query).unwrap();
            for record in page.records {
                assert_eq!(record.fields.order, expected);
                expected -= 1;
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(expected, 0);
    }
}
