//! Where the value of a secret comes from: never from what is written in a file of jobs or on the command line.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use jobyard_core::{MAX_SECRET_BYTES, SecretText};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Where the value of a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecretSource {
    /// A variable of our own environment.
    FromEnv(String),
    /// A file, of which one line end at its end is left out.
    File(PathBuf),
}

impl SecretSource {
    /// Reads `NAME` or `NAME=@FILE`. An error does not repeat what may be a secret.
    pub(crate) fn read_option(text: &str) -> Result<(String, Self), String> {
        let Some((name, source)) = text.split_once('=') else {
            return Ok((text.to_owned(), Self::FromEnv(text.to_owned())));
        };
        match source.strip_prefix('@') {
            Some(file) if !file.is_empty() => Ok((name.to_owned(), Self::File(file.into()))),
            _ => Err(format!(
                "--secret-env {name}: a value on the command line can be read by everybody on this machine: write \
                 {name} alone for the value that it has in your environment, or {name}=@FILE"
            )),
        }
    }

    /// The value. Reads the file; blocks on that. The error says what to do.
    pub(crate) fn value(&self) -> Result<SecretText, String> {
        match self {
            Self::FromEnv(name) => match std::env::var(name) {
                Ok(value) => Ok(SecretText::new(value)),
                Err(std::env::VarError::NotPresent) => Err(format!(
                    "the variable {name} is not set here: set it, or name a file"
                )),
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(format!("the variable {name} is not text (UTF-8)"))
                }
            },
            Self::File(path) => read_file(path),
        }
    }
}

fn read_file(path: &Path) -> Result<SecretText, String> {
    let name = path.display();
    let mut bytes = Vec::new();
    // Room for a line end that does not count, and for one byte too many.
    let limit = MAX_SECRET_BYTES as u64 + 3;
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {name}: {error}"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("{name} is not text (UTF-8): encode it, and let the job decode it"))?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    Ok(SecretText::new(value))
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with `from_env` or `file`")
    }

    /// Without the text, which may be the secret.
    fn visit_str<E: Error>(self, _text: &str) -> Result<SecretSource, E> {
        Err(E::custom(
            "secret_env: a value does not belong into a file of jobs: write from_env with the name of a variable of your \
             own environment, or file with a path",
        ))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretSource, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            from_env: Option<String>,
            file: Option<PathBuf>,
        }
        let written = Written::deserialize(MapAccessDeserializer::new(map))?;
        match (written.from_env, written.file) {
            (Some(name), None) => Ok(SecretSource::FromEnv(name)),
            (None, Some(path)) => Ok(SecretSource::File(path)),
            _ => Err(A::Error::custom(
                "secret_env: give either from_env or file for each name",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_name_a_variable_or_a_file_and_never_a_value() {
        assert_eq!(
            SecretSource::read_option("TOKEN"),
            Ok((
                "TOKEN".to_owned(),
                SecretSource::FromEnv("TOKEN".to_owned())
            ))
        );
        assert_eq!(
            SecretSource::read_option("KEY=@/run/key"),
            Ok(("KEY".to_owned(), SecretSource::File("/run/key".into())))
        );
        for wrong in ["TOKEN=hunter2", "TOKEN=", "TOKEN=@"] {
            let error = SecretSource::read_option(wrong).expect_err(wrong);
            assert!(error.contains("TOKEN=@FILE"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn one_line_end_at_the_end_of_a_file_is_not_part_of_the_value() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        for (written, value) in [
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            ("hunter2\n\n", "hunter2\n"),
            ("hunter2", "hunter2"),
        ] {
            std::fs::write(&path, written).expect("written");
            let source = SecretSource::File(path.clone());
            assert_eq!(source.value().expect("a value").expose(), value);
        }
        std::fs::write(&path, b"\xff\xfe").expect("written");
        let error = SecretSource::File(path).value().expect_err("no text");
        assert!(error.contains("encode it"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let missing = SecretSource::FromEnv("JOBYARD_TEST_NEVER_SET".to_owned());
        let error = missing.value().expect_err("not set");
        assert!(
            error.contains("JOBYARD_TEST_NEVER_SET is not set"),
            "{error}"
        );
        let missing = SecretSource::File("/nowhere/at/all".into());
        let error = missing.value().expect_err("not there");
        assert!(error.contains("/nowhere/at/all"), "{error}");
    }
}
