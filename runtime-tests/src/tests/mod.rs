//! The tests by area. A test is a function without arguments that panics when it fails.

/// A test's name, `area::function`, and the function.
pub(crate) type Test = (String, fn());

/// Lists a file's tests: `tests![one, two];`.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[(&str, fn())] = &[$((stringify!($name), $name)),+];
    };
}

/// Declares the files of this directory and [`all`].
macro_rules! areas {
    ($($area:ident),+ $(,)?) => {
        $(mod $area;)+

        /// All tests in the order of the files.
        pub(crate) fn all() -> Vec<Test> {
            let mut all = Vec::new();
            $(all.extend($area::TESTS.iter().map(|(name, test)| (format!("{}::{name}", stringify!($area)), *test)));)+
            all
        }
    };
}

areas![cli, lifecycle, process, exec, terminal, mounts, masks, devices, namespaces, hooks, seccomp];
