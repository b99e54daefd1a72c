//! The text of a Dockerfile as logical lines: parser directives, comments, continued lines and
//! here-documents.
//!
//! Runs in: pure. See "Format", "Parser directives" and "Here-Documents" of the Dockerfile reference.

use super::place::{Place, at};
use anyhow::{Context as _, Result, ensure};

/// One instruction, which may have been written on several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Without what continued it and without comments between.
    pub(crate) text: String,
    /// Where pieces of the text begin in the file: offset in the text, line and column, ascending.
    pieces: Vec<(usize, Place)>,
    pub(crate) documents: Vec<Document>,
    /// The last line of it in the file.
    pub(crate) last: usize,
}

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    /// The word that ends it: with `COPY` the name of the file.
    pub(crate) name: String,
    /// With the newline of each line.
    pub(crate) content: String,
    /// Nobody quoted its name: variables in it have their values.
    pub(crate) expand: bool,
    /// Tabs before each line are no part of it: `<<-`.
    pub(crate) chomp: bool,
}

/// A file in lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<Line>,
    /// What takes the meaning from the next character.
    pub(crate) escape: char,
}

impl Line {
    /// The place of an offset in the text.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let piece = self.pieces.iter().rev().find(|(begin, _)| *begin <= offset);
        let (begin, place) = piece.copied().unwrap_or_default();
        let passed = self.text.get(begin..offset).unwrap_or_default().chars().count();
        Place { line: place.line, column: place.column + passed }
    }

    /// The instruction's name in capitals, and the offset of what follows.
    pub(crate) fn keyword(&self) -> (String, usize) {
        let end = self.text.find(char::is_whitespace).unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        let rest = rest.len() - rest.trim_start().len();
        (word.to_ascii_uppercase(), end + rest)
    }
}

/// Splits a file.
///
/// # Errors
/// A wrong escape directive, and a here-document without an end; with their places.
pub(crate) fn split(text: &str) -> Result<Lines> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut source = text.split_inclusive('\n').zip(1_usize..);
    let escape = escape(text)?;
    let mut lines = Vec::new();
    while let Some((first, number)) = source.next() {
        if is_nothing(first) {
            continue;
        }
        let mut line =
            Line { text: String::new(), pieces: Vec::new(), documents: Vec::new(), last: number };
        let indent = first.chars().take_while(|c| c.is_whitespace()).count();
        let mut next = Some((first.trim_start(), number, indent + 1));
        while let Some((piece, number, column)) = next.take() {
            line.pieces.push((line.text.len(), Place { line: number, column }));
            line.last = number;
            let (piece, continues) = continued(piece, escape);
            line.text.push_str(piece);
            if continues {
                // Comments and empty lines between do not end it.
                let following = source.by_ref().find(|(piece, _)| !is_nothing(piece));
                next = following.map(|(piece, number)| (piece, number, 1));
            }
        }
        line.text.truncate(line.text.trim_end().len());
        if matches!(line.keyword().0.as_str(), "RUN" | "COPY" | "ADD" | "ONBUILD") {
            for mut document in documents(&line) {
                let mut read = |(piece, number): (&str, usize)| {
                    line.last = number;
                    let stripped = piece.strip_suffix('\n').unwrap_or(piece);
                    let stripped = stripped.strip_suffix('\r').unwrap_or(stripped);
                    let bare =
                        if document.chomp { stripped.trim_start_matches('\t') } else { stripped };
                    let ends = bare == document.name;
                    if !ends {
                        document.content.push_str(bare);
                        document.content.push('\n');
                    }
                    ends
                };
                let has_end = source.by_ref().any(&mut read);
                ensure!(
                    has_end,
                    at(
                        line.place(0),
                        format_args!("here-document {0}: no line {0} ends it", document.name)
                    )
                );
                line.documents.push(document);
            }
        }
        lines.push(line);
    }
    Ok(Lines { lines, escape })
}

fn is_nothing(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// Without the mark that says it goes on.
fn continued(line: &str, escape: char) -> (&str, bool) {
    let line = line.trim_end_matches(['\n', '\r']);
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(before) => (before, true),
        None => (line, false),
    }
}

/// The directives are comments `# key=value` before anything else; only `escape` has a meaning here.
fn escape(text: &str) -> Result<char> {
    let mut escape = None;
    for (line, number) in text.lines().zip(1_usize..) {
        let directive = || -> Option<(String, &str)> {
            let (key, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
            let key = key.trim().to_ascii_lowercase();
            let known = ["escape", "syntax", "check"].contains(&key.as_str());
            known.then_some((key, value.trim()))
        };
        let Some((key, value)) = directive() else { break };
        let place = Place { line: number, column: 1 };
        if key != "escape" {
            continue;
        }
        ensure!(escape.is_none(), at(place, "the directive escape stands there twice"));
        let wrong = || at(place, format_args!("escape={value}: only \\ and ` are possible"));
        escape = Some(match value {
            "\\" => '\\',
            "`" => '`',
            _ => None.with_context(wrong)?,
        });
    }
    Ok(escape.unwrap_or('\\'))
}

/// The here-documents that a line announces, without their content.
fn documents(line: &Line) -> Vec<Document> {
    let (_, rest) = line.keyword();
    let rest = line.text.get(rest..).unwrap_or_default();
    if rest.starts_with('[') && rest.ends_with(']') {
        return Vec::new(); // the list of arguments has none
    }
    words(rest).into_iter().filter_map(document).collect()
}

/// As a shell splits them, with their quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.push(String::new());
            continue;
        }
        let Some(word) = words.last_mut() else { break };
        word.push(c);
        match (c, quote) {
            ('\\', None | Some('"')) => word.extend(chars.next()),
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether the whole text announces a here-document, and does nothing else.
pub(crate) fn is_document(text: &str) -> bool {
    let mut words = words(text).into_iter();
    words.next().is_some_and(|word| document(word).is_some()) && words.next().is_none()
}

/// The name of the here-document that a word announces.
pub(crate) fn document_name(word: &str) -> Option<String> {
    document(word.to_owned()).map(|document| document.name)
}

/// `<<NAME`, `<<-NAME`, `0<<NAME`; the name may be quoted.
fn document(word: String) -> Option<Document> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (rest, chomp) = match rest.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let name: String = rest.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect();
    let expand = name == rest;
    (!name.is_empty()).then(|| Document { name, content: String::new(), expand, chomp })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        split(text).unwrap().lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_go_on_over_comments_and_empty_lines() {
        let text =
            "FROM a\r\n\n  RUN one \\\n# comment\n\n    two \\ \t\n   # another\n three\nCMD x\n";
        assert_eq!(texts(text), ["FROM a", "RUN one     two  three", "CMD x"]);
        assert_eq!(texts("RUN a \\"), ["RUN a"]);
        assert_eq!(texts("\u{feff}FROM a"), ["FROM a"]);
        assert!(texts("# only\n\n").is_empty());
    }

    #[test]
    fn places_lead_back_to_the_file() {
        let lines = split("# c\n  ENV é=1 \\\n   b=2\n").unwrap().lines;
        let line = &lines[0];
        assert_eq!(line.place(0), Place { line: 2, column: 3 });
        let second = line.text.find("b=").unwrap();
        assert_eq!(line.place(second), Place { line: 3, column: 4 });
        assert_eq!(line.place(line.text.find("=1").unwrap()), Place { line: 2, column: 8 });
        assert_eq!(line.last, 3);
    }

    #[test]
    fn escape_may_be_another() {
        let lines =
            split("# syntax=docker/dockerfile:1\n# escape = `\nRUN a `\n b \\\nCMD c").unwrap();
        assert_eq!(lines.escape, '`');
        let texts: Vec<&str> = lines.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["RUN a  b \\", "CMD c"]);
        // After anything else it is a comment.
        assert_eq!(split("# comment\n# escape=`\n").unwrap().escape, '\\');
        let err = split("# escape=x\n").unwrap_err().to_string();
        assert_eq!(err, "line 1, column 1: escape=x: only \\ and ` are possible");
        assert!(split("# escape=`\n# escape=`\n").is_err());
    }

    #[test]
    fn here_documents_belong_to_their_line() {
        let text = "RUN <<EOF cat > /a && cat <<-'END' 3<<\"X\"\none $A\n\nEOF\n\t\ttwo\n\tEND\nX\nCMD c\n";
        let lines = split(text).unwrap().lines;
        let [first, second, third] = first_documents(&lines);
        assert_eq!(
            (first.name.as_str(), first.content.as_str(), first.expand),
            ("EOF", "one $A\n\n", true)
        );
        assert_eq!((second.content.as_str(), second.expand, second.chomp), ("two\n", false, true));
        assert_eq!((third.name.as_str(), third.content.as_str()), ("X", ""));
        assert_eq!(lines[0].last, 7);
        assert_eq!(lines[1].text, "CMD c");
        let err = split("RUN a\nCOPY <<A /x\nb\n").unwrap_err().to_string();
        assert_eq!(err, "line 2, column 1: here-document A: no line A ends it");
        // Not everything with these signs is one.
        for text in
            ["RUN [\"a\", \"<<EOF\"]", "RUN a << b", "RUN a '<<EOF'", "RUN a <<<b", "ENV a=<<b"]
        {
            assert_eq!(split(text).unwrap().lines[0].documents, [], "{text}");
        }
    }

    fn first_documents(lines: &[Line]) -> [Document; 3] {
        lines[0].documents.clone().try_into().unwrap()
    }
}
