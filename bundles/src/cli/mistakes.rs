//! What is said about a command line that is not understood.
//!
//! Runs in: before anything else. Touches nothing.

use super::reasons;
use crate::error::plain;
use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// clap's message with our name, and with a guess where clap has none.
pub(super) fn message(cli: &Command, args: &[String], err: &Error) -> String {
    let text = err.render().to_string();
    let text = text.trim_start_matches("error: ").trim_end();
    // The first line says what is wrong, the second what to do.
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut message = format!("bundles: {first}\n");
    let mut rest = rest.to_owned();
    if let Some(reason) = reason(err) {
        message.push_str(&format!("  hint: {reason}\n"));
        rest.clear();
    } else if let Some(ContextValue::String(word)) = err.get(ContextKind::InvalidSubcommand)
        && (is_other_program(word) || !is_guessed(err, word) || in_group(cli, word).is_some())
    {
        // clap's own guess is far from what was typed.
        let kept = rest.lines().filter(|line| !line.trim_start().starts_with("tip: "));
        rest = kept.collect::<Vec<_>>().join("\n").trim_start_matches('\n').to_owned();
        if is_other_program(word) {
            let behind = args.iter().skip_while(|arg| *arg != word).skip(1);
            let words: Vec<&str> = behind.map(String::as_str).collect();
            let line = format!("bundles {}", words.join(" "));
            message.push_str(&format!("  hint: leave {word} away: {}\n", line.trim_end()));
        } else if let Some(guess) = command(cli, args, word) {
            message.push_str(&format!("  hint: did you mean 'bundles {guess}'?\n"));
        }
    }
    if !rest.is_empty() {
        message.push_str(&format!("{rest}\n"));
    }
    // What was typed may be what a script has got from a stranger.
    message.lines().map(|line| format!("{}\n", plain(line))).collect()
}

/// Why there is no such flag or command.
fn reason(err: &Error) -> Option<&'static str> {
    let word = |kind| match err.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    if err.kind() == ErrorKind::UnknownArgument {
        return word(ContextKind::InvalidArg).and_then(reasons::of_flag);
    }
    word(ContextKind::InvalidSubcommand).and_then(reasons::of_command)
}

/// `bundles dcoker ps`.
fn is_other_program(word: &str) -> bool {
    ["docker", "podman"].iter().any(|name| strsim::osa_distance(name, word) <= 1)
}

/// Whether clap knows a command that is near.
fn is_guessed(err: &Error, word: &str) -> bool {
    let is_near = |guess: &String| strsim::osa_distance(guess, word) <= 2;
    match err.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(all)) => all.iter().any(is_near),
        Some(ContextValue::String(one)) => is_near(one),
        _ => false,
    }
}

/// The nearest command at the place of the wrong one, or one of this name in any group.
fn command(cli: &Command, args: &[String], word: &str) -> Option<String> {
    let before = args.iter().take_while(|arg| *arg != word);
    let group = before.filter_map(|arg| cli.find_subcommand(arg)).last();
    let place = group.unwrap_or(cli);
    let near = place
        .get_subcommands()
        .map(|sub| (strsim::osa_distance(sub.get_name(), word), sub.get_name()))
        .filter(|(distance, name)| *distance <= if name.len() < 5 { 1 } else { 2 })
        .min();
    if let Some((_, name)) = near {
        let group = group.map(|group| format!("{} ", group.get_name())).unwrap_or_default();
        return Some(group + name);
    }
    in_group(cli, word)
}

/// The command of this very name in the first group that has one.
fn in_group(cli: &Command, word: &str) -> Option<String> {
    let mut groups = cli.get_subcommands().filter(|group| group.find_subcommand(word).is_some());
    groups.next().map(|group| format!("{} {word}", group.get_name()))
}
