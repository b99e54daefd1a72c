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
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    let before = value.clone();
    let process = match root {
        Root::Config => {
            if let Some(config) = value.as_object_mut() {
                // config.md, "Platform-specific configuration": they are of other platforms.
                config.retain(|key, _| !FOREIGN.contains(&key.as_str()));
                if let Some(vm) = config.get_mut("vm") {
                    *vm = json!({ "kernel": { "path": "" } }); // refused, whatever is in it
                }
            }
            value.get_mut("process")
        }
        Root::Process => Some(&mut value),
    };
    process.map(translate_process);
    (value != before).then(|| value.to_string().into_bytes())
}

/// They are ignored anyway, so an error in one is none of ours.
const FOREIGN: [&str; 3] = ["solaris", "windows", "zos"];

fn translate_process(process: &mut Value) {
    let Some(process) = process.as_object_mut() else { return };
    // runc takes a process without it as root's.
    process.entry("user").or_insert_with(|| json!({}));
    if let Some(affinity) = process.get_mut("execCPUAffinity").and_then(Value::as_object_mut) {
        // config.md: "omitted or empty".
        affinity.retain(|_, list| list != "");
    }
    let flags = process.get_mut("scheduler").and_then(|scheduler| scheduler.get_mut("flags"));
    for flag in flags.and_then(Value::as_array_mut).into_iter().flatten() {
        match flag.as_str() {
            Some("SCHED_FLAG_RESET_ON_FORK") => *flag = json!("SCHED_RESET_ON_FORK"),
            Some("SCHED_FLAG_DL_OVERRUN") => *flag = json!("SCHED_FLAG_D_L_OVERRUN"),
            _ => {}
        }
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
        let expected = r#"{"execCPUAffinity":{"final":"0"},"scheduler":{"flags":["SCHED_RESET_ON_FORK","SCHED_FLAG_RECLAIM","SCHED_FLAG_D_L_OVERRUN"]},"user":{}}"#;
        assert_eq!(text(process, Root::Process).as_deref(), Some(expected));
        let config = format!(r#"{{"process":{process},"windows":1,"zos":{{}},"linux":{{}}}}"#);
        let whole = format!(r#"{{"linux":{{}},"process":{expected}}}"#);
        assert_eq!(text(&config, Root::Config), Some(whole));
        assert_eq!(text(r#"{"process":{"user":{"uid":1}}}"#, Root::Config), None);
        assert_eq!(text("[1", Root::Config), None);
    }
}
