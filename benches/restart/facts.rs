//! What phases have measured.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Figures by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Facts(BTreeMap<String, f64>);

impl Facts {
    pub(crate) fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn seconds(&mut self, name: &str, took: Duration) {
        self.set(name, took.as_secs_f64());
    }

    /// No number if it was not measured.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
pub(crate) fn figure(count: u64) -> f64 {
    count as f64
}
