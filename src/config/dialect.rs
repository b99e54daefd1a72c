//! Where oci-spec's types do not take what the specification has, or do not take what it leaves out.
//!
//! Runs in: parent, after a failure of parsing: a usual config is parsed once, as it is.

use serde_json::{Value, json};

/// Where `process` is in a file.
#[derive(Clone, Copy)]
pub(super) enum Root {
    Config,
    Process,
}

/// The same in oci-spec's words. `None`: there is nothing to change.
pub(super) fn translate(bytes: &[u8], root: Root) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    let mut changed = false;
    let process = match root {
        Root::Config => {
            // They are ignored anyway (config.md, "Platform-specific configuration"), so an error in
            // one is none of ours. A virtual machine is refused, whatever is said of it.
            let nothing =
                [("solaris", Value::Null), ("windows", Value::Null), ("zos", Value::Null)];
            let virtual_machine = ("vm", json!({ "kernel": { "path": "" } }));
            for (key, replacement) in nothing.into_iter().chain([virtual_machine]) {
                if let Some(section) = value.get_mut(key) {
                    *section = replacement;
                    changed = true;
                }
            }
            value.get_mut("process")
        }
        Root::Process => Some(&mut value),
    };
    if let Some(process) = process.filter(|process| process.is_object()) {
        changed |= translate_process(process);
    }
    changed.then(|| value.to_string().into_bytes())
}

fn translate_process(process: &mut Value) -> bool {
    // runc takes a process without it as root's.
    let user = process.get("user").is_none();
    if user && let Some(process) = process.as_object_mut() {
        process.insert("user".into(), json!({}));
    }
    // config.md: "omitted or empty".
    let lists = ["initial", "final"].map(|name| format!("/execCPUAffinity/{name}"));
    let lists = lists
        .iter()
        .fold(false, |any, list| any | replace(process.pointer_mut(list), "", Value::Null));
    let flags = process.pointer_mut("/scheduler/flags").and_then(Value::as_array_mut);
    let flags = flags.into_iter().flatten().fold(false, |any, flag| {
        any | replace(Some(&mut *flag), "SCHED_FLAG_RESET_ON_FORK", json!("SCHED_RESET_ON_FORK"))
            | replace(Some(flag), "SCHED_FLAG_DL_OVERRUN", json!("SCHED_FLAG_D_L_OVERRUN"))
    });
    user | lists | flags
}

fn replace(value: Option<&mut Value>, old: &str, new: Value) -> bool {
    match value {
        Some(value) if value.as_str() == Some(old) => {
            *value = new;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_specification_become_those_of_the_crate() {
        let text = |json: &str, root| {
            translate(json.as_bytes(), root).map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let process = r#"{"scheduler":{"flags":["SCHED_FLAG_RESET_ON_FORK","SCHED_FLAG_RECLAIM",
            "SCHED_FLAG_DL_OVERRUN"]},"execCPUAffinity":{"initial":"","final":"0"}}"#;
        let expected = r#"{"execCPUAffinity":{"final":"0","initial":null},"scheduler":{"flags":["SCHED_RESET_ON_FORK","SCHED_FLAG_RECLAIM","SCHED_FLAG_D_L_OVERRUN"]},"user":{}}"#;
        assert_eq!(text(process, Root::Process).as_deref(), Some(expected));
        let config = format!(r#"{{"process":{process},"windows":1,"zos":{{}},"linux":{{}}}}"#);
        let whole = format!(r#"{{"linux":{{}},"process":{expected},"windows":null,"zos":null}}"#);
        assert_eq!(text(&config, Root::Config), Some(whole));
        assert_eq!(text(r#"{"process":{"user":{"uid":1}}}"#, Root::Config), None);
        assert_eq!(text("[1", Root::Config), None);
    }
}
