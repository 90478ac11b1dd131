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
