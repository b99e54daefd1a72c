//! The runner: one isolated process per test, in a few at a time, and one summary.
//!
//! `runtime-tests [--rt PATH] [--view host|v2|systemd] [--list] [--self-check] [--jobs N] [FILTER...]`
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test program: a panic is how a test fails, printing how it reports"
)]

mod options;
mod run;
mod selfcheck;
#[cfg(test)]
mod table;
mod tests;

use std::process::ExitCode;

use runtime_tests::{isolate, probe};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = args.as_slice()
        && flag == "--one"
    {
        let checks = selfcheck::CHECKS.iter().map(|check| (check.0.to_owned(), check.1));
        let mut known = tests::all().into_iter().chain(checks);
        let (_, test) = known.find(|(n, _)| n == name).expect("a test of this name");
        std::process::exit(isolate::run(test));
    }
    let options = match options::parse(&args) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(64);
        }
    };
    let mut names: Vec<String> = tests::all().into_iter().map(|(name, _)| name).collect();
    names.retain(|n| {
        options.filters.is_empty() || options.filters.iter().any(|f| n.contains(f.as_str()))
    });
    if options.list {
        names.iter().for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    if let Err(why) = probe::find() {
        eprintln!("runtime-tests: {why}");
        return ExitCode::FAILURE;
    }
    let fine =
        if options.self_check { run::self_check(&options) } else { run::all(&options, &names) };
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
