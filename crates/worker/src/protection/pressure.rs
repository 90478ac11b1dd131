//! The kernel says when tasks wait for memory.

use std::time::Duration;

/// The time over which the kernel looks: the shortest that it takes from users without rights.
const WINDOW: Duration = Duration::from_secs(2);

/// Wakes the worker when all tasks waited for memory for a share of [`WINDOW`], where the kernel offers that.
#[derive(Debug)]
pub(crate) struct MemoryPressure {
    #[cfg(target_os = "linux")]
    trigger: tokio::io::unix::AsyncFd<std::fs::File>,
    #[cfg(not(target_os = "linux"))]
    never: std::convert::Infallible,
}

#[cfg(target_os = "linux")]
impl MemoryPressure {
    /// A trigger at so many hundredths; `None`: the kernel has none to give. Needs a runtime with IO.
    #[expect(
        deprecated,
        reason = "its successor is an unsafe function, and a file that owns its descriptor is what it asks for"
    )]
    pub(crate) fn beyond(percent: u8) -> Option<Self> {
        use std::io::Write;

        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/proc/pressure/memory")
            .ok()?;
        let window = WINDOW.as_micros();
        let stall = (window * u128::from(percent.min(99)) / 100).max(1_000);
        file.write_all(format!("full {stall} {window}\0").as_bytes())
            .ok()?;
        let interest = tokio::io::Interest::PRIORITY;
        let trigger = tokio::io::unix::AsyncFd::with_interest(file, interest).ok()?;
        Some(Self { trigger })
    }

    /// Returns when that much was waited, at most once in each window. Cancel-safe.
    pub(crate) async fn felt(&self) {
        match self.trigger.ready(tokio::io::Interest::PRIORITY).await {
            Ok(mut guard) => guard.clear_ready(),
            // The runtime has no IO any more.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl MemoryPressure {
    /// There is none.
    pub(crate) const fn beyond(_percent: u8) -> Option<Self> {
        None
    }

    /// There is none.
    pub(crate) async fn felt(&self) {
        let _ = WINDOW;
        match self.never {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_at_ease_wakes_nobody() {
        let Some(pressure) = MemoryPressure::beyond(90) else {
            // A kernel without this measure is another way to be at ease.
            return;
        };
        tokio::select! {
            biased;
            () = pressure.felt() => panic!("nothing waits for memory"),
            () = std::future::ready(()) => {}
        }
    }
}
