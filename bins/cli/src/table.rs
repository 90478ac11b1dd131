//! Tables for people.

use comfy_table::presets::NOTHING;
use comfy_table::{Row, Table};

/// Rows under a heading, without borders, so that `grep` and `awk` can read them as well.
pub(crate) fn table<R: Into<Row>>(heading: impl Into<Row>, rows: Vec<R>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(heading);
    for row in rows {
        table.add_row(row);
    }
    table
        .trim_fmt()
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Names and values, one pair a line.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{name:width$}  {value}");
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The value, or a dash.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_plain_columns() {
        let shown = table(
            ["NAME", "STATE"],
            vec![
                ["forge".to_owned(), "active".to_owned()],
                ["x".to_owned(), "inactive".to_owned()],
            ],
        );
        let lines: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines,
            [["NAME", "STATE"], ["forge", "active"], ["x", "inactive"]]
        );
        assert_eq!(
            pairs(&[("a", "1".to_owned()), ("long", "2".to_owned())]),
            "a     1\nlong  2"
        );
    }
}
