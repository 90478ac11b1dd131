//! Why jobs wait.

use jobyard_core::{Explanation, Help, WaitVerdict};

use super::InvalidMessage;
use super::field::{at_most, choice, list, same_names, short_text};
use crate::generated::v1;

/// More reasons, and more that helps, than anybody reads: what comes behind is the least important and is not sent.
const MAX_REASONS: usize = 1024;

same_names!(WaitVerdict, [Never, NotNow, NotKnownYet], Unspecified);

impl From<Explanation> for v1::Explanation {
    fn from(explanation: Explanation) -> Self {
        let verdict = explanation.verdict.map(v1::WaitVerdict::from);
        let reasons = explanation.reasons.into_iter().take(MAX_REASONS);
        let (relieve, help) = explanation
            .help
            .into_iter()
            .partition::<Vec<_>, _>(is_relief);
        let help = help.into_iter().take(MAX_REASONS);
        Self {
            state: v1::JobState::from(explanation.state).into(),
            verdict: verdict.unwrap_or_default().into(),
            reasons: reasons.map(Into::into).collect(),
            help: help.map(Into::into).collect(),
            relieve: names(relieve),
        }
    }
}

/// What clients of the first release cannot be told: they would refuse all of the explanation.
const fn is_relief(help: &Help) -> bool {
    matches!(help, Help::Relieve { .. })
}

fn names(relieve: Vec<Help>) -> Vec<String> {
    let name = |help| match help {
        Help::Relieve { name } => Some(name),
        _ => None,
    };
    let names = relieve.into_iter().filter_map(name);
    names.take(MAX_REASONS).collect()
}

impl TryFrom<v1::Explanation> for Explanation {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Explanation) -> Result<Self, InvalidMessage> {
        let verdict = match wire.verdict {
            0 => None,
            verdict => Some(choice::<v1::WaitVerdict, WaitVerdict>("verdict", verdict)?),
        };
        let mut explanation = Self::not_waiting(choice::<v1::JobState, _>("state", wire.state)?);
        explanation.verdict = verdict;
        explanation.reasons = list("reasons", wire.reasons, MAX_REASONS)?;
        explanation.help = list("help", wire.help, MAX_REASONS)?;
        at_most("relieve", wire.relieve.len(), MAX_REASONS)?;
        for name in wire.relieve {
            let name = short_text("relieve", name)?;
            explanation.help.push(Help::Relieve { name });
        }
        Ok(explanation)
    }
}
