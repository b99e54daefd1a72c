//! `inspect` of anything: JSON as Docker indents it, or `--format`.
//!
//! Runs in: anywhere. Touches nothing.

use crate::error;
use crate::screen::Screen;
use crate::template::{Data, Template};
use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

/// Shows those that there are; the errors are told in the end.
pub(crate) fn each<T: Serialize>(
    names: &[String],
    format: Option<&str>,
    screen: &mut Screen<'_>,
    look: impl Fn(&str) -> Result<T>,
) -> Result<()> {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for name in names {
        match look(name) {
            Ok(thing) => found.push(thing),
            Err(err) => failed.push(err),
        }
    }
    screen.say(&show(format, &found)?)?;
    error::all(failed)
}

/// One thing that is not part of a list.
pub(crate) fn one<T: Serialize>(format: &str, thing: &T) -> Result<String> {
    match format {
        "json" => Ok(serde_json::to_string(thing).context("JSON")? + "\n"),
        format => show(Some(format), std::slice::from_ref(thing)),
    }
}

/// One line for each thing with a format, otherwise one list of them.
fn show<T: Serialize>(format: Option<&str>, things: &[T]) -> Result<String> {
    match format {
        None => pretty(things),
        Some("json") => Ok(serde_json::to_string(things).context("JSON")? + "\n"),
        Some(format) => {
            let template = Template::new(format)?;
            let print = |thing| -> Result<String> {
                let fields = serde_json::to_value(thing).context("JSON")?;
                Ok(template.print(&Data { fields, ..Data::default() })? + "\n")
            };
            things.iter().map(print).collect()
        }
    }
}

fn pretty<T: Serialize>(things: &[T]) -> Result<String> {
    let mut text = Vec::new();
    let mut serializer =
        Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    things.serialize(&mut serializer).context("JSON")?;
    Ok(String::from_utf8(text).context("JSON")? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn formats_are_dockers() {
        let things = [json!({ "Name": "a", "Labels": null }), json!({ "Name": "b", "Labels": {} })];
        assert_eq!(show(Some("{{.Name}}"), &things).unwrap(), "a\nb\n");
        assert_eq!(
            show(Some("json"), &things).unwrap(),
            "[{\"Labels\":null,\"Name\":\"a\"},{\"Labels\":{},\"Name\":\"b\"}]\n"
        );
        let text = "[\n    {\n        \"Labels\": null,\n        \"Name\": \"a\"\n    }\n]\n";
        assert_eq!(show(None, things.get(..1).unwrap()).unwrap(), text);
        assert_eq!(show::<()>(None, &[]).unwrap(), "[]\n");
    }
}
