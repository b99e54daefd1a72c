//! How a test says that it does not apply here: skips and known differences between runtimes.
//!
//! The test process tells the runner by marker lines on its captured standard output.

use crate::runtime::{Runtime, runtime};

/// Exit code of a skipped test.
pub const SKIPPED: i32 = 77;
/// Marker lines begin with this; a control character, since container output shares the stream.
pub const MARK: &str = "\u{1}rt-test ";

/// Whether a skip is normal on this kind of machine or a lack of preparation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The machine, the user or the view cannot have it: stays a skip under `RT_TEST_NO_SKIP=1`.
    Machine,
    /// Something that should have been installed: a failure under `RT_TEST_NO_SKIP=1`.
    Preparation,
}

/// Why a requirement is not met.
#[derive(Debug)]
pub struct Missing {
    pub class: Class,
    pub reason: String,
}

/// Ends the test process as skipped.
pub fn skip(missing: &Missing) -> ! {
    println!("{MARK}skip {:?} {}", missing.class, missing.reason);
    std::process::exit(SKIPPED)
}

/// From here on a failure with `which` is a known difference, and success is reported.
pub fn differs(which: Runtime, reason: &str) {
    if runtime() == which {
        println!("{MARK}differs {reason}");
    }
}

/// Like [`differs`] for a race that this runtime loses now and then: success is not reported.
pub fn sometimes_differs(which: Runtime, reason: &str) {
    if runtime() == which {
        println!("{MARK}sometimes {reason}");
    }
}

/// `skip!("reason")`, or `skip!(Machine, "reason")` where this kind of machine can never do it.
#[macro_export]
macro_rules! skip {
    (Machine, $($reason:tt)+) => {
        $crate::outcome::skip(&$crate::outcome::Missing {
            class: $crate::outcome::Class::Machine,
            reason: format!($($reason)+),
        })
    };
    ($($reason:tt)+) => {
        $crate::outcome::skip(&$crate::outcome::Missing {
            class: $crate::outcome::Class::Preparation,
            reason: format!($($reason)+),
        })
    };
}

/// `requires!(root, cgroup_v2, controller("memory"))`: names of functions in [`crate::requires`].
#[macro_export]
macro_rules! requires {
    ($($what:ident $(($($arg:expr),*))?),+ $(,)?) => {
        $(if let Err(missing) = $crate::requires::$what($($($arg),*)?) {
            $crate::outcome::skip(&missing)
        })+
    };
}

/// `differs!(Runc, "why")`: a failure from here on is a known difference of that runtime.
#[macro_export]
macro_rules! differs {
    ($which:ident, $($reason:tt)+) => {
        $crate::outcome::differs($crate::runtime::Runtime::$which, &format!($($reason)+))
    };
}

/// `sometimes_differs!(Runc, "why")`: a race that this runtime loses now and then.
#[macro_export]
macro_rules! sometimes_differs {
    ($which:ident, $($reason:tt)+) => {
        $crate::outcome::sometimes_differs($crate::runtime::Runtime::$which, &format!($($reason)+))
    };
}
