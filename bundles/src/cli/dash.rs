//! Dashes as they come out of documents and habits.
//!
//! Runs in: before anything else. Touches nothing.

use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;

/// What word processors make of `--`, and the minus sign.
const DASHES: [char; 7] =
    ['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}'];

/// An em dash before a flag becomes `--` or `-`, and `-subnet` becomes `--subnet` where that is a
/// flag. Only before the words of a container's own command begin: there a `--` is put, so that
/// none of them is taken for a flag of ours. Also whether there is a command among the words.
pub(super) fn arguments(cli: &Command, args: Vec<OsString>) -> (Vec<OsString>, bool) {
    let (mut command, mut named) = (cli.clone(), false);
    let mut positional = 0;
    let mut done = false;
    let mut is_value = true; // the first is the program's name
    let mut words = Vec::new();
    for arg in args {
        let text = arg.to_str().unwrap_or_default();
        if done || std::mem::take(&mut is_value) || text.is_empty() {
            words.push(arg);
        } else if text == "--" {
            done = true;
            words.push(arg);
        } else if let Some(text) = normal(&command, cli, text) {
            let Some(text) = switched(&command, cli, text) else { continue };
            is_value = takes_next(&command, cli, &text);
            words.push(OsString::from(text));
        } else {
            let found = command.find_subcommand(text).filter(|_| positional == 0).cloned();
            match found {
                Some(found) => (command, named) = (built(found), true),
                None => positional += 1,
            }
            words.push(arg);
            done = payload_follows(&command, positional);
            words.extend(done.then(|| OsString::from("--")));
        }
    }
    (words, named)
}

/// With its flags, which are put off until somebody needs them.
fn built(mut command: Command) -> Command {
    command.build();
    command
}

/// The word with ordinary dashes, when it is a flag.
fn normal(command: &Command, cli: &Command, text: &str) -> Option<String> {
    let bare = text.trim_start_matches('-').trim_start_matches(DASHES).trim_start_matches('-');
    if bare.len() == text.len() || bare.is_empty() {
        return None;
    }
    let name = bare.split_once('=').map_or(bare, |(name, _)| name);
    let one_dash = text.starts_with('-') && text.len() - bare.len() == 1;
    let is_long = name.chars().count() > 1 && long(command, cli, name);
    Some(match one_dash {
        true if !is_long => text.to_owned(),
        // `\u{2013}aq` is two short flags, `\u{2013}name` a long one.
        false if name.chars().count() == 1 => format!("-{bare}"),
        true | false => format!("--{bare}"),
    })
}

/// As programs in Go take them: `--rm=true` is `--rm`, and `--rm=false` is nothing.
fn switched(command: &Command, cli: &Command, text: String) -> Option<String> {
    let Some((flag, value)) = text.split_once('=') else { return Some(text) };
    let name = flag.trim_start_matches('-');
    let mut options = command.get_arguments().chain(cli.get_arguments());
    let is_meant = |option: &Arg| match name.chars().count() {
        1 => option.get_short() == name.chars().next(),
        _ => has_name(option, name),
    };
    let is_switch = options
        .find(|option| is_meant(option))
        .is_some_and(|option| matches!(option.get_action(), ArgAction::SetTrue));
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" if is_switch => Some(flag.to_owned()),
        "0" | "f" | "F" | "false" | "FALSE" | "False" if is_switch => None,
        _ => Some(text),
    }
}

/// Those of the program itself may stand behind a command too.
fn long(command: &Command, cli: &Command, name: &str) -> bool {
    let mut options = command.get_arguments().chain(cli.get_arguments());
    options.any(|option| has_name(option, name))
}

fn has_name(option: &Arg, name: &str) -> bool {
    let aliases = option.get_all_aliases().unwrap_or_default();
    option.get_long() == Some(name) || aliases.contains(&name)
}

/// Whether the next word is the value of this flag.
fn takes_next(command: &Command, cli: &Command, text: &str) -> bool {
    if text.contains('=') {
        return false;
    }
    let options = command.get_arguments().chain(cli.get_arguments());
    let takes = |option: &Arg| {
        matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
            && !option.is_require_equals_set()
    };
    match text.strip_prefix("--") {
        Some(name) => options.into_iter().any(|o| has_name(o, name) && takes(o)),
        // Of `-aqf name=x` the last one may take it.
        None => {
            let last = text.chars().next_back();
            options.into_iter().any(|o| o.get_short() == last && last.is_some() && takes(o))
        }
    }
}

/// `run IMAGE COMMAND...`: what comes behind the image is not ours.
fn payload_follows(command: &Command, positional: usize) -> bool {
    let place = command.get_positionals().position(clap::Arg::is_trailing_var_arg_set);
    place.is_some_and(|place| positional >= place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(line: &str) -> String {
        let volume = Command::new("volume").subcommand(
            Command::new("create")
                .arg(Arg::new("label").long("label"))
                .arg(Arg::new("quiet").long("quiet").short('q').action(ArgAction::SetTrue))
                .arg(Arg::new("name")),
        );
        let words = Arg::new("words").trailing_var_arg(true).num_args(0..);
        let run = Command::new("run")
            .arg(Arg::new("name").long("name").alias("called"))
            .arg(Arg::new("image"))
            .arg(words);
        let root = Arg::new("root").long("root").global(true);
        let cli = Command::new("bundles").arg(root).subcommand(volume).subcommand(run);
        let args = line.split(' ').map(OsString::from).collect();
        let (fixed, _) = arguments(&cli, args);
        fixed.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn dashes_become_ordinary() {
        for (typed, meant) in [
            ("bundles volume create \u{2014}label a=b", "bundles volume create --label a=b"),
            ("bundles volume create \u{2013}label=a", "bundles volume create --label=a"),
            ("bundles volume create \u{2013}\u{2013}label a", "bundles volume create --label a"),
            ("bundles volume create \u{2013}q x", "bundles volume create -q x"),
            ("bundles volume create -label a=b x", "bundles volume create --label a=b x"),
            ("bundles volume create -q x", "bundles volume create -q x"),
            ("bundles volume create --label -label x", "bundles volume create --label -label x"),
            ("bundles volume create -- \u{2014}label", "bundles volume create -- \u{2014}label"),
            ("bundles volume create - \u{2014}", "bundles volume create - \u{2014}"),
            ("bundles --root -root volume", "bundles --root -root volume"),
            (
                "bundles run -name x img -name \u{2014}y",
                "bundles run --name x img -- -name \u{2014}y",
            ),
            ("bundles volume create --quiet=true -q=1 x", "bundles volume create --quiet -q x"),
            ("bundles volume create --quiet=false -q=0 x", "bundles volume create x"),
            ("bundles volume create --label=true", "bundles volume create --label=true"),
            ("bundles run img", "bundles run img --"),
            ("bundles run --called x img y", "bundles run --called x img -- y"),
            ("bundles run img -- x", "bundles run img -- -- x"),
        ] {
            assert_eq!(fixed(typed), meant);
        }
    }
}
