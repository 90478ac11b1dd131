//! Which file a command names. We look ourselves, so that "not found" and "not executable" are told apart for certain.

use std::fs;
use std::path::{Path, PathBuf};

use jobyard_core::{StartError, StartFailure};
use rustix::fs::{Access, AtFlags, CWD, accessat};

/// The absolute path of a program: `name` itself if it has a slash (seen from `dir`), else the first executable of that
/// name in `path`, whose empty and relative entries are also seen from `dir`.
pub(super) fn find_program(name: &str, path: &str, dir: &Path) -> Result<PathBuf, StartError> {
    if name.contains('/') {
        let file = dir.join(name);
        return match look_at(&file) {
            Found::Executable => Ok(file),
            Found::NotExecutable => Err(not_executable(name)),
            Found::Nothing => Err(not_found(&format!("{name}: no such file"))),
        };
    }
    let mut seen = None;
    for entry in path.split(':') {
        let file = dir.join(entry).join(name);
        match look_at(&file) {
            Found::Executable => return Ok(file),
            Found::NotExecutable => seen = seen.or(Some(file)),
            Found::Nothing => {}
        }
    }
    Err(match seen {
        Some(file) => not_executable(&file.display().to_string()),
        None => not_found(&format!("{name}: command not found in PATH {path}")),
    })
}

enum Found {
    Executable,
    NotExecutable,
    Nothing,
}

fn look_at(file: &Path) -> Found {
    let Ok(metadata) = fs::metadata(file) else {
        return Found::Nothing;
    };
    let may_execute = accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS).is_ok();
    if metadata.is_file() && may_execute {
        Found::Executable
    } else {
        Found::NotExecutable
    }
}

fn not_found(problem: &str) -> StartError {
    StartError::Job {
        cause: StartFailure::NotFound,
        problem: problem.to_owned(),
    }
}

fn not_executable(file: &str) -> StartError {
    StartError::Job {
        cause: StartFailure::NotExecutable,
        problem: format!("{file}: not an executable file"),
    }
}
