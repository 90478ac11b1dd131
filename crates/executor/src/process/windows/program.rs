//! Which file a command names. We look ourselves, since the system would look in our own directories first.

use std::path::{Path, PathBuf};

use jobyard_core::{StartError, StartFailure};

/// The absolute path of a program: `name` itself if it has a separator or a drive (seen from `dir`), else the first file of
/// that name in `path`, whose empty and relative entries are also seen from `dir`. A name without an extension is that of
/// an `.exe`.
pub(super) fn find_program(name: &str, path: &str, dir: &Path) -> Result<PathBuf, StartError> {
    let mut file_name = PathBuf::from(name);
    if file_name.extension().is_none() {
        file_name.as_mut_os_string().push(".exe");
    }
    if name.contains(['/', '\\', ':']) {
        let file = dir.join(&file_name);
        return look_at(file, || format!("{name}: no such file"));
    }
    for entry in std::env::split_paths(path) {
        let file = dir.join(entry).join(&file_name);
        if file.exists() {
            return look_at(file, || format!("{name}: it has just been removed"));
        }
    }
    Err(StartError::Job {
        cause: StartFailure::NotFound,
        problem: format!("{name}: command not found in PATH {path}"),
    })
}

fn look_at(file: PathBuf, otherwise: impl FnOnce() -> String) -> Result<PathBuf, StartError> {
    if file.is_file() {
        return Ok(file);
    }
    let (cause, problem) = if file.exists() {
        let problem = format!("{}: not an executable file", file.display());
        (StartFailure::NotExecutable, problem)
    } else {
        (StartFailure::NotFound, otherwise())
    };
    Err(StartError::Job { cause, problem })
}
