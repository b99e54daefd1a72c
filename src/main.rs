//! rt: a low-level OCI container runtime.
mod cgroup;
mod error;
mod plan;
mod proc;
mod sys;

fn main() {}
