//! The man pages and completions are in step with the command line; `UPDATE_DOCS=1 cargo test -p rt
//! cli::tests` writes them anew.

use super::Cli;
use clap::CommandFactory as _;

fn docs() -> cli_docs::Docs {
    cli_docs::Docs {
        root: env!("CARGO_MANIFEST_DIR").into(),
        program: "rt",
        source: "src/cli.rs",
        date: "2026-11-21",
        cli: Cli::command(),
    }
}

#[test]
fn man_pages_are_in_step_with_the_command_line() {
    docs().check_pages();
}

#[test]
fn completions_are_in_step_with_the_command_line() {
    docs().check_completions();
}
