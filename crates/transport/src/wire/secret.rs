//! The secrets of a job, and `Debug` of the messages that hold a secret: everything but the secret.

use std::collections::BTreeMap;
use std::fmt;

use jobyard_core::{MAX_SECRETS, SecretText, ValidSpec};

use super::InvalidMessage;
use super::field::at_most;
use crate::generated::v1;

/// What stands in the field of the executor: nothing where the values of secrets travel, see `JobSecrets`.
pub(super) fn executor(spec: &ValidSpec) -> String {
    if has_values(spec) {
        String::new()
    } else {
        spec.executor.name.clone()
    }
}

/// The message; absent where there are none.
pub(super) fn secrets(spec: &ValidSpec) -> Option<v1::JobSecrets> {
    let entry = |(name, value): (&String, &SecretText)| v1::SecretEntry {
        name: name.clone(),
        value: (!value.is_hidden()).then(|| value.expose().to_owned()),
    };
    (!spec.secret_env.is_empty()).then(|| v1::JobSecrets {
        executor: if has_values(spec) {
            spec.executor.name.clone()
        } else {
            String::new()
        },
        env: spec.secret_env.iter().map(entry).collect(),
    })
}

fn has_values(spec: &ValidSpec) -> bool {
    spec.secret_env.values().any(|value| !value.is_hidden())
}

/// The name of the executor, and the secrets. What they are is checked with the rest of the spec.
pub(super) fn read(
    executor: String,
    wire: Option<v1::JobSecrets>,
) -> Result<(String, BTreeMap<String, SecretText>), InvalidMessage> {
    let Some(wire) = wire else {
        return Ok((executor, BTreeMap::new()));
    };
    at_most("secrets", wire.env.len(), MAX_SECRETS)?;
    let mut secrets = BTreeMap::new();
    for entry in wire.env {
        let value = entry.value.map_or_else(SecretText::hidden, SecretText::new);
        if secrets.insert(entry.name, value).is_some() {
            return Err(InvalidMessage::new("secrets", "a name comes twice"));
        }
    }
    match (executor.as_str(), wire.executor) {
        ("", name) => Ok((name, secrets)),
        (_, named) if named.is_empty() => Ok((executor, secrets)),
        _ => Err(InvalidMessage::new("executor", "it is named twice")),
    }
}

impl fmt::Debug for v1::SecretEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretEntry")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::EnrollRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrollRequest")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::CreateTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateTokenResponse")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_do_not_print_their_tokens() {
        let request = v1::EnrollRequest {
            token: "hunter2".to_owned(),
            ..Default::default()
        };
        let response = v1::CreateTokenResponse {
            token: "hunter2".to_owned(),
            ..Default::default()
        };
        let entry = v1::SecretEntry {
            value: Some("hunter2".to_owned()),
            ..Default::default()
        };
        let secrets = v1::JobSecrets {
            env: vec![entry],
            ..Default::default()
        };
        assert!(!format!("{request:?} {response:?} {secrets:?}").contains("hunter2"));
    }
}
