//! How frames are compared with their files.

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use prost::Message;

use crate::wire::InvalidMessage;

const WRITE: &str = "JOBYARD_WRITE_GOLDEN";

fn path(name: &str, ending: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(format!("{name}.{ending}"))
}

/// Compares the encoded message with its file, and returns what the file decodes to.
pub(super) fn recorded<W: Message + Default + Debug>(name: &str, wire: &W) -> W {
    let (binary, text) = (path(name, "bin"), path(name, "txt"));
    let readable = format!("{wire:#?}\n");
    if std::env::var_os(WRITE).is_some() && !binary.exists() {
        fs::create_dir_all(binary.parent().unwrap()).unwrap();
        fs::write(&binary, wire.encode_to_vec()).unwrap();
        fs::write(&text, &readable).unwrap();
    }
    let bytes = fs::read(&binary).unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
    assert_eq!(wire.encode_to_vec(), bytes, "{name} is encoded as it was");
    assert_only_added(name, &fs::read_to_string(&text).unwrap(), &readable);
    W::decode(&bytes[..]).unwrap()
}

/// Each line of the text that was recorded is still there, in order: between them only fields that came later.
fn assert_only_added(name: &str, then: &str, now: &str) {
    let mut lines = now.lines();
    for line in then.lines() {
        assert!(
            lines.any(|it| it == line),
            "the text of {name} has lost the line {line:?}:\n{now}"
        );
    }
}

/// The value goes out as the file says and comes back as it was.
pub(super) fn golden<W, C>(name: &str, value: &C)
where
    W: Message + Default + Debug + From<C>,
    C: TryFrom<W, Error = InvalidMessage> + Clone + PartialEq + Debug,
{
    let wire = recorded(name, &W::from(value.clone()));
    assert_eq!(
        C::try_from(wire).as_ref(),
        Ok(value),
        "{name} is read as it was"
    );
}
