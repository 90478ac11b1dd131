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
    SWITCHED_ON.with(|on| on.get() == Some(name)) || is_chosen_for_this_process(name)
}

/// Switches a deliberate bug on in this thread, or the one that is on off.
#[cfg(jobyard_mutants)]
#[doc(hidden)]
pub fn switch_mutant(name: Option<&'static str>) {
    SWITCHED_ON.with(|on| on.set(name));
}

/// Whether whoever started this process chose it, with the variable `JOBYARD_MUTANT`: one, or several with ` + ` in
/// between, where one alone is made good by another guard.
#[cfg(jobyard_mutants)]
fn is_chosen_for_this_process(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("JOBYARD_MUTANT").ok());
    let mut chosen = chosen.iter().flat_map(|chosen| chosen.split(" + "));
    chosen.any(|one| one == name)
}

#[cfg(jobyard_mutants)]
thread_local! {
    static SWITCHED_ON: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}
