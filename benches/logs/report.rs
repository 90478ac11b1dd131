//! What is printed.

use std::time::Duration;

use jobyard_benches::figures::{median, percentile};
use jobyard_benches::machine::Machine;

use crate::options::Options;

/// Prints on what is measured.
pub(crate) fn begin(machine: &Machine, options: &Options) {
    println!("machine: {machine}");
    println!("data: {}", options.data.display());
    if cfg!(debug_assertions) {
        println!("not optimised: these figures mean nothing");
    }
    if options.quick {
        println!("quick: these figures mean little");
    }
}

/// A table in Markdown that people can read as it is.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// The head of a column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    name: &'static str,
    is_right: bool,
}

impl Column {
    /// Of words.
    pub(crate) const fn left(name: &'static str) -> Self {
        Self {
            name,
            is_right: false,
        }
    }

    /// Of numbers.
    pub(crate) const fn right(name: &'static str) -> Self {
        Self {
            name,
            is_right: true,
        }
    }
}

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }

    /// Prints what it shows, and it.
    pub(crate) fn print(&self, what: &str) {
        println!("\n{what}\n");
        let heads: Vec<String> = self
            .columns
            .iter()
            .map(|column| column.name.to_owned())
            .collect();
        println!("{}", self.line(&heads));
        let rule = self
            .columns
            .iter()
            .map(|column| if column.is_right { "--:|" } else { "---|" });
        println!("|{}", rule.collect::<String>());
        for row in &self.rows {
            println!("{}", self.line(row));
        }
    }

    fn line(&self, cells: &[String]) -> String {
        let cells = self.columns.iter().zip(cells).enumerate();
        let cells = cells.map(|(number, (column, cell))| {
            let width = self.width(number);
            if column.is_right {
                format!(" {cell:>width$} |")
            } else {
                format!(" {cell:<width$} |")
            }
        });
        format!("|{}", cells.collect::<String>())
    }

    fn width(&self, number: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[number].chars().count());
        cells
            .chain([self.columns[number].name.chars().count()])
            .max()
            .unwrap_or_default()
    }
}

/// The value in the middle of some rounds, and the two at the ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Median {
    pub(crate) least: f64,
    pub(crate) middle: f64,
    pub(crate) most: f64,
}

impl Median {
    pub(crate) fn of(values: &[f64]) -> Self {
        Self {
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            middle: median(values).unwrap_or(f64::NAN),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// A percentile in milliseconds.
pub(crate) fn millis(samples: &[Duration], percent: usize) -> f64 {
    percentile(samples, percent).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1_000.0)
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
pub(crate) fn figure(count: u64) -> f64 {
    count as f64
}
