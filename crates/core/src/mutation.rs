//! Deliberate bugs, for the test of the tests. Only a build with `--cfg jobyard_mutants` has any.

/// Whether the deliberate bug of this name is switched on, in this thread or in this process. Constant and false in a
/// usual build, so that what depends on it is not even compiled in.
#[cfg(not(jobyard_mutants))]
#[doc(hidden)]
#[inline]
pub const fn mutated(_name: &str) -> bool {
    false
}

/// Whether the deliberate bug of this name is switched on, in this thread or in this process.
#[cfg(jobyard_mutants)]
#[doc(hidden)]
pub fn mutated(name: &str) -> bool {
    SWITCHED_ON.with(|on| on.get() == Some(name)) || of_this_process() == Some(name)
}

/// Switches a deliberate bug on in this thread, or the one that is on off.
#[cfg(jobyard_mutants)]
#[doc(hidden)]
pub fn switch_mutant(name: Option<&'static str>) {
    SWITCHED_ON.with(|on| on.set(name));
}

/// The deliberate bug that whoever started this process chose, with the variable `JOBYARD_MUTANT`.
#[cfg(jobyard_mutants)]
fn of_this_process() -> Option<&'static str> {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("JOBYARD_MUTANT").ok());
    chosen.as_deref()
}

#[cfg(jobyard_mutants)]
thread_local! {
    static SWITCHED_ON: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}
