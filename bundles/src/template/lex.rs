//! The words of an action, `{{ ... }}`.
//!
//! Runs in: anywhere. Touches nothing.

use super::Wrong;
use serde_json::{Number, Value};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// `.` alone.
    Dot,
    /// `.Name`; whether a space stands before it.
    Field(String, bool),
    /// `$` or `$name`.
    Variable(String),
    Name(String),
    Literal(Value),
    Pipe,
    Comma,
    Open,
    Close,
    Declare,
    Assign,
}

/// With the byte at which each begins.
pub(super) fn words(action: &str, start: usize) -> Result<Vec<(usize, Word)>, Wrong> {
    let mut words = Vec::new();
    let mut rest = action;
    let mut spaced = true;
    while let Some(first) = rest.chars().next() {
        let at = start + action.len() - rest.len();
        if first.is_ascii_whitespace() {
            rest = rest.trim_ascii_start();
            spaced = true;
            continue;
        }
        let (word, used) = word(rest, at, spaced)?;
        words.push((at, word));
        rest = rest.get(used..).unwrap_or_default();
        spaced = false;
    }
    Ok(words)
}

/// The word at the beginning, and its length.
fn word(rest: &str, at: usize, spaced: bool) -> Result<(Word, usize), Wrong> {
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or_default();
    let second = chars.next().unwrap_or_default();
    let name = |from: usize| name_at(rest, from);
    Ok(match first {
        '"' => string(rest, at)?,
        '`' => raw(rest, at)?,
        '\'' => character(rest, at)?,
        '|' => (Word::Pipe, 1),
        ',' => (Word::Comma, 1),
        '(' => (Word::Open, 1),
        ')' => (Word::Close, 1),
        ':' if second == '=' => (Word::Declare, 2),
        '=' => (Word::Assign, 1),
        '$' => (Word::Variable(format!("${}", name(1))), 1 + name(1).len()),
        '.' if second.is_ascii_digit() => number(rest, at)?,
        '.' if name(1).is_empty() => (Word::Dot, 1),
        '.' => (Word::Field(name(1).to_owned(), spaced), 1 + name(1).len()),
        '0'..='9' | '+' | '-' => number(rest, at)?,
        _ if name(0).is_empty() => {
            return Err(Wrong::new(at, format!("unexpected {first:?}")));
        }
        _ => match name(0) {
            "true" => (Word::Literal(Value::Bool(true)), 4),
            "false" => (Word::Literal(Value::Bool(false)), 5),
            "nil" => (Word::Literal(Value::Null), 3),
            name => (Word::Name(name.to_owned()), name.len()),
        },
    })
}

fn name_at(text: &str, from: usize) -> &str {
    let text = text.get(from..).unwrap_or_default();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

fn number(rest: &str, at: usize) -> Result<(Word, usize), Wrong> {
    let mut previous = ' ';
    let part = |c: char| {
        let sign = matches!(c, '+' | '-') && matches!(previous, ' ' | 'e' | 'E');
        let takes = sign || c.is_ascii_alphanumeric() || c == '.' || c == '_';
        previous = c;
        takes
    };
    let length = rest.chars().take_while({
        let mut part = part;
        move |c| part(*c)
    });
    let text: String = length.collect();
    let digits = text.replace('_', "");
    let unsigned = digits.trim_start_matches(['+', '-']);
    let integer = match unsigned.get(..2) {
        Some("0x" | "0X") => i64::from_str_radix(unsigned.get(2..).unwrap_or_default(), 16).ok(),
        Some("0o" | "0O") => i64::from_str_radix(unsigned.get(2..).unwrap_or_default(), 8).ok(),
        Some("0b" | "0B") => i64::from_str_radix(unsigned.get(2..).unwrap_or_default(), 2).ok(),
        _ => unsigned.parse::<i64>().ok(),
    };
    let integer = integer.map(|n| if digits.starts_with('-') { -n } else { n });
    let value = match integer {
        Some(n) => Some(Number::from(n)),
        None => digits.parse::<f64>().ok().and_then(Number::from_f64),
    };
    let value = value.ok_or_else(|| Wrong::new(at, format!("{text:?} is not a number")))?;
    Ok((Word::Literal(Value::Number(value)), text.len()))
}

fn raw(rest: &str, at: usize) -> Result<(Word, usize), Wrong> {
    let inner = rest.get(1..).unwrap_or_default();
    let end = inner.find('`').ok_or_else(|| Wrong::new(at, "raw string without its end"))?;
    let text = inner.get(..end).unwrap_or_default().replace('\r', "");
    Ok((Word::Literal(Value::String(text)), end + 2))
}

fn string(rest: &str, at: usize) -> Result<(Word, usize), Wrong> {
    let (text, used) = quoted(rest, '"', at)?;
    Ok((Word::Literal(Value::String(text)), used))
}

/// A character is a number, as in Go.
fn character(rest: &str, at: usize) -> Result<(Word, usize), Wrong> {
    let (text, used) = quoted(rest, '\'', at)?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok((Word::Literal(Value::from(u32::from(c))), used)),
        _ => Err(Wrong::new(at, "a character constant has one character; strings take \"...\"")),
    }
}

/// Up to the closing quote, with Go's escapes.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(String, usize), Wrong> {
    let mut bytes = Vec::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((place, c)) = chars.next() {
        if c == quote {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok((text, place + 1));
        }
        if c == '\n' {
            break;
        }
        if c != '\\' {
            bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let wrong = || Wrong::new(at + place, "unknown escape in a string");
        let (_, escape) = chars.next().ok_or_else(wrong)?;
        let mut digits = |count: usize, radix: u32, first: Option<char>| {
            let text: String =
                first.into_iter().chain(chars.by_ref().take(count).map(|(_, c)| c)).collect();
            u32::from_str_radix(&text, radix).ok().ok_or_else(wrong)
        };
        match escape {
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            'r' => bytes.push(b'\r'),
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'v' => bytes.push(11),
            '\\' | '"' | '\'' => bytes.push(u8::try_from(escape).unwrap_or_default()),
            'x' => bytes.push(u8::try_from(digits(2, 16, None)?).unwrap_or_default()),
            '0'..='7' => {
                let byte = digits(2, 8, Some(escape))?;
                bytes.push(u8::try_from(byte).ok().ok_or_else(wrong)?);
            }
            'u' | 'U' => {
                let code = digits(if escape == 'u' { 4 } else { 8 }, 16, None)?;
                let c = char::from_u32(code).ok_or_else(wrong)?;
                bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(wrong()),
        }
    }
    Err(Wrong::new(at, "string without its closing quote"))
}
