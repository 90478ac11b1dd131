//! What every command has at hand.

use std::sync::Arc;

use jobyard_core::{Caller, Control, RequestId};
use uuid::Uuid;

use crate::console::Console;
use crate::printer::PrintOptions;

/// The way to the master, who asks, and where to print.
pub(crate) struct Context {
    /// The way to the master.
    pub(crate) control: Arc<dyn Control>,
    /// Who asks.
    pub(crate) caller: Caller,
    /// Where to print.
    pub(crate) console: Console,
    /// For programs.
    pub(crate) json: bool,
}

impl Context {
    /// The caller with the id of one request that changes something; its repeats keep it.
    pub(crate) fn request(&self) -> Caller {
        let mut caller = self.caller.clone();
        caller.request = Some(RequestId::from_uuid(Uuid::now_v7()));
        caller
    }

    /// How output of jobs is printed if nothing else is asked for.
    pub(crate) fn print_options(&self) -> PrintOptions {
        PrintOptions {
            json: self.json,
            ..PrintOptions::default()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::console::tests::{Captured, captured};
    use crate::testing::Scripted;

    /// A context with a scripted control, and what it prints.
    pub(crate) fn scripted() -> (Context, Arc<Scripted>, Captured, Captured) {
        let control = Arc::new(Scripted::default());
        let (console, out, err) = captured();
        let context = Context {
            control: Arc::clone(&control) as Arc<dyn Control>,
            caller: Caller::host(),
            console,
            json: false,
        };
        (context, control, out, err)
    }
}
