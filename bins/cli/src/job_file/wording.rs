//! The words of the libraries that read files, in those of people who write them.

use std::borrow::Cow;

/// A refusal without the names that types have in a program. What is not known to have any stays as it is.
pub(super) fn in_plain_words(message: &str) -> String {
    let wrong = ["invalid type: ", "invalid value: "]
        .into_iter()
        .find_map(|what| message.strip_prefix(what)?.rsplit_once(", expected "));
    if let Some((found, expected)) = wrong {
        let (found, expected) = (found_there(found), wanted(expected));
        return format!("{expected} is expected here, and not {found}");
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        return format!("the key {key} is missing");
    }
    if let Some(key) = message.strip_prefix("duplicate field ") {
        return format!("the key {key} is given twice");
    }
    if let Some((found, known)) = message
        .strip_prefix("unknown variant ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        return format!("{found} is not known here: write {known}");
    }
    message.to_owned()
}

/// What should stand there.
fn wanted(expected: &str) -> Cow<'_, str> {
    let numbers = |min: i128, max: i128| format!("a whole number from {min} to {max}").into();
    match expected {
        "u8" => numbers(0, u8::MAX.into()),
        "u16" => numbers(0, u16::MAX.into()),
        "u32" => numbers(0, u32::MAX.into()),
        "u64" | "usize" => numbers(0, u64::MAX.into()),
        "i32" => numbers(i32::MIN.into(), i32::MAX.into()),
        "i64" => numbers(i64::MIN.into(), i64::MAX.into()),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "`true` or `false`".into(),
        "a string" | "a borrowed string" => "a text".into(),
        "a sequence" => "a list".into(),
        _ if expected.starts_with("struct ") => "a map of keys".into(),
        _ => expected.into(),
    }
}

/// What stands there.
fn found_there(found: &str) -> &str {
    let kinds = ["integer ", "floating point ", "boolean ", "string "];
    if let Some(value) = kinds.into_iter().find_map(|kind| found.strip_prefix(kind)) {
        return value;
    }
    match found {
        "map" => "a map",
        "sequence" => "a list",
        "null" | "unit value" | "Option value" => "nothing",
        _ => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_program_are_not_named() {
        let cases = [
            (
                "invalid value: integer `-1`, expected u32",
                "a whole number from 0 to 4294967295 is expected here, and not `-1`",
            ),
            (
                "invalid type: string \"a, expected u32\", expected i32",
                "a whole number from -2147483648 to 2147483647 is expected here, and not \"a, expected u32\"",
            ),
            (
                "invalid type: floating point `1.5`, expected a sequence",
                "a list is expected here, and not `1.5`",
            ),
            (
                "invalid type: map, expected a boolean",
                "`true` or `false` is expected here, and not a map",
            ),
            (
                "invalid type: null, expected a string",
                "a text is expected here, and not nothing",
            ),
            (
                "invalid type: integer `7`, expected struct Draft",
                "a map of keys is expected here, and not `7`",
            ),
            ("missing field `limit`", "the key `limit` is missing"),
            ("duplicate field `name`", "the key `name` is given twice"),
            (
                "unknown variant `best`, expected one of `spread`, `pack`",
                "`best` is not known here: write one of `spread`, `pack`",
            ),
            ("priority: 7 is wrong", "priority: 7 is wrong"),
        ];
        for (message, said) in cases {
            assert_eq!(in_plain_words(message), said);
        }
    }
}
