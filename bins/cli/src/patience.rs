//! How long to go on when the master cannot be reached.

use std::time::Duration;

use jobyard_core::{ControlError, mutated};
use tokio::time::Instant;

/// How long a question is repeated. Short, because a person waits for the answer, and "there is no master" is one.
const CALL_PATIENCE: Duration = Duration::from_secs(3);

/// How long something that must not be left undone is repeated: a master that restarts is back by then.
const FIRM_PATIENCE: Duration = Duration::from_secs(30);

/// How long a follower tries to reach the master again: as long as an upgrade that goes wrong and is mended.
pub(crate) const FOLLOW_PATIENCE: Duration = Duration::from_mins(15);

/// Waiting times between tries, growing up to a limit, until patience is at its end.
#[derive(Debug)]
pub(crate) struct Retry {
    patience: Duration,
    failing_since: Option<Instant>,
    wait: Duration,
}

impl Retry {
    /// Gives up once tries have failed for this long.
    pub(crate) const fn new(patience: Duration) -> Self {
        Self {
            patience,
            failing_since: None,
            wait: FIRST_WAIT,
        }
    }

    /// A try has succeeded.
    pub(crate) fn succeeded(&mut self) {
        self.failing_since = None;
        self.wait = FIRST_WAIT;
    }

    /// Whether this is the first failure since the last success.
    pub(crate) const fn is_first_failure(&self) -> bool {
        self.failing_since.is_none()
    }

    /// After a failed try: returns when it is time for the next one, or gives the problem back if another try cannot
    /// help or patience is at its end. Cancel-safe.
    pub(crate) async fn pause(&mut self, problem: ControlError) -> Result<(), ControlError> {
        if !problem.is_temporary() {
            return Err(problem);
        }
        let now = Instant::now();
        let since = *self.failing_since.get_or_insert(now);
        let wait = spread(self.wait);
        if now + wait > since + self.patience {
            return Err(problem);
        }
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Repeats a question for a moment.
pub(crate) async fn repeat<T, F>(call: impl FnMut() -> F) -> Result<T, ControlError>
where
    F: Future<Output = Result<T, ControlError>>,
{
    repeat_for(CALL_PATIENCE, call).await
}

/// Repeats a call that may be repeated until it succeeds, or it is pointless to go on.
pub(crate) async fn insist<T, F>(call: impl FnMut() -> F) -> Result<T, ControlError>
where
    F: Future<Output = Result<T, ControlError>>,
{
    repeat_for(FIRM_PATIENCE, call).await
}

async fn repeat_for<T, F>(
    patience: Duration,
    mut call: impl FnMut() -> F,
) -> Result<T, ControlError>
where
    F: Future<Output = Result<T, ControlError>>,
{
    let mut retry = Retry::new(patience);
    loop {
        match call().await {
            Ok(value) => return Ok(value),
            Err(problem) if mutated("a call is not repeated") => return Err(problem),
            Err(problem) => retry.pause(problem).await?,
        }
    }
}

/// Many clients of one master do not come back in the same moment: each waits up to half as long again.
fn spread(wait: Duration) -> Duration {
    wait + wait * (std::process::id() % 64) / 128
}

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn repeat_until_the_master_is_back() {
        let calls = Cell::new(0);
        let result = insist(|| {
            calls.set(calls.get() + 1);
            let answer = if calls.get() < 4 {
                Err(ControlError::unavailable("restarts"))
            } else {
                Ok(calls.get())
            };
            async move { answer }
        })
        .await;
        assert_eq!(result, Ok(4));
    }

    #[tokio::test(start_paused = true)]
    async fn give_up_when_patience_is_at_its_end() {
        let start = Instant::now();
        let result: Result<(), _> =
            repeat(|| async { Err(ControlError::unavailable("gone")) }).await;
        assert_eq!(result, Err(ControlError::unavailable("gone")));
        assert!(start.elapsed() <= CALL_PATIENCE);
        assert!(start.elapsed() >= CALL_PATIENCE / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn do_not_repeat_what_will_be_refused_again() {
        let start = Instant::now();
        let refused = ControlError::invalid("slots", "0");
        let result: Result<(), _> = repeat(|| async { Err(refused.clone()) }).await;
        assert_eq!(result, Err(refused.clone()));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
