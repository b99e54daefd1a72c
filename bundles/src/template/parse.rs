//! From text to [`Node`]s.
//!
//! Runs in: anywhere. Touches nothing.

use super::functions;
use super::lex::{self, Word};
use super::{Base, Node, Pipe, Term, Wrong};
use std::iter::Peekable;
use std::slice::Iter;

/// Deeper templates are refused, not a reason to run out of stack.
const DEPTH: usize = 100;

/// A template's text, cut at its actions.
#[derive(Debug)]
enum Piece {
    Text(String),
    /// The byte at which it begins, behind the braces.
    Action(usize, Vec<(usize, Word)>),
}

/// How a list of nodes ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End<'a> {
    OfText,
    Here,
    /// With its place, and the words behind it.
    Else(usize, &'a [(usize, Word)]),
}

pub(super) fn template(text: &str) -> Result<Vec<Node>, Wrong> {
    let pieces = pieces(text)?;
    let mut parser =
        Parser { pieces: pieces.iter(), open: 0, ends: None, variables: vec!["$".to_owned()] };
    let mut nodes = Vec::new();
    match parser.list(&mut nodes, 0, false)? {
        End::OfText => Ok(nodes),
        End::Here | End::Else(..) => {
            let at = parser.ends.unwrap_or_default();
            Err(Wrong::new(at, "{{end}} or {{else}} without an {{if}}, {{range}} or {{with}}"))
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, Wrong> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut trim = false;
    while let Some(rest) = text.get(at..) {
        let open = rest.find("{{");
        let mut before = rest.get(..open.unwrap_or(rest.len())).unwrap_or_default();
        if trim {
            before = before.trim_ascii_start();
        }
        let Some(open) = open else {
            pieces.push(Piece::Text(before.to_owned()));
            break;
        };
        let mut start = at + open + 2;
        let inside = text.get(start..).unwrap_or_default();
        let trims = inside.starts_with('-')
            && inside
                .get(1..)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_whitespace()));
        if trims {
            before = before.trim_ascii_end();
            start += 1;
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let inside = text.get(start..).unwrap_or_default();
        let lead = inside.len() - inside.trim_ascii_start().len();
        let comment = inside.trim_ascii_start().starts_with("/*");
        let length = if comment {
            let end =
                inside.find("*/").ok_or_else(|| Wrong::new(start, "comment without its */"))?;
            end + 2
        } else {
            action_length(inside)
                .ok_or_else(|| Wrong::new(start - 2, "action without its closing }}"))?
        };
        let action = inside.get(..length).unwrap_or_default();
        let behind = inside.get(length..).unwrap_or_default();
        let (action, skip) = match (comment, behind) {
            (true, _) => {
                let closing = behind.trim_ascii_start();
                trim = closing.starts_with("-}}");
                if !trim && !closing.starts_with("}}") {
                    return Err(Wrong::new(start + lead, "a comment is alone in its braces"));
                }
                ("", behind.len() - closing.len() + if trim { 3 } else { 2 })
            }
            (false, _) => {
                let cut = action.strip_suffix('-').filter(|cut| {
                    cut.is_empty() || cut.ends_with(|c: char| c.is_ascii_whitespace())
                });
                trim = cut.is_some();
                (cut.unwrap_or(action), 2)
            }
        };
        if !comment {
            pieces.push(Piece::Action(start, lex::words(action, start)?));
        }
        at = start + length + skip;
    }
    Ok(pieces)
}

/// Up to the braces that close it, which may also be inside strings.
fn action_length(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(open) if c == '\\' && open != '`' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '}' && chars.peek().is_some_and(|(_, next)| *next == '}') => {
                return Some(at);
            }
            None => {}
        }
    }
    None
}

struct Parser<'a> {
    pieces: Iter<'a, Piece>,
    /// Parentheses that are open.
    open: usize,
    /// Where the last `end` or `else` was.
    ends: Option<usize>,
    /// Those which are declared at this place.
    variables: Vec<String>,
}

type Words<'a> = Peekable<Iter<'a, (usize, Word)>>;

impl<'a> Parser<'a> {
    fn list(
        &mut self,
        nodes: &mut Vec<Node>,
        depth: usize,
        looping: bool,
    ) -> Result<End<'a>, Wrong> {
        while let Some(piece) = self.pieces.next() {
            match piece {
                Piece::Text(text) => nodes.push(Node::Text(text.clone())),
                Piece::Action(at, words) => {
                    if depth > DEPTH {
                        return Err(Wrong::new(*at, format!("more than {DEPTH} levels deep")));
                    }
                    if let Some(end) = self.action(*at, words, nodes, (depth, looping))? {
                        self.ends = Some(*at);
                        return Ok(end);
                    }
                }
            }
        }
        Ok(End::OfText)
    }

    fn action(
        &mut self,
        at: usize,
        words: &'a [(usize, Word)],
        nodes: &mut Vec<Node>,
        (depth, looping): (usize, bool),
    ) -> Result<Option<End<'a>>, Wrong> {
        let keyword = match words.first() {
            Some((_, Word::Name(name))) => name.as_str(),
            Some(_) => "",
            None => return Err(Wrong::new(at, "empty action {{}}")),
        };
        let alone = |what: &str| match words.get(1) {
            Some((at, _)) => Err(Wrong::new(*at, format!("unexpected words behind {what}"))),
            None => Ok(()),
        };
        match keyword {
            "if" | "with" | "range" => {
                nodes.push(self.control(
                    keyword,
                    at,
                    words.get(1..).unwrap_or_default(),
                    (depth, looping),
                )?);
            }
            "end" => {
                alone("end")?;
                return Ok(Some(End::Here));
            }
            "else" => {
                let chained = |name: &String| matches!(name.as_str(), "if" | "with");
                if !matches!(words.get(1), Some((_, Word::Name(name))) if chained(name)) {
                    alone("else")?;
                }
                return Ok(Some(End::Else(at, words.get(1..).unwrap_or_default())));
            }
            "break" | "continue" if !looping => {
                return Err(Wrong::new(at, format!("{keyword} outside {{{{range}}}}")));
            }
            "break" => nodes.push(Node::Break),
            "continue" => nodes.push(Node::Continue),
            "define" | "template" | "block" => {
                return Err(Wrong::new(
                    at,
                    format!("{keyword}: templates in templates are not supported"),
                ));
            }
            _ => {
                let mut rest = words.iter().peekable();
                let pipe = self.pipe(&mut rest, at, false)?;
                at_end(&mut rest)?;
                nodes.push(Node::Print(pipe));
            }
        }
        Ok(None)
    }

    /// `if`, `with` and `range`, up to their `end`.
    fn control(
        &mut self,
        keyword: &str,
        at: usize,
        words: &'a [(usize, Word)],
        (depth, looping): (usize, bool),
    ) -> Result<Node, Wrong> {
        let known = self.variables.len();
        let mut rest = words.iter().peekable();
        if words.is_empty() {
            return Err(Wrong::new(at, format!("{keyword} without a value")));
        }
        let pipe = self.pipe(&mut rest, at, keyword == "range")?;
        at_end(&mut rest)?;
        let mut then = Vec::new();
        let inside = looping || keyword == "range";
        let mut end = self.list(&mut then, depth + 1, inside)?;
        let mut other = Vec::new();
        if let End::Else(else_at, words) = end {
            match words.split_first() {
                // The one `end` of the chain closes both.
                Some(((_, Word::Name(word)), words)) if keyword != "range" => {
                    if depth > DEPTH {
                        return Err(Wrong::new(else_at, format!("more than {DEPTH} levels deep")));
                    }
                    other.push(self.control(word, else_at, words, (depth + 1, looping))?);
                    end = End::Here;
                }
                Some(_) => return Err(Wrong::new(else_at, "else of a range takes no condition")),
                None => end = self.list(&mut other, depth + 1, looping)?,
            }
            if let End::Else(at, _) = end {
                return Err(Wrong::new(at, "a second else"));
            }
        }
        if end != End::Here {
            return Err(Wrong::new(at, format!("{keyword} without its {{{{end}}}}")));
        }
        self.variables.truncate(known);
        Ok(match keyword {
            "if" => Node::If { pipe, then, other },
            "with" => Node::With { pipe, then, other },
            _ => Node::Range { pipe, body: then, other },
        })
    }

    fn pipe(&mut self, words: &mut Words<'_>, at: usize, ranging: bool) -> Result<Pipe, Wrong> {
        let (sets, assigns) = self.declaration(words, ranging)?;
        let mut commands = Vec::new();
        loop {
            let mut command = Vec::new();
            while let Some(term) = self.term(words)? {
                command.push(term);
            }
            let Some(first) = command.first() else {
                let at = words.peek().map_or(at, |(at, _)| *at);
                return Err(Wrong::new(at, "a value is missing here"));
            };
            let callable = matches!(first.base, Base::Function(_)) || !first.fields.is_empty();
            if command.len() > 1 && !callable {
                return Err(Wrong::new(first.at, "this is no function: it takes no arguments"));
            }
            if !commands.is_empty() && !callable {
                return Err(Wrong::new(first.at, "only functions may stand behind |"));
            }
            commands.push(command);
            match words.next_if(|(_, word)| matches!(word, Word::Pipe)) {
                Some(_) => {}
                None => break,
            }
        }
        self.variables.extend(sets.iter().filter(|_| !assigns).cloned());
        Ok(Pipe { sets, assigns, commands })
    }

    /// `$x :=`, `$x =`, and for a range `$i, $x :=`.
    fn declaration(
        &self,
        words: &mut Words<'_>,
        ranging: bool,
    ) -> Result<(Vec<String>, bool), Wrong> {
        let mut ahead = words.clone();
        let mut sets = Vec::new();
        let at;
        loop {
            match (ahead.next(), ahead.next()) {
                (Some((here, Word::Variable(name))), Some((_, Word::Declare | Word::Assign)))
                    if name != "$" =>
                {
                    at = *here;
                    sets.push(name.clone());
                    break;
                }
                (Some((_, Word::Variable(name))), Some((_, Word::Comma))) if ranging => {
                    sets.push(name.clone());
                }
                _ => return Ok((Vec::new(), false)),
            }
        }
        if sets.len() > 2 {
            return Err(Wrong::new(at, "a range sets two variables at most"));
        }
        let mut assigns = false;
        for _ in 0..sets.len() * 2 {
            assigns = matches!(words.next(), Some((_, Word::Assign)));
        }
        if assigns && let Some(name) = sets.iter().find(|name| !self.variables.contains(name)) {
            return Err(Wrong::new(at, format!("{name} is not declared: {name} := ...")));
        }
        Ok((sets, assigns))
    }

    fn term(&mut self, words: &mut Words<'_>) -> Result<Option<Term>, Wrong> {
        let Some((at, word)) = words.next_if(|(_, word)| !matches!(word, Word::Pipe | Word::Close))
        else {
            return Ok(None);
        };
        let at = *at;
        let mut fields = Vec::new();
        let base = match word {
            Word::Dot => Base::Dot,
            Word::Field(name, _) => {
                fields.push(name.clone());
                Base::Dot
            }
            Word::Variable(name) if self.variables.contains(name) => Base::Variable(name.clone()),
            Word::Variable(name) => {
                return Err(Wrong::new(at, format!("{name} is not declared: {name} := ...")));
            }
            Word::Name(name) if functions::is_known(name) => Base::Function(name.clone()),
            Word::Name(name) => return Err(Wrong::new(at, functions::unknown(name))),
            Word::Literal(value) => Base::Literal(value.clone()),
            Word::Open => {
                self.open += 1;
                if self.open > DEPTH {
                    return Err(Wrong::new(at, format!("more than {DEPTH} levels deep")));
                }
                let known = self.variables.len();
                let pipe = self.pipe(words, at, false)?;
                self.variables.truncate(known);
                self.open -= 1;
                if words.next_if(|(_, word)| *word == Word::Close).is_none() {
                    return Err(Wrong::new(at, "( without its )"));
                }
                Base::Pipe(Box::new(pipe))
            }
            Word::Comma | Word::Declare | Word::Assign | Word::Pipe | Word::Close => {
                return Err(Wrong::new(at, format!("unexpected {}", shown(word))));
            }
        };
        if !matches!(base, Base::Literal(_) | Base::Function(_)) {
            while let Some((_, Word::Field(name, _))) =
                words.next_if(|(_, word)| matches!(word, Word::Field(_, false)))
            {
                fields.push(name.clone());
            }
        }
        Ok(Some(Term { at, base, fields }))
    }
}

fn at_end(words: &mut Words<'_>) -> Result<(), Wrong> {
    match words.next() {
        Some((at, word)) => Err(Wrong::new(*at, format!("unexpected {}", shown(word)))),
        None => Ok(()),
    }
}

fn shown(word: &Word) -> &'static str {
    match word {
        Word::Dot | Word::Field(..) => "field",
        Word::Variable(_) => "variable",
        Word::Name(_) => "name",
        Word::Literal(_) => "value",
        Word::Pipe => "|",
        Word::Comma => ",",
        Word::Open => "(",
        Word::Close => ")",
        Word::Declare => ":=",
        Word::Assign => "=",
    }
}
