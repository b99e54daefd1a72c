//! How many connections the limit of open files allows: getrlimit(2).
//!
//! Runs in: the monitor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::OnceLock;

/// Sockets, and both ends of two pipes.
const EACH: u64 = 6;
/// For all else that the monitor has open.
const OTHERS: u64 = 64;
/// Never more than these.
const MOST: usize = 8192;

/// What the limit was, before it was raised.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// The most connections there can be. The limit is raised only when `open` need that.
pub(super) fn connections(open: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if room(&limit) <= open && limit.current != limit.maximum {
        BEFORE.get_or_init(|| limit);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    room(&limit)
}

fn room(limit: &Rlimit) -> usize {
    let Some(files) = limit.current else { return MOST };
    usize::try_from(files.saturating_sub(OTHERS) / EACH).map_or(MOST, |room| room.clamp(1, MOST))
}

/// A container inherits the limit, so it has to be as it was.
pub(crate) fn restore() {
    if let Some(before) = BEFORE.get() {
        setrlimit(Resource::Nofile, *before).ok(); // lowering is always allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_follows_the_limit() {
        let room = |current| room(&Rlimit { current, maximum: None });
        assert_eq!(room(Some(1024)), 160);
        assert_eq!(room(Some(10)), 1);
        assert_eq!((room(Some(1 << 20)), room(None)), (MOST, MOST));
    }
}
