//! Long flags with a single dash.
//!
//! Runs in: parent.

use super::Cli;
use clap::CommandFactory as _;
use std::ffi::OsString;

/// Go's flag package takes a long flag with one dash, and go-runc sends `-no-subreaper`: such a
/// word becomes the same with two dashes. Only before the payload's own words begin.
pub(crate) fn arguments(args: &[OsString]) -> Vec<OsString> {
    let mut args = args.to_vec();
    // The common case costs nothing: no word with a single dash and more than two characters.
    let candidate = |arg: &OsString| {
        arg.to_str()
            .is_some_and(|arg| arg.len() > 2 && arg.starts_with('-') && !arg.starts_with("--"))
    };
    if !args.iter().any(candidate) {
        return args;
    }
    let mut cli = Cli::command();
    cli.build();
    let mut command = &cli;
    let mut positional = 0;
    let mut rest = args.iter_mut().skip(1);
    while let Some(arg) = rest.next() {
        let Some(text) = arg.to_str().map(String::from) else { continue };
        let Some(name) = text.strip_prefix("--").or_else(|| text.strip_prefix('-')) else {
            match command.find_subcommand(&text) {
                Some(found) if std::ptr::eq(command, &raw const cli) => command = found,
                _ => positional += 1,
            }
            // What follows the id of exec and ps is not ours.
            if positional == 1 && matches!(command.get_name(), "exec" | "ps") {
                break;
            }
            continue;
        };
        if name.is_empty() {
            break;
        }
        let (name, has_value) =
            name.split_once('=').map_or((name, false), |(name, _)| (name, true));
        let Some(option) = command.get_arguments().find(|option| option.get_long() == Some(name))
        else {
            continue;
        };
        if !text.starts_with("--") && name.len() > 1 {
            *arg = OsString::from(format!("-{text}"));
        }
        if option.get_action().takes_values() && !has_value {
            rest.next();
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    fn fixed(words: &[&str]) -> Vec<String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        arguments(&words).into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn long_flags_with_one_dash_are_taken() {
        assert_eq!(
            fixed(&["rt", "run", "-no-subreaper", "x"]),
            ["rt", "run", "--no-subreaper", "x"]
        );
        assert_eq!(
            fixed(&["rt", "-root", "/r", "run", "-bundle=/b", "x"]),
            ["rt", "--root", "/r", "run", "--bundle=/b", "x"]
        );
        assert_eq!(
            fixed(&["rt", "exec", "-tty", "x", "ls", "-tty"]),
            ["rt", "exec", "--tty", "x", "ls", "-tty"]
        );
        assert_eq!(fixed(&["rt", "exec", "-td", "x"]), ["rt", "exec", "-td", "x"]);
        assert_eq!(
            fixed(&["rt", "run", "--bundle", "-root", "x"]),
            ["rt", "run", "--bundle", "-root", "x"]
        );
    }
}
