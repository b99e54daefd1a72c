//! Go's text/template, as far as scripts use it in `--format`.
//!
//! Runs in: anywhere. Touches nothing.
//!
//! Sources: the package documentation of text/template and fmt, and what the Docker CLI prints for
//! the templates in tests.rs. What it lacks is said by the error: templates inside templates
//! (`define`), and functions for HTML and JavaScript.
//!
//! An object of JSON is a structure here, whose wrong field is an error, unless its name is one
//! of [`MAPS`].

mod eval;
mod functions;
mod lex;
mod parse;
mod printf;
#[cfg(test)]
mod tests;

pub(crate) use printf::quote;

use anyhow::{Result, anyhow};
use serde_json::{Map, Value};

/// Names of fields that hold maps with keys of the user's: a key that is not there has no value.
const MAPS: &[&str] = &[
    "Annotations",
    "Attributes",
    "Containers",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Runtimes",
    "Sysctls",
    "Volumes",
];

/// Names of fields that are left out where there is nothing to say, and have no value then.
const OPTIONAL: &[&str] = &[
    "ExposedPorts",
    "Health",
    "Healthcheck",
    "Init",
    "Shell",
    "SizeRootFs",
    "SizeRw",
    "StopSignal",
    "StopTimeout",
    "Sysctls",
    "Tmpfs",
];

#[derive(Debug)]
pub(crate) struct Template {
    text: String,
    nodes: Vec<Node>,
}

#[derive(Debug)]
enum Node {
    Text(String),
    Print(Pipe),
    If { pipe: Pipe, then: Vec<Node>, other: Vec<Node> },
    With { pipe: Pipe, then: Vec<Node>, other: Vec<Node> },
    Range { pipe: Pipe, body: Vec<Node>, other: Vec<Node> },
    Break,
    Continue,
}

/// `$x := A | B C`; the value of each command is the last argument of the next.
#[derive(Debug)]
struct Pipe {
    /// Names of variables, with their `$`.
    sets: Vec<String>,
    /// `=` instead of `:=`.
    assigns: bool,
    commands: Vec<Vec<Term>>,
}

#[derive(Debug)]
struct Term {
    /// Byte in the template.
    at: usize,
    base: Base,
    /// `.A.B` behind it.
    fields: Vec<String>,
}

#[derive(Debug)]
enum Base {
    Dot,
    Literal(Value),
    Variable(String),
    Function(String),
    Pipe(Box<Pipe>),
}

/// What is wrong, at which byte of the template.
#[derive(Debug)]
struct Wrong {
    at: usize,
    what: String,
}

impl Wrong {
    fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

/// What a template is carried out for.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) fields: Value,
    /// Like `.Label "key"`: the maps in which they look.
    pub(crate) methods: Map<String, Value>,
}

impl Template {
    pub(crate) fn new(text: &str) -> Result<Self> {
        let nodes = parse::template(text).map_err(|wrong| explain(text, &wrong))?;
        Ok(Self { text: text.to_owned(), nodes })
    }

    /// What it makes of this.
    pub(crate) fn print(&self, data: &Data) -> Result<String> {
        eval::print(&self.nodes, data, false).map_err(|wrong| explain(&self.text, &wrong))
    }

    /// The same with titles of columns as the data, which functions do not change.
    pub(crate) fn headers(&self, titles: Map<String, Value>) -> Result<String> {
        let methods = Map::from_iter([("Label".to_owned(), Value::Null)]);
        let data = Data { fields: Value::Object(titles), methods };
        eval::print(&self.nodes, &data, true).map_err(|wrong| explain(&self.text, &wrong))
    }
}

fn explain(text: &str, wrong: &Wrong) -> anyhow::Error {
    let before = text.get(..wrong.at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let place = if line == 1 {
        format!("column {column}")
    } else {
        format!("line {line}, column {column}")
    };
    anyhow!("--format: {place}: {}", wrong.what)
}
