//! The functions of templates: Go's own, and those which Docker adds.
//!
//! Runs in: anywhere. Touches nothing.

use super::eval::is_true;
use super::printf;
use serde_json::Value;
use std::cmp::Ordering;

const KNOWN: &[&str] = &[
    "and", "eq", "ge", "gt", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not",
    "or", "pad", "print", "printf", "println", "slice", "split", "title", "truncate", "upper",
];

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

pub(super) fn unknown(name: &str) -> String {
    format!("function {name:?} is not known; there are {}", KNOWN.join(" "))
}

/// Those which do not change the titles of columns.
pub(super) fn leaves_headers(name: &str) -> bool {
    matches!(name, "json" | "lower" | "pad" | "split" | "title" | "truncate" | "upper")
}

pub(super) fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    let text = |text: String| Ok(Value::String(text));
    match (name, args) {
        ("not", [value]) => Ok(Value::Bool(!is_true(value))),
        ("len", [value]) => length(value).map(Value::from),
        ("index", [value, keys @ ..]) => keys.iter().try_fold(value.clone(), |v, k| index(&v, k)),
        ("slice", [value, bounds @ ..]) if bounds.len() <= 2 => slice(value, bounds),
        ("eq", [first, rest @ ..]) if !rest.is_empty() => {
            let mut equal = false;
            for other in rest {
                equal |= same(first, other)?;
            }
            Ok(Value::Bool(equal))
        }
        ("ne", [a, b]) => Ok(Value::Bool(!same(a, b)?)),
        ("lt", [a, b]) => Ok(Value::Bool(order(a, b)?.is_lt())),
        ("le", [a, b]) => Ok(Value::Bool(order(a, b)?.is_le())),
        ("gt", [a, b]) => Ok(Value::Bool(order(a, b)?.is_gt())),
        ("ge", [a, b]) => Ok(Value::Bool(order(a, b)?.is_ge())),
        ("print", args) => text(printf::print(args)),
        ("println", args) => {
            let words: Vec<String> = args.iter().map(printf::plain).collect();
            text(words.join(" ") + "\n")
        }
        ("printf", [Value::String(format), args @ ..]) => {
            printf::format(format, args).and_then(text)
        }
        ("json", [value]) => serde_json::to_string(value).map_err(|e| e.to_string()).and_then(text),
        ("split", [Value::String(s), Value::String(separator)]) => Ok(split(s, separator)),
        ("join", [list, Value::String(separator)]) => join(list, separator).and_then(text),
        ("title", [Value::String(s)]) => text(title(s)),
        ("lower", [Value::String(s)]) => text(s.to_lowercase()),
        ("upper", [Value::String(s)]) => text(s.to_uppercase()),
        ("pad", [Value::String(s), before, after]) => {
            let (before, after) = (count(before)?, count(after)?);
            let padded = [&" ".repeat(before), s.as_str(), &" ".repeat(after)].concat();
            text(if s.is_empty() { String::new() } else { padded })
        }
        ("truncate", [Value::String(s), most]) => {
            let most = count(most)?.min(s.len());
            text(String::from_utf8_lossy(s.as_bytes().get(..most).unwrap_or_default()).into_owned())
        }
        _ => Err(format!("takes {}, not {}", wanted(name), given(args))),
    }
}

fn wanted(name: &str) -> &'static str {
    match name {
        "index" => "a list or map and its keys",
        "slice" => "a list or string and up to two places",
        "eq" => "two or more values",
        "ne" | "lt" | "le" | "gt" | "ge" => "two values",
        "printf" => "a format and values",
        "split" | "join" => "a value and a separator",
        "pad" => "a string and two numbers",
        "truncate" => "a string and a length",
        "title" | "lower" | "upper" => "a string",
        _ => "one value",
    }
}

fn given(args: &[Value]) -> String {
    let kinds: Vec<&str> = args.iter().map(kind).collect();
    if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::Null => Ok(0), // a list or map that is not there
        Value::String(s) => Ok(s.len()),
        Value::Array(items) => Ok(items.len()),
        Value::Object(map) => Ok(map.len()),
        Value::Bool(_) | Value::Number(_) => Err(format!("{} has no length", kind(value))),
    }
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Object(map), Value::String(key)) => {
            let strings = map.values().all(Value::is_string);
            let zero = if strings { Value::String(String::new()) } else { Value::Null };
            Ok(map.get(key).cloned().unwrap_or(zero))
        }
        (Value::Null, Value::String(_)) => Ok(Value::String(String::new())),
        (Value::Array(items), Value::Number(_)) => {
            let place = count(key)?;
            items.get(place).cloned().ok_or_else(|| format!("index out of range: {place}"))
        }
        (Value::String(s), Value::Number(_)) => {
            let place = count(key)?;
            let byte = s.as_bytes().get(place);
            byte.map(|b| Value::from(*b)).ok_or_else(|| format!("index out of range: {place}"))
        }
        (Value::Null, _) => Err("nothing is there to look into".to_owned()),
        _ => Err(format!("{} cannot be looked into with {}", kind(value), kind(key))),
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    let length = length(value)?;
    let from = bounds.first().map_or(Ok(0), count)?;
    let to = bounds.get(1).map_or(Ok(length), count)?;
    let wrong = || format!("index out of range: {from} to {to} of {length}");
    match value {
        Value::String(s) => {
            let bytes = s.as_bytes().get(from..to).ok_or_else(wrong)?;
            Ok(Value::String(String::from_utf8_lossy(bytes).into_owned()))
        }
        Value::Array(items) => {
            items.get(from..to).map(|i| Value::from(i.to_vec())).ok_or_else(wrong)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(format!("{} cannot be cut", kind(value)))
        }
    }
}

fn count(value: &Value) -> Result<usize, String> {
    let number = value.as_u64().and_then(|n| usize::try_from(n).ok());
    // The bound keeps `pad` from taking all memory.
    let number = number.filter(|n| *n <= 1 << 20);
    number.ok_or_else(|| format!("{} is no place or length", printf::plain(value)))
}

fn same(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => Ok(a == b),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Number(_), Value::Number(_)) | (Value::String(_), Value::String(_)) => {
            Ok(order(a, b)?.is_eq())
        }
        _ => Err(format!("{} and {} cannot be compared", kind(a), kind(b))),
    }
}

fn order(a: &Value, b: &Value) -> Result<Ordering, String> {
    let found = match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => Some(x.cmp(&y)),
            _ => x.as_f64().zip(y.as_f64()).and_then(|(x, y)| x.partial_cmp(&y)),
        },
        _ => None,
    };
    found.ok_or_else(|| format!("{} and {} cannot be compared", kind(a), kind(b)))
}

fn split(text: &str, separator: &str) -> Value {
    if separator.is_empty() {
        return text.chars().map(|c| Value::String(c.to_string())).collect();
    }
    text.split(separator).map(Value::from).collect()
}

fn join(list: &Value, separator: &str) -> Result<String, String> {
    match list {
        Value::Null => Ok(String::new()),
        Value::Array(items) => {
            let words: Vec<String> = items.iter().map(printf::plain).collect();
            Ok(words.join(separator))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(format!("takes a list, not {}", kind(list)))
        }
    }
}

fn title(text: &str) -> String {
    let mut begins = true;
    let each = |c: char| {
        let up = begins && c.is_alphabetic();
        begins = !(c.is_alphanumeric() || c == '_');
        if up { c.to_uppercase().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(each).collect()
}
