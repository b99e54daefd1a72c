//! rt: a low-level OCI container runtime.
mod error;
mod plan;
mod sys;

#[expect(dead_code)]
fn main() {}
