//! `info` for people: the lines of Docker, without those about what there is none of.

use crate::fmt;
use serde_json::Value;

/// One line each: how far in, the title, and the field that stands behind it.
const LINES: [(usize, &str, &str); 26] = [
    (1, "Containers", "Containers"),
    (2, "Running", "ContainersRunning"),
    (2, "Paused", "ContainersPaused"),
    (2, "Stopped", "ContainersStopped"),
    (1, "Images", "Images"),
    (1, "Server Version", "ServerVersion"),
    (1, "Storage Driver", "Driver"),
    (1, "", "DriverStatus"),
    (1, "Logging Driver", "LoggingDriver"),
    (1, "Cgroup Driver", "CgroupDriver"),
    (1, "Cgroup Version", "CgroupVersion"),
    (1, "", "Plugins"),
    (1, "Runtimes", "Runtimes"),
    (1, "Default Runtime", "DefaultRuntime"),
    (1, "Init Binary", "InitBinary"),
    (1, "", "SecurityOptions"),
    (1, "Kernel Version", "KernelVersion"),
    (1, "Operating System", "OperatingSystem"),
    (1, "OSType", "OSType"),
    (1, "Architecture", "Architecture"),
    (1, "CPUs", "NCPU"),
    (1, "Total Memory", "MemTotal"),
    (1, "Name", "Name"),
    (1, "ID", "ID"),
    (1, "Docker Root Dir", "DockerRootDir"),
    (1, "Registry", "IndexServerAddress"),
];

pub(super) fn of(facts: &Value) -> String {
    let client = &facts["ClientInfo"];
    let context = client["Context"].as_str().unwrap_or_default();
    let mut text = format!("Client:\n Context:    {context}\n Debug Mode: false\n\nServer:\n");
    for (depth, title, name) in LINES {
        let value = &facts[name];
        match name {
            "DriverStatus" => text.push_str(&status(value)),
            "Plugins" => text.push_str(&plugins(value)),
            "SecurityOptions" => text.push_str(&security(value)),
            _ => {
                let indent = " ".repeat(depth);
                text.push_str(&format!("{indent}{title}: {}\n", short(name, value)));
            }
        }
    }
    text.push_str(&registries(&facts["RegistryConfig"]));
    for warning in words(&facts["Warnings"]) {
        text.push_str(&format!("{warning}\n"));
    }
    text
}

fn short(name: &str, value: &Value) -> String {
    match value {
        Value::Object(map) => map.keys().cloned().collect::<Vec<_>>().join(" "),
        Value::String(text) => text.clone(),
        Value::Number(bytes) if name == "MemTotal" => {
            fmt::memory(bytes.as_u64().unwrap_or_default())
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            other.to_string()
        }
    }
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn status(pairs: &Value) -> String {
    let pairs = pairs.as_array().into_iter().flatten();
    pairs.map(|pair| words(pair)).map(|pair| format!("  {}\n", pair.join(": "))).collect()
}

fn plugins(all: &Value) -> String {
    let kinds = ["Volume", "Network", "Log"];
    let lines = kinds.map(|kind| format!("  {kind}: {}\n", words(&all[kind]).join(" ")));
    format!(" Plugins:\n{}", lines.concat())
}

/// `name=seccomp,profile=default` is a line for the name, and one for each further word.
fn security(options: &Value) -> String {
    let mut text = " Security Options:\n".to_owned();
    for option in words(options) {
        for (index, pair) in option.split(',').enumerate() {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            text.push_str(&match index {
                0 => format!("  {value}\n"),
                _ => format!("   {}: {value}\n", title(key)),
            });
        }
    }
    text
}

fn title(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn registries(config: &Value) -> String {
    let indexes = config["IndexConfigs"].as_object().into_iter().flatten();
    let insecure = indexes.filter(|(_, index)| index["Secure"] == false).map(|(name, _)| name);
    let all = insecure.map(String::as_str).chain(words(&config["InsecureRegistryCIDRs"]));
    let mut text = " Insecure Registries:\n".to_owned();
    all.for_each(|name| text.push_str(&format!("  {name}\n")));
    let mirrors = words(&config["Mirrors"]);
    if !mirrors.is_empty() {
        text.push_str(" Registry Mirrors:\n");
        mirrors.iter().for_each(|name| text.push_str(&format!("  {name}\n")));
    }
    text
}
