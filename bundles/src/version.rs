//! `bundles version`, in the shape of `docker version`.
//!
//! Runs in: an ordinary process. Asks the runtime for its own.

use crate::called::{self, Name};
use crate::cli::info::Version;
use crate::screen::Screen;
use crate::store::layout::Platform;
use crate::{inspect, runtime};
use anyhow::Result;
use serde_json::{Value, json};

/// Of Docker's API: no command lacks what came with it, and scripts ask for 1.35 at least.
const API: &str = "1.41";
const OLDEST_API: &str = "1.12";

pub(crate) fn run(args: &Version, screen: &mut Screen<'_>) -> Result<()> {
    let versions = versions()?;
    let text = match args.format.as_deref() {
        None => text(&versions),
        Some(format) => inspect::one(format, &versions)?,
    };
    screen.say(&text)
}

/// There is no server; whoever asks for its version means the program that does the work.
fn versions() -> Result<Value> {
    let name = Name::this();
    let here = Platform::here();
    let system = nix::sys::utsname::uname()?;
    let common = json!({
        "Platform": { "Name": called::BUILD },
        "Version": name.version(),
        // By the name in JSON, and by that in templates.
        "ApiVersion": API,
        "APIVersion": API,
        "GitCommit": called::BUILD,
        "GoVersion": "",
        "Os": here.os,
        "Arch": here.architecture,
        "BuildTime": "",
    });
    let with = |further: Value| {
        let (mut all, further) = (common.clone(), further);
        if let (Some(all), Value::Object(further)) = (all.as_object_mut(), further) {
            all.extend(further);
        }
        all
    };
    let engine = json!({
        "Name": "Engine",
        "Version": name.version(),
        "Details": {
            "ApiVersion": API,
            "Arch": here.architecture,
            "GitCommit": called::BUILD,
            "KernelVersion": system.release().to_string_lossy(),
            "MinAPIVersion": OLDEST_API,
            "Os": here.os,
        },
    });
    let of_runtime = |(name, version): (String, String)| json!({ "Name": name, "Version": version, "Details": {} });
    let components: Vec<Value> =
        [engine].into_iter().chain(oci_runtime().map(of_runtime)).collect();
    Ok(json!({
        "Client": with(json!({
            "DefaultAPIVersion": API,
            "OsArch": here.to_string(),
            "Context": "default",
            "Experimental": false,
        })),
        "Server": with(json!({
            "MinAPIVersion": OLDEST_API,
            "KernelVersion": system.release().to_string_lossy(),
            "Experimental": false,
            "Components": components,
        })),
    }))
}

/// Its name and version, if there is one.
pub(crate) fn oci_runtime() -> Option<(String, String)> {
    let program = runtime::find(None).ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    let said = runtime::version(&program).ok()?;
    // "runc version 1.1.5"
    let version = said.rsplit(' ').next().unwrap_or_default().to_owned();
    Some((name, version))
}

fn text(versions: &Value) -> String {
    let field = |of: &str, name: &str| {
        versions.pointer(&format!("/{of}/{name}")).and_then(Value::as_str).unwrap_or_default()
    };
    let mut text = String::new();
    for (of, engine, indent) in [("Client", "", " "), ("Server", " Engine:\n", "  ")] {
        let gap = if text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{gap}{of}:\n{engine}"));
        let width = 20 - indent.len();
        let oldest = match field(of, "MinAPIVersion") {
            "" => String::new(),
            oldest => format!(" (minimum version {oldest})"),
        };
        for (title, value) in [
            ("Version:", field(of, "Version").to_owned()),
            ("API version:", format!("{}{oldest}", field(of, "ApiVersion"))),
            ("Git commit:", field(of, "GitCommit").to_owned()),
            ("OS/Arch:", format!("{}/{}", field(of, "Os"), field(of, "Arch"))),
        ] {
            text.push_str(&format!("{indent}{title:<width$}{value}\n"));
        }
    }
    let components = versions.pointer("/Server/Components").and_then(Value::as_array);
    for component in components.into_iter().flatten().skip(1) {
        let word = |name: &str| component.get(name).and_then(Value::as_str).unwrap_or_default();
        text.push_str(&format!(" {}:\n  {:<18}{}\n", word("Name"), "Version:", word("Version")));
    }
    text
}
