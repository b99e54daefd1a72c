//! The plan: what a config means, decided before the first side effect.
//!
//! Runs in: parent. Pure: no files, no environment, no system calls.
pub(crate) mod cgroup;
pub(crate) mod device_rules;
