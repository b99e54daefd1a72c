//! Waiting for something to become true, with a deadline.

use std::time::{Duration, Instant};

/// How long [`until`] waits; well below the runner's 30 s per test, so that the test says what it missed.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// A time limit of a test, `RT_TEST_SLOW` times as long: for emulated processors.
pub fn patience(limit: Duration) -> Duration {
    let factor = std::env::var("RT_TEST_SLOW").ok().and_then(|text| text.parse().ok());
    limit * factor.unwrap_or(1)
}

/// Polls `condition` until it gives a value; panics with `what` when [`PATIENCE`] is over.
#[track_caller]
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience(PATIENCE);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {:?} in vain for: {what}", patience(PATIENCE));
        std::thread::sleep(Duration::from_millis(3));
    }
}
