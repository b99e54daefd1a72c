//! The man pages and completions of a program, made from its command line's definition: the program
//! itself would only grow by it. They are committed, and the program's tests fail when they are out
//! of step; with `UPDATE_DOCS=1` the tests write them anew.
//!
//! What no definition knows (files, exit codes, examples) stands in `man/sections/PAGE.man`, and
//! is appended to the page.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "part of tests")]

use clap_complete::Shell;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Docs {
    /// Of the repository.
    pub root: PathBuf,
    pub program: &'static str,
    /// Where its flags are defined.
    pub source: &'static str,
    /// The date below the pages: of the last change to what they say by hand.
    pub date: &'static str,
    pub cli: clap::Command,
}

impl Docs {
    /// Fails unless there is an up-to-date page for each command, and no other.
    pub fn check_pages(&self) {
        let mut cli = self.cli.clone().version(env!("CARGO_PKG_VERSION"));
        cli.build();
        let mut pages = Vec::new();
        collect(self.program.to_string(), &cli, &mut pages);
        let mut names: Vec<String> = pages.iter().map(|(name, _)| format!("{name}.1")).collect();
        for (name, command) in pages {
            self.in_step(&Path::new("man").join(format!("{name}.1")), &self.render(&name, command));
        }
        names.sort();
        assert_eq!(self.listed("man", ".1"), names, "a page for each command, and no others");
        for section in self.listed("man/sections", ".man") {
            let page = section.replace(".man", ".1");
            assert!(names.contains(&page), "man/sections/{section} is for no page");
        }
    }

    pub fn check_completions(&self) {
        let program = self.program;
        for (shell, file) in [
            (Shell::Bash, format!("{program}.bash")),
            (Shell::Zsh, format!("_{program}")),
            (Shell::Fish, format!("{program}.fish")),
        ] {
            let mut made = Vec::new();
            let mut cli = self.cli.clone();
            cli.build();
            clap_complete::generate(shell, &mut cli, program, &mut made);
            let made = String::from_utf8(made).unwrap();
            self.in_step(&Path::new("contrib/completions").join(file), &made);
        }
    }

    /// The files of this program.
    fn listed(&self, dir: &str, end: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(dir)).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let ours = |name: &String| {
            let rest = name.strip_prefix(self.program).unwrap_or_default();
            rest.starts_with(['-', '.']) && name.ends_with(end)
        };
        let mut names: Vec<String> = names.filter(ours).collect();
        names.sort();
        names
    }

    /// Compares with the committed file, or writes it.
    fn in_step(&self, path: &Path, made: &str) {
        let whole = self.root.join(path);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(whole.parent().unwrap()).unwrap();
            // Not std::fs::write, which clippy.toml keeps for those who think about symlinks.
            let mut file = std::fs::OpenOptions::new();
            let mut file = file.write(true).create(true).truncate(true).open(&whole).unwrap();
            std::io::Write::write_all(&mut file, made.as_bytes()).unwrap();
            return;
        }
        let there = std::fs::read_to_string(&whole).unwrap_or_default();
        let differs = there.lines().zip(made.lines()).position(|(a, b)| a != b);
        assert!(
            there == made,
            "{} is out of step with {} from line {:?} on: UPDATE_DOCS=1 cargo test -p {} cli::tests",
            path.display(),
            self.source,
            differs.map(|line| line + 1),
            self.program,
        );
    }

    fn render(&self, name: &str, command: &clap::Command) -> String {
        let about = roff(&command.get_about().map(ToString::to_string).unwrap_or_default());
        let mut text = format!(
            ".\\\" Made from {} by its tests; edit man/sections/{name}.man instead.\n\
             .TH {} 1 \"{}\" \"{} {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n",
            self.source,
            roff(&name.to_uppercase()),
            self.date,
            self.program,
            env!("CARGO_PKG_VERSION"),
            roff(name),
            about,
            roff(command.get_bin_name().unwrap_or(name)),
        );
        let shown = |arg: &&clap::Arg| !arg.is_hide_set();
        let positionals: Vec<_> = command.get_positionals().filter(shown).collect();
        text += "[\\fIOPTIONS\\fR]";
        for arg in &positionals {
            let many =
                if arg.get_num_args().is_some_and(|n| n.max_values() > 1) { "..." } else { "" };
            text += &if arg.is_required_set() {
                format!(" {}{many}", heading(arg))
            } else {
                format!(" [{}{many}]", heading(arg))
            };
        }
        if command.has_subcommands() {
            text += " \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]";
        }
        text += &format!("\n.SH DESCRIPTION\n{about}.\n");
        if !positionals.is_empty() {
            text += ".SH ARGUMENTS\n";
            positionals.iter().for_each(|arg| text += &paragraph(arg));
        }
        text += ".SH OPTIONS\n";
        let options = command.get_arguments().filter(shown).filter(|arg| !arg.is_positional());
        options.for_each(|arg| text += &paragraph(arg));
        if command.has_subcommands() {
            text += ".SH COMMANDS\n";
            for command in command.get_subcommands().filter(has_page) {
                let about = command.get_about().map(ToString::to_string).unwrap_or_default();
                let page = roff(&format!("{name}-{}", command.get_name()));
                text += &format!(".TP\n.BR {page} (1)\n{}\n", roff(&about));
            }
        }
        let by_hand = self.root.join("man/sections").join(format!("{name}.man"));
        text += &std::fs::read_to_string(by_hand).unwrap_or_default();
        if name != self.program {
            text += &format!(".SH SEE ALSO\n.BR {} (1)\n", self.program);
        }
        text
    }
}

/// `help` is the same as `--help`.
fn has_page(command: &&clap::Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

/// The page of a command, and those of the commands below it.
fn collect<'a>(
    name: String,
    command: &'a clap::Command,
    pages: &mut Vec<(String, &'a clap::Command)>,
) {
    pages.push((name.clone(), command));
    for below in command.get_subcommands().filter(has_page) {
        collect(format!("{name}-{}", below.get_name()), below, pages);
    }
}

/// Text of a page: what roff would take for a macro, a hyphen or an accent is escaped.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    // Backquotes are for those who read the source.
    text.replace('`', "")
}

/// `-f, --format FORMAT`, or `[SIGNAL]`.
fn heading(arg: &clap::Arg) -> String {
    let value = arg.get_value_names().map(|names| roff(&names.join(" ")));
    let value = value.unwrap_or_else(|| roff(&arg.get_id().as_str().to_uppercase()));
    if arg.is_positional() {
        return format!("\\fI{value}\\fR");
    }
    let short = arg.get_short().map(|short| format!("\\fB\\-{short}\\fR"));
    let longs = arg.get_long().into_iter().chain(arg.get_visible_aliases().into_iter().flatten());
    let longs = longs.map(|long| format!("\\fB\\-\\-{}\\fR", roff(long)));
    let names: Vec<String> = short.into_iter().chain(longs).collect();
    let value =
        if arg.get_action().takes_values() { format!(" \\fI{value}\\fR") } else { "".into() };
    names.join(", ") + &value
}

fn paragraph(arg: &clap::Arg) -> String {
    let mut text = roff(&arg.get_help().map(ToString::to_string).unwrap_or_default());
    let values: Vec<String> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_string()).collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        text += &format!(": {}", roff(&values.join(", ")));
    }
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        text += &format!(" [default: {}]", roff(&defaults.join(" ")));
    }
    format!(".TP\n{}\n{text}\n", heading(arg))
}
