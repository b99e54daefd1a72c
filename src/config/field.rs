//! Finds the field at a place of a JSON text: `serde_json`'s errors know line and column only.
//!
//! Runs in: parent, after a failure.

/// `linux.namespaces[2].type`: the path of the value that an error is about. `None` at the top.
pub(crate) fn of(err: &serde_json::Error, text: &str) -> Option<String> {
    let (line, column) = (err.line(), err.column());
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let end = (start + column.saturating_sub(1)).min(text.len());
    let mut scan = Scan { bytes: text.as_bytes().get(..end)?, at: 0, path: Vec::new() };
    scan.run();
    // Told at the end of the object that lacks it, after its last key.
    if err.to_string().starts_with("missing field") {
        scan.path.pop();
    }
    let mut path = String::new();
    for part in &scan.path {
        match part {
            Part::Key(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Part::Key(None) => {}
            Part::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    (!path.is_empty()).then_some(path)
}

enum Part {
    /// In an object, after this key.
    Key(Option<String>),
    Index(usize),
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    path: Vec<Part>,
}

impl Scan<'_> {
    fn run(&mut self) {
        let mut key_expected = false;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'{' => {
                    self.path.push(Part::Key(None));
                    key_expected = true;
                }
                b'[' => {
                    self.path.push(Part::Index(0));
                    key_expected = false;
                }
                b'}' | b']' => {
                    // A value that ended just here is the one which the error is about.
                    if self.at == self.bytes.len() {
                        return;
                    }
                    self.path.pop();
                    key_expected = false;
                }
                b',' => match self.path.last_mut() {
                    Some(Part::Index(index)) => *index += 1,
                    Some(Part::Key(_)) => key_expected = true,
                    None => {}
                },
                b'"' => {
                    let text = self.string();
                    if key_expected {
                        key_expected = false;
                        if let Some(Part::Key(key)) = self.path.last_mut() {
                            *key = Some(text);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The rest of a string, without its quotes.
    fn string(&mut self) -> String {
        let start = self.at;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => break,
                _ => {}
            }
        }
        let text = self.bytes.get(start..self.at.saturating_sub(1)).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Option<String> {
        of(&serde_json::from_str::<oci_spec::runtime::Spec>(text).unwrap_err(), text)
    }

    #[test]
    fn invalid_values_are_found() {
        let table = [
            (
                r#"{"linux":{"namespaces":[{"type":"pid"},{"type":"nosuch"}]}}"#,
                "linux.namespaces[1].type",
            ),
            ("{\n \"process\": {\n  \"user\": {},\n  \"cwd\": 7\n}}", "process.cwd"),
            (r#"{"mounts":[{"destination":"/a","options":["x\"]",5]}]}"#, "mounts[0].options[1]"),
            (r#"{"root":{"path":"r","readonly":"yes"}}"#, "root.readonly"),
        ];
        for (text, field) in table {
            assert_eq!(wrong(text).as_deref(), Some(field), "{text}");
        }
    }

    #[test]
    fn missing_fields_are_found_by_their_object() {
        assert_eq!(wrong(r#"{"process":{"user":{}}}"#).as_deref(), Some("process"));
        assert_eq!(wrong("7"), None);
    }
}
