//! Carries out the nodes of a template.
//!
//! Runs in: anywhere. Touches nothing.

use super::{Base, Data, MAPS, Node, OPTIONAL, Pipe, Term, Wrong, functions, printf};
use serde_json::Value;

/// More is a mistake, or an attempt to fill the memory.
const MOST: usize = 64 << 20;

struct Run<'a> {
    data: &'a Data,
    out: String,
    /// But for `$`, which is all of the data.
    variables: Vec<(String, Value)>,
    headers: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

pub(super) fn print(nodes: &[Node], data: &Data, headers: bool) -> Result<String, Wrong> {
    let mut run = Run { data, out: String::new(), variables: vec![], headers };
    run.nodes(nodes, &data.fields)?;
    Ok(run.out)
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Wrong> {
        for node in nodes {
            let known = self.variables.len();
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::Next
                }
                Node::Print(pipe) => {
                    let value = self.pipe(pipe, dot)?;
                    if pipe.sets.is_empty() {
                        self.out.push_str(&shown(&value));
                    }
                    if self.out.len() > MOST {
                        return Err(Wrong::new(0, format!("more than {MOST} bytes of output")));
                    }
                    continue; // its variables stay
                }
                Node::If { pipe, then, other } => {
                    let value = self.pipe(pipe, dot)?;
                    self.nodes(if is_true(&value) { then } else { other }, dot)?
                }
                Node::With { pipe, then, other } => {
                    let value = self.pipe(pipe, dot)?;
                    if is_true(&value) {
                        self.nodes(then, &value)?
                    } else {
                        self.nodes(other, dot)?
                    }
                }
                Node::Range { pipe, body, other } => self.range(pipe, (body, other), dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            self.variables.truncate(known);
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn range(
        &mut self,
        pipe: &Pipe,
        (body, other): (&[Node], &[Node]),
        dot: &Value,
    ) -> Result<Flow, Wrong> {
        let value = self.value(pipe, dot)?;
        let items: Vec<(Value, Value)> = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => {
                items.into_iter().enumerate().map(|(n, item)| (Value::from(n), item)).collect()
            }
            Value::Object(map) => map.into_iter().map(|(k, v)| (Value::String(k), v)).collect(),
            Value::Number(n) if n.is_u64() => {
                let count = n.as_u64().unwrap_or_default();
                (0..count.min(MOST as u64)).map(|n| (Value::from(n), Value::from(n))).collect()
            }
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                let what = format!("range cannot go over {}", shown(&other));
                return Err(Wrong::new(place(pipe), what));
            }
        };
        if items.is_empty() {
            return self.nodes(other, dot);
        }
        let known = self.variables.len();
        for (key, item) in items {
            let values = match pipe.sets.as_slice() {
                [] => Vec::new(),
                [one] => vec![(one, item.clone())],
                [first, second, ..] => vec![(first, key), (second, item.clone())],
            };
            for (name, value) in values {
                self.set(name, value, pipe.assigns);
            }
            let flow = self.nodes(body, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn set(&mut self, name: &str, value: Value, assigns: bool) {
        let found = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        match found {
            Some(variable) if assigns => variable.1 = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    /// With its variable set.
    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Wrong> {
        let value = self.value(pipe, dot)?;
        if let [name, ..] = pipe.sets.as_slice() {
            self.set(name, value.clone(), pipe.assigns);
        }
        Ok(value)
    }

    fn value(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Wrong> {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, last, dot)?);
        }
        Ok(last.unwrap_or_default())
    }

    fn command(
        &mut self,
        terms: &[Term],
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Wrong> {
        let Some((first, rest)) = terms.split_first() else { return Ok(Value::Null) };
        if let Base::Function(name) = &first.base {
            if matches!(name.as_str(), "and" | "or") {
                return self.short_circuit(name == "or", (first.at, rest), piped, dot);
            }
            let mut args = self.arguments(rest, dot)?;
            args.extend(piped);
            if self.headers && functions::leaves_headers(name) {
                return Ok(args.into_iter().next().unwrap_or_default());
            }
            let at = first.at;
            return functions::call(name, &args)
                .map_err(|what| Wrong::new(at, format!("{name}: {what}")));
        }
        if rest.is_empty() && piped.is_none() {
            return self.term(first, &first.fields, dot);
        }
        let Some((method, fields)) = first.fields.split_last() else {
            return Err(Wrong::new(first.at, "this is no function: it takes no arguments"));
        };
        let mut args = self.arguments(rest, dot)?;
        args.extend(piped);
        self.term(first, fields, dot)?; // for its errors
        let keys = self.data.methods.get(method).ok_or_else(|| {
            Wrong::new(first.at, format!(".{method} is not a method but has arguments"))
        })?;
        match args.as_slice() {
            [Value::String(key)] if self.headers => Ok(Value::String(key.clone())),
            [key @ Value::String(_)] => functions::call("index", &[keys.clone(), key.clone()])
                .map_err(|what| Wrong::new(first.at, what)),
            _ => Err(Wrong::new(first.at, format!(".{method} takes one string"))),
        }
    }

    fn arguments(&mut self, terms: &[Term], dot: &Value) -> Result<Vec<Value>, Wrong> {
        terms.iter().map(|term| self.term(term, &term.fields, dot)).collect()
    }

    /// `and`, `or`: the first value that settles it, or the last one.
    fn short_circuit(
        &mut self,
        until: bool,
        (at, terms): (usize, &[Term]),
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Wrong> {
        let mut last = None;
        for term in terms {
            let value = self.term(term, &term.fields, dot)?;
            if is_true(&value) == until {
                return Ok(value);
            }
            last = Some(value);
        }
        let name = if until { "or" } else { "and" };
        piped
            .or(last)
            .ok_or_else(|| Wrong::new(at, format!("{name}: at least one value is needed")))
    }

    fn term(&mut self, term: &Term, fields: &[String], dot: &Value) -> Result<Value, Wrong> {
        let made = match &term.base {
            Base::Function(name) => {
                return functions::call(name, &[])
                    .map_err(|what| Wrong::new(term.at, format!("{name}: {what}")));
            }
            Base::Pipe(pipe) => self.value(pipe, dot)?,
            Base::Dot | Base::Literal(_) | Base::Variable(_) => Value::Null,
        };
        let base = match &term.base {
            Base::Dot => dot,
            Base::Literal(value) => value,
            Base::Variable(name) if name == "$" => &self.data.fields,
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found.map_or(&Value::Null, |(_, value)| value)
            }
            Base::Function(_) | Base::Pipe(_) => &made,
        };
        self.fields(base, fields).cloned().map_err(|what| Wrong::new(term.at, what))
    }

    fn fields<'v>(&self, mut value: &'v Value, names: &[String]) -> Result<&'v Value, String> {
        let mut free = false;
        for (depth, name) in names.iter().enumerate() {
            value = match value {
                Value::Object(map) => match map.get(name) {
                    Some(value) => value,
                    // Of a map that has no such key, everything has no value.
                    None if free || self.headers => return Ok(&Value::Null),
                    None if OPTIONAL.contains(&name.as_str()) => &Value::Null,
                    None => {
                        let path = names.get(..=depth).unwrap_or_default().join(".");
                        return Err(no_field(&path, name, map.keys()));
                    }
                },
                Value::Null if free => return Ok(&Value::Null),
                Value::Null => return Err(format!(".{name}: nothing is there to have this field")),
                other
                @ (Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                    return Err(format!(".{name}: {} has no fields", functions::kind(other)));
                }
            };
            free = MAPS.contains(&name.as_str());
        }
        Ok(value)
    }
}

fn no_field<'a>(path: &str, name: &str, there: impl Iterator<Item = &'a String>) -> String {
    let there: Vec<&str> = there.map(String::as_str).collect();
    let near = there.iter().find(|known| known.eq_ignore_ascii_case(name));
    match near {
        Some(near) => format!(".{path}: no such field; did you mean .{near}?"),
        None => format!(".{path}: no such field; there are {}", there.join(" ")),
    }
}

fn place(pipe: &Pipe) -> usize {
    pipe.commands.first().and_then(|command| command.first()).map_or(0, |term| term.at)
}

/// Go's zero values are false.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn shown(value: &Value) -> String {
    if value.is_null() { "<no value>".to_owned() } else { printf::plain(value) }
}
