//! How a program ends.

use std::error::Error;
use std::process::ExitCode;

/// What shells expect of a program that was called wrongly.
const USAGE: u8 = 2;

/// Serves with what the program was told, to its end.
///
/// The exit code is 0 if `serve` succeeds. An error goes to standard error as one line, `program: ` and what it says
/// with its causes; the exit code is 2 if it is that of `told`, where the caller has to write something else, and 1 if
/// it is that of `serve`.
pub fn run<T, E>(
    program: &str,
    told: Result<T, E>,
    serve: impl FnOnce(T) -> Result<(), E>,
) -> ExitCode
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let (error, code) = match told.map(serve) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => (error, ExitCode::FAILURE),
        Err(error) => (error, ExitCode::from(USAGE)),
    };
    eprintln!("{program}: {}", sentence(error.into().as_ref()));
    code
}

/// The error and its causes, each said once: many an error of the crates names its cause itself.
fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut said = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let cause = error.to_string();
        if said.contains(&cause) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&cause);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with a cause, unless it is the first.
    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Because {
        said: &'static str,
        source: Option<Box<Self>>,
    }

    fn because(said: &'static str, source: Option<Because>) -> Because {
        let source = source.map(Box::new);
        Because { said, source }
    }

    #[test]
    fn each_cause_is_said_once() {
        let error = because("the port is taken", None);
        let error = because(
            "cannot listen: the port is taken; choose another",
            Some(error),
        );
        let error = because("the master cannot start", Some(error));
        assert_eq!(
            sentence(&error),
            "the master cannot start: cannot listen: the port is taken; choose another"
        );
    }

    #[test]
    fn the_exit_code_says_whose_fault_it_is() {
        let serve = |fails: bool| if fails { Err("broken") } else { Ok(()) };
        let code = |told| format!("{:?}", run("test", told, serve));
        assert_eq!(code(Ok(false)), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(code(Ok(true)), format!("{:?}", ExitCode::from(1)));
        assert_eq!(code(Err("wrong")), format!("{:?}", ExitCode::from(2)));
    }
}
