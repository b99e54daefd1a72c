//! `config.json` resolved into what `rt` will do. Pure: no I/O, no system call.
pub(crate) mod seccomp;
