//! Checks of single fields.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{AttemptNumber, JobId, MAX_DURATION, Timestamp, WorkerId};
use uuid::Uuid;

use super::InvalidMessage;
use crate::generated::v1;

/// The longest text that a machine says of itself.
pub(super) const MAX_TEXT_BYTES: usize = 256;

/// A nested message that has to be there.
pub(crate) fn required<W, C>(field: &str, value: Option<W>) -> Result<C, InvalidMessage>
where
    C: TryFrom<W, Error = InvalidMessage>,
{
    let value = value.ok_or_else(|| InvalidMessage::new(field, "it is missing"))?;
    C::try_from(value).map_err(|error| error.within(field))
}

/// A nested message that may be absent.
pub(super) fn optional<W, C>(field: &str, value: Option<W>) -> Result<Option<C>, InvalidMessage>
where
    C: TryFrom<W, Error = InvalidMessage>,
{
    value
        .map(|value| C::try_from(value).map_err(|error| error.within(field)))
        .transpose()
}

/// A list of nested messages, at most `max` of them.
pub(super) fn list<W, C>(field: &str, values: Vec<W>, max: usize) -> Result<Vec<C>, InvalidMessage>
where
    C: TryFrom<W, Error = InvalidMessage>,
{
    at_most(field, values.len(), max)?;
    let mut checked = Vec::with_capacity(values.len());
    for (at, value) in values.into_iter().enumerate() {
        let value = C::try_from(value).map_err(|error| error.within(&format!("{field}[{at}]")))?;
        checked.push(value);
    }
    Ok(checked)
}

/// A text with a grammar.
pub(super) fn text<C>(field: &str, text: &str) -> Result<C, InvalidMessage>
where
    C: FromStr,
    C::Err: Display,
{
    text.parse()
        .map_err(|error| InvalidMessage::new(field, error))
}

/// A list of texts with a grammar, at most `max` of them.
pub(super) fn texts<C>(field: &str, values: &[String], max: usize) -> Result<Vec<C>, InvalidMessage>
where
    C: FromStr,
    C::Err: Display,
{
    at_most(field, values.len(), max)?;
    let parse = |(at, it): (usize, &String)| text(&format!("{field}[{at}]"), it);
    values.iter().enumerate().map(parse).collect()
}

/// The other way round.
pub(super) fn to_texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

/// One of an enum's values; unspecified and unknown ones are refused.
pub(super) fn choice<W, C>(field: &str, value: i32) -> Result<C, InvalidMessage>
where
    W: TryFrom<i32>,
    C: TryFrom<W, Error = InvalidMessage>,
{
    let known = W::try_from(value)
        .map_err(|_| InvalidMessage::new(field, format!("{value} is not a known value")))?;
    C::try_from(known).map_err(|error| error.within(field))
}

/// The variant of a `oneof`, which has to be there.
pub(super) fn kind<K>(kind: Option<K>) -> Result<K, InvalidMessage> {
    kind.ok_or_else(|| InvalidMessage::new("kind", "it is missing or not known here"))
}

/// A UUID of the wanted type.
pub(crate) fn id<T>(field: &str, bytes: &[u8], wrap: fn(Uuid) -> T) -> Result<T, InvalidMessage> {
    Uuid::from_slice(bytes)
        .map(wrap)
        .map_err(|_| InvalidMessage::new(field, "an id has 16 bytes"))
}

pub(super) fn job_id(field: &str, bytes: &[u8]) -> Result<JobId, InvalidMessage> {
    id(field, bytes, JobId::from_uuid)
}

pub(super) fn worker_id(field: &str, bytes: &[u8]) -> Result<WorkerId, InvalidMessage> {
    id(field, bytes, WorkerId::from_uuid)
}

/// The number of an attempt.
pub(super) fn attempt_number(field: &str, number: u32) -> Result<AttemptNumber, InvalidMessage> {
    AttemptNumber::new(number)
        .ok_or_else(|| InvalidMessage::new(field, "attempts are counted from 1"))
}

pub(crate) fn id_bytes(uuid: Uuid) -> Bytes {
    Bytes::copy_from_slice(uuid.as_bytes())
}

/// A span of at most [`MAX_DURATION`], so that no deadline overflows.
pub(super) fn duration(field: &str, millis: u64) -> Result<Duration, InvalidMessage> {
    let span = Duration::from_millis(millis);
    if span > MAX_DURATION {
        return Err(InvalidMessage::new(field, "it is longer than a year"));
    }
    Ok(span)
}

/// Whole milliseconds, rounded up, so that what is not zero does not become zero.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

pub(super) fn moment(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

pub(super) fn micros(moment: Option<Timestamp>) -> Option<i64> {
    moment.map(Timestamp::as_micros)
}

/// A text that a machine says of itself.
pub(super) fn short_text(field: &str, text: String) -> Result<String, InvalidMessage> {
    at_most(field, text.len(), MAX_TEXT_BYTES)?;
    if text.chars().any(char::is_control) {
        return Err(InvalidMessage::new(
            field,
            "control characters are not allowed",
        ));
    }
    Ok(text)
}

/// A map, whose keys do not repeat.
pub(super) fn map(
    field: &str,
    entries: Vec<v1::Entry>,
) -> Result<BTreeMap<String, String>, InvalidMessage> {
    unique(
        field,
        entries.into_iter().map(|entry| (entry.key, entry.value)),
    )
}

pub(super) fn entries(map: BTreeMap<String, String>) -> Vec<v1::Entry> {
    let entry = |(key, value)| v1::Entry { key, value };
    map.into_iter().map(entry).collect()
}

/// A map to counts, whose keys do not repeat.
pub(super) fn counts(
    field: &str,
    entries: Vec<v1::Count>,
) -> Result<BTreeMap<String, u64>, InvalidMessage> {
    unique(
        field,
        entries.into_iter().map(|entry| (entry.key, entry.value)),
    )
}

pub(super) fn to_counts(map: BTreeMap<String, u64>) -> Vec<v1::Count> {
    let entry = |(key, value)| v1::Count { key, value };
    map.into_iter().map(entry).collect()
}

fn unique<V>(
    field: &str,
    entries: impl Iterator<Item = (String, V)>,
) -> Result<BTreeMap<String, V>, InvalidMessage> {
    let mut map = BTreeMap::new();
    for (key, value) in entries {
        if map.insert(key, value).is_some() {
            return Err(InvalidMessage::new(field, "a key comes twice"));
        }
    }
    Ok(map)
}

pub(super) fn at_most(field: &str, number: usize, max: usize) -> Result<(), InvalidMessage> {
    if number <= max {
        return Ok(());
    }
    Err(InvalidMessage::new(
        field,
        format!("{number} are too many: at most {max}"),
    ))
}

/// Maps the values of an enum of the wire and of one of `core` onto each other, by name. For an enum that may grow, the
/// last argument says what goes out for a value that is not known here.
macro_rules! same_names {
    ($enum:ident, [$($name:ident),+ $(,)?] $(, $other:ident)?) => {
        impl From<jobyard_core::$enum> for v1::$enum {
            fn from(value: jobyard_core::$enum) -> Self {
                match value {
                    $(jobyard_core::$enum::$name => Self::$name,)+
                    $(_ => Self::$other,)?
                }
            }
        }

        impl TryFrom<v1::$enum> for jobyard_core::$enum {
            type Error = InvalidMessage;

            fn try_from(value: v1::$enum) -> Result<Self, InvalidMessage> {
                match value {
                    $(v1::$enum::$name => Ok(Self::$name),)+
                    v1::$enum::Unspecified => Err(InvalidMessage::new("", "it is unspecified")),
                }
            }
        }
    };
}
pub(super) use same_names;
