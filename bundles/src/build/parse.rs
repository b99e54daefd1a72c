//! From the lines of a Dockerfile to instructions, before variables have values.
//!
//! Runs in: pure. See the Dockerfile reference, whose words are used.

use super::lines::{Document, Line};
use super::place::{Place, at, told};
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::time::Duration;

/// All instructions, for a guess at what somebody meant.
const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// A part of a line as it stands there, with quotes, and its offset in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) offset: usize,
}

/// `--name=value`, or `--name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flag {
    pub(crate) name: String,
    pub(crate) value: Option<Word>,
    pub(crate) offset: usize,
}

/// Shell form or exec form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Shell(String),
    Exec(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) line: Line,
    pub(crate) flags: Vec<Flag>,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    From {
        image: Word,
        name: Option<String>,
    },
    Arg(Vec<(Word, Option<Word>)>),
    Env(Vec<(Word, Word)>),
    Label(Vec<(Word, Word)>),
    Run(Command),
    /// The last word is the destination.
    Copy(Vec<Word>),
    Add(Vec<Word>),
    Cmd(Command),
    Entrypoint(Command),
    Shell(Vec<String>),
    Expose(Vec<Word>),
    Volume(Vec<Word>),
    User(Word),
    Workdir(Word),
    StopSignal(Word),
    Maintainer(String),
    Healthcheck(Option<Command>),
    OnBuild(String),
}

impl Instruction {
    pub(crate) fn parse(line: &Line, escape: char) -> Result<Self> {
        let (keyword, rest) = line.keyword();
        let mut cursor = Cursor { text: &line.text, at: rest, escape };
        let allowed: &[&str] = match keyword.as_str() {
            "FROM" => &["platform"],
            "RUN" => &["mount", "network", "security"],
            "COPY" => &["from", "chown", "chmod", "link", "parents", "exclude"],
            "ADD" => &["chown", "chmod", "link", "checksum", "keep-git-dir", "exclude", "unpack"],
            "HEALTHCHECK" => &["interval", "timeout", "start-period", "start-interval", "retries"],
            _ => &[],
        };
        let flags = if allowed.is_empty() { Vec::new() } else { cursor.flags() };
        for flag in &flags {
            if !allowed.contains(&flag.name.as_str()) {
                let all: Vec<String> = allowed.iter().map(|name| format!("--{name}")).collect();
                return Err(anyhow!(at(
                    line.place(flag.offset),
                    format_args!("{keyword}: unknown flag --{}", flag.name)
                )))
                .hint(format!("the flags of {keyword} are {}", all.join(", ")));
            }
        }
        let what = what(&keyword, &mut cursor, line).map_err(|err| told(line.place(0), &err))?;
        Ok(Self { line: line.clone(), flags, what })
    }

    /// The last one of a name, with a value.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<&Word>> {
        let Some(flag) = self.flags.iter().rev().find(|flag| flag.name == name) else {
            return Ok(None);
        };
        let place = self.line.place(flag.offset);
        let value =
            flag.value.as_ref().with_context(|| at(place, format_args!("--{name}: no value")))?;
        Ok(Some(value))
    }

    /// One that is there or not.
    pub(crate) fn switch(&self, name: &str) -> Result<bool> {
        let Some(flag) = self.flags.iter().rev().find(|flag| flag.name == name) else {
            return Ok(false);
        };
        match flag.value.as_ref().map(|word| word.text.as_str()) {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => bail!(at(
                self.line.place(flag.offset),
                format_args!("--{name}={other}: true or false is possible")
            )),
        }
    }

    pub(crate) fn place(&self) -> Place {
        self.line.place(0)
    }

    pub(crate) fn documents(&self) -> &[Document] {
        &self.line.documents
    }
}

fn what(keyword: &str, cursor: &mut Cursor<'_>, line: &Line) -> Result<What> {
    let rest = cursor.rest();
    let is_empty = rest.text.is_empty();
    if is_empty && !matches!(keyword, "CMD" | "ENTRYPOINT" | "RUN") && KEYWORDS.contains(&keyword) {
        bail!("{keyword} needs an argument");
    }
    let one = || rest.clone();
    Ok(match keyword {
        "FROM" => from(cursor)?,
        "ARG" => What::Arg(arguments(cursor)?),
        "ENV" => What::Env(pairs("ENV", cursor)?),
        "LABEL" => What::Label(pairs("LABEL", cursor)?),
        "RUN" => {
            ensure!(!is_empty, "RUN needs a command");
            What::Run(command(&rest.text))
        }
        "COPY" | "ADD" => {
            let words = json(&rest).unwrap_or_else(|| cursor.plain_words());
            if words.len() < 2 {
                return Err(anyhow!("{keyword} needs a source and a destination"))
                    .hint(format!("write {keyword} SOURCE… DESTINATION"));
            }
            if keyword == "COPY" { What::Copy(words) } else { What::Add(words) }
        }
        "CMD" => What::Cmd(command(&rest.text)),
        "ENTRYPOINT" => What::Entrypoint(command(&rest.text)),
        "SHELL" => match command(&rest.text) {
            Command::Exec(words) if !words.is_empty() => What::Shell(words),
            Command::Exec(_) | Command::Shell(_) => {
                return Err(anyhow!("SHELL needs a list in JSON"))
                    .hint("write SHELL [\"/bin/sh\", \"-c\"]");
            }
        },
        "EXPOSE" => What::Expose(cursor.plain_words()),
        "VOLUME" => {
            let words = json(&rest).unwrap_or_else(|| cursor.plain_words());
            ensure!(words.iter().all(|word| !word.text.trim().is_empty()), "VOLUME: an empty path");
            What::Volume(words)
        }
        "USER" => What::User(one()),
        "WORKDIR" => What::Workdir(one()),
        "STOPSIGNAL" => What::StopSignal(one()),
        "MAINTAINER" => What::Maintainer(rest.text),
        "HEALTHCHECK" => healthcheck(cursor)?,
        "ONBUILD" => trigger(&rest.text, line)?,
        _ => return unknown(keyword),
    })
}

fn unknown(keyword: &str) -> Result<What> {
    let near = KEYWORDS.iter().map(|known| (strsim::damerau_levenshtein(keyword, known), known));
    let (distance, known) = near.min().unwrap_or((usize::MAX, &"FROM"));
    let err = anyhow!("unknown instruction {keyword}");
    if distance <= 2 {
        return Err(err).hint(format!("did you mean {known}?"));
    }
    Err(err)
        .hint("each line begins with an instruction, such as RUN; \\ at its end continues a line")
}

fn from(cursor: &mut Cursor<'_>) -> Result<What> {
    let words = cursor.plain_words();
    let mut words = words.into_iter();
    let image = words.next().context("FROM needs an image")?;
    let name = match (words.next(), words.next(), words.next()) {
        (None, ..) => None,
        (Some(word), Some(name), None) if word.text.eq_ignore_ascii_case("as") => {
            let name = name.text.to_ascii_lowercase();
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
            ensure!(
                name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits),
                "{name:?}: not a name for a stage: a letter, then letters, digits, - _ and ."
            );
            Some(name)
        }
        _ => {
            return Err(anyhow!("FROM has too many words"))
                .hint("write FROM IMAGE, or FROM IMAGE AS NAME");
        }
    };
    Ok(What::From { image, name })
}

fn arguments(cursor: &mut Cursor<'_>) -> Result<Vec<(Word, Option<Word>)>> {
    let one = |word: Word| {
        let (name, value) = match word.text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.text, None),
        };
        ensure!(!name.is_empty(), "ARG: a value without a name");
        let value = value.map(|text| Word { text, offset: word.offset + name.len() + 1 });
        Ok((Word { text: name, offset: word.offset }, value))
    };
    cursor.quoted_words().into_iter().map(one).collect()
}

/// `KEY=VALUE …`, or as in old files `KEY the rest of the line`.
fn pairs(keyword: &str, cursor: &mut Cursor<'_>) -> Result<Vec<(Word, Word)>> {
    let rest = cursor.rest();
    let words = cursor.quoted_words();
    let first = words.first().cloned().with_context(|| format!("{keyword} needs an argument"))?;
    if !first.text.contains('=') {
        let value = rest.text.get(first.text.len()..).unwrap_or_default();
        let text = value.trim_start().to_owned();
        if text.is_empty() {
            return Err(anyhow!("{keyword} {} has no value", first.text))
                .hint(format!("write {keyword} {}=VALUE", first.text));
        }
        let offset = rest.offset + rest.text.len() - text.len();
        return Ok(vec![(first, Word { text, offset })]);
    }
    let one = |word: Word| {
        let Some((key, value)) = word.text.split_once('=') else {
            return Err(anyhow!("{keyword}: {:?} has no =", word.text))
                .hint("write KEY=VALUE; a value with blanks needs quotes");
        };
        ensure!(!key.is_empty(), "{keyword}: {:?} has no name", word.text);
        let value = Word { text: value.to_owned(), offset: word.offset + key.len() + 1 };
        Ok((Word { text: key.to_owned(), offset: word.offset }, value))
    };
    words.into_iter().map(one).collect()
}

fn healthcheck(cursor: &mut Cursor<'_>) -> Result<What> {
    let rest = cursor.rest().text;
    let (word, arguments) = rest.split_once(char::is_whitespace).unwrap_or((&rest, ""));
    let arguments = arguments.trim_start();
    match word.to_ascii_uppercase().as_str() {
        "NONE" => {
            ensure!(arguments.is_empty(), "HEALTHCHECK NONE takes no arguments");
            Ok(What::Healthcheck(None))
        }
        "CMD" => {
            ensure!(!arguments.is_empty(), "HEALTHCHECK CMD needs a command");
            Ok(What::Healthcheck(Some(command(arguments))))
        }
        _ => Err(anyhow!("HEALTHCHECK {word}: unknown"))
            .hint("write HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE"),
    }
}

/// What becomes of a trigger shows when another image is made from this one.
fn trigger(text: &str, line: &Line) -> Result<What> {
    let keyword = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    ensure!(
        !matches!(keyword.as_str(), "ONBUILD" | "FROM" | "MAINTAINER"),
        "ONBUILD {keyword} is not allowed"
    );
    if !KEYWORDS.contains(&keyword.as_str()) {
        return unknown(&keyword);
    }
    let mut trigger = text.to_owned();
    for document in &line.documents {
        trigger.push_str(&format!("\n{}{}\n", document.content, document.name));
    }
    Ok(What::OnBuild(trigger.trim_end().to_owned()))
}

/// A list of strings in JSON is the exec form; anything else is for the shell.
pub(crate) fn command(text: &str) -> Command {
    match serde_json::from_str(text) {
        Ok(words) if text.starts_with('[') => Command::Exec(words),
        _ => Command::Shell(text.to_owned()),
    }
}

fn json(rest: &Word) -> Option<Vec<Word>> {
    let Command::Exec(words) = command(&rest.text) else { return None };
    Some(words.into_iter().map(|text| Word { text, offset: rest.offset }).collect())
}

/// `30s`, `1m30s`, `1.5h`, as Go writes durations.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest == "0" {
        return Some(total);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(digits);
        let length = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        let (unit, after) = unit.split_at(length);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    escape: char,
}

impl Cursor<'_> {
    fn rest(&self) -> Word {
        let rest = self.text.get(self.at..).unwrap_or_default();
        Word { text: rest.to_owned(), offset: self.at }
    }

    fn flags(&mut self) -> Vec<Flag> {
        let mut flags = Vec::new();
        loop {
            let begin = self.at;
            let Some(word) = self.quoted_word() else { return flags };
            let Some(body) = word.text.strip_prefix("--") else {
                self.at = begin;
                return flags;
            };
            if body.is_empty() {
                return flags; // the end of the flags
            }
            let (name, value) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (body, None),
            };
            let offset = word.offset + 2 + name.len() + 1;
            let value = value.map(|text| Word { text: text.to_owned(), offset });
            flags.push(Flag { name: name.to_owned(), value, offset: word.offset });
            let rest = self.text.get(self.at..).unwrap_or_default();
            self.at = self.text.len() - rest.trim_start().len();
        }
    }

    /// Up to the next blank that is not quoted.
    fn quoted_word(&mut self) -> Option<Word> {
        let rest = self.text.get(self.at..)?;
        let begin = self.at + rest.len() - rest.trim_start().len();
        let mut quote = None;
        let mut chars = self.text.get(begin..)?.char_indices();
        let mut end = self.text.len();
        while let Some((at, c)) = chars.next() {
            match (c, quote) {
                (c, None) if c.is_whitespace() => {
                    end = begin + at;
                    break;
                }
                ('\'' | '"', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (c, None | Some('"')) if c == self.escape => drop(chars.next()),
                _ => {}
            }
        }
        self.at = end;
        let text = self.text.get(begin..end)?.to_owned();
        (!text.is_empty()).then_some(Word { text, offset: begin })
    }

    fn quoted_words(&mut self) -> Vec<Word> {
        std::iter::from_fn(|| self.quoted_word()).collect()
    }

    /// Where quotes have no meaning.
    fn plain_words(&mut self) -> Vec<Word> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let base = rest.as_ptr() as usize;
        let word = |word: &str| {
            let offset = self.at + (word.as_ptr() as usize).saturating_sub(base);
            Word { text: word.to_owned(), offset }
        };
        rest.split_whitespace().map(word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines;
    use super::*;

    fn parsed(text: &str) -> Result<Instruction> {
        let lines = lines::split(text).unwrap();
        Instruction::parse(&lines.lines[0], lines.escape)
    }

    fn what(text: &str) -> What {
        parsed(text).unwrap().what
    }

    fn word(text: &str, offset: usize) -> Word {
        Word { text: text.to_owned(), offset }
    }

    #[test]
    fn words_have_their_places() {
        let both = vec![(word("A", 4), word("\"b c\"", 6)), (word("D", 12), word("e\\ f", 14))];
        assert_eq!(what("ENV A=\"b c\" D=e\\ f"), What::Env(both));
        assert_eq!(what("ENV A  b \"c\""), What::Env(vec![(word("A", 4), word("b \"c\"", 7))]));
        let arguments = vec![(word("A", 4), None), (word("B", 6), Some(word("c", 8)))];
        assert_eq!(what("arg A B=c"), What::Arg(arguments));
        assert_eq!(
            what("COPY  a b /c"),
            What::Copy(vec![word("a", 6), word("b", 8), word("/c", 10)])
        );
        assert_eq!(what("COPY [\"a b\", \"/c\"]"), What::Copy(vec![word("a b", 5), word("/c", 5)]));
        let name = Some("build".to_owned());
        assert_eq!(what("FROM a:1 as Build"), What::From { image: word("a:1", 5), name });
    }

    #[test]
    fn commands_have_two_forms() {
        let exec = |words: &[&str]| Command::Exec(words.iter().map(ToString::to_string).collect());
        assert_eq!(what("CMD [\"a\", \"b c\"]"), What::Cmd(exec(&["a", "b c"])));
        assert_eq!(what("CMD [a, b]"), What::Cmd(Command::Shell("[a, b]".into())));
        assert_eq!(what("CMD"), What::Cmd(Command::Shell(String::new())));
        assert_eq!(
            what("HEALTHCHECK --retries=2 CMD a b"),
            What::Healthcheck(Some(Command::Shell("a b".into())))
        );
        assert_eq!(what("HEALTHCHECK none"), What::Healthcheck(None));
        assert_eq!(
            what("RUN --mount=type=cache,target=\"/a b\" x"),
            What::Run(Command::Shell("x".into()))
        );
        let trigger = "ONBUILD RUN <<E\nx\nE\n";
        assert_eq!(what(trigger), What::OnBuild("RUN <<E\nx\nE".into()));
    }

    #[test]
    fn flags_come_first() {
        let copy = parsed("COPY --from=x --link --chown=\"a b\" -- --y /z").unwrap();
        assert_eq!(copy.flag("from").unwrap(), Some(&word("x", 12)));
        assert_eq!(copy.flag("chown").unwrap().unwrap().text, "\"a b\"");
        assert!(copy.switch("link").unwrap());
        assert!(!copy.switch("parents").unwrap());
        let What::Copy(words) = copy.what else { panic!("another") };
        assert_eq!(words[0].text, "--y");
    }

    #[test]
    fn mistakes_have_places_and_cures() {
        for (text, told, hint) in [
            ("RUNN x", "line 1, column 1: unknown instruction RUNN", "did you mean RUN?"),
            ("echo x", "line 1, column 1: unknown instruction ECHO", "each line begins"),
            ("\n COPY a", "line 2, column 2: COPY needs a source and a destination", "write COPY"),
            (
                "COPY --form=a b c",
                "line 1, column 6: COPY: unknown flag --form",
                "the flags of COPY are --from",
            ),
            ("ENV A", "line 1, column 1: ENV A has no value", "write ENV A=VALUE"),
            ("ENV A=1 B", "line 1, column 1: ENV: \"B\" has no =", "write KEY=VALUE"),
            ("SHELL sh", "line 1, column 1: SHELL needs a list in JSON", "write SHELL ["),
            ("FROM a b", "line 1, column 1: FROM has too many words", "write FROM IMAGE"),
            (
                "FROM a AS 1",
                "line 1, column 1: \"1\": not a name for a stage: a letter, then letters, digits, - _ and .",
                "",
            ),
            ("ONBUILD FROM a", "line 1, column 1: ONBUILD FROM is not allowed", ""),
            ("USER", "line 1, column 1: USER needs an argument", ""),
        ] {
            let err = parsed(text).unwrap_err();
            assert_eq!(crate::error::chain(&err), told, "{text}");
            let found = crate::error::hint(&err).unwrap_or_default();
            assert!(found.starts_with(hint), "{text}: {found}");
        }
    }

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        for wrong in ["", "1", "s", "1x", "-1s", "1e3s", "999999999999999999999h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
