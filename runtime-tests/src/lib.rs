//! Fixtures for black-box tests and benchmarks of any OCI runtime: bundles, containers, isolation.
//!
//! Runs in: the test process, pid 1's child in private namespaces (see [`isolate`]); the
//! benchmarks use [`bundle`] and [`config`] on the host as well.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::exit,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test program: a panic is how a test fails, printing how it reports"
)]

pub mod agent;
pub mod app;
pub mod archive;
pub mod bundle;
pub mod call;
pub mod cgroups;
pub mod companion;
pub mod config;
pub mod container;
pub mod depot;
pub mod hostmount;
pub mod inside;
pub mod isolate;
pub mod leaks;
pub mod lease;
pub mod manager;
pub mod outcome;
pub mod poll;
pub mod probe;
pub mod pty;
pub mod registry;
pub mod requires;
pub mod runtime;
pub mod second_user;
pub mod site;
pub mod space;

/// What nearly every test needs.
pub mod prelude {
    pub use crate::bundle::Bundle;
    pub use crate::call::{Call, Output, Running, rt};
    pub use crate::container::Container;
    pub use crate::hostmount::HostMount;
    pub use crate::isolate::{View, new_id, scratch, view};
    pub use crate::poll::until;
    pub use crate::runtime::{Runtime, runtime};
    pub use crate::{differs, requires, skip, sometimes_differs};
    pub use serde_json::{Value, json};
}
