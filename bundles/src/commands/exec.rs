//! `exec`: the runtime does it; with a terminal to type at, one that is kept when the caller leaves.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use super::facts::{self, environment};
use super::relay;
use crate::attach::Outcome;
use crate::cli::existing::Exec;
use crate::container::Container;
use crate::error::{self, OrHint as _};
use crate::events::{self, Event};
use crate::home::Home;
use crate::runtime::{self, InMemory, Runtime};
use crate::screen::Screen;
use crate::{attach, ids, spec, users};
use anyhow::{Context as _, Result, anyhow};
use oci_spec::runtime::Spec;
use serde_json::json;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;

pub(crate) fn exec(home: &Home, args: &Exec, screen: &mut Screen<'_>) -> Result<u8> {
    let container = Container::find(home, &args.container)?;
    if !container.record.is_running() {
        return Err(anyhow!("{}: does not run", args.container))
            .hint(format!("start it: bundles start {}", args.container));
    }
    if !args.detach {
        attach::check_terminal(args.interactive && args.tty)?;
    }
    let id = ids::made_up()?;
    // Docker, too, has a space behind a program without arguments.
    let (program, rest) = args.command.split_first().context("no command")?;
    let words = format!("{program} {}", rest.join(" "));
    let event = |action: &str| Event::container(&container.record, action).with("execID", &id);
    let begun = ["exec_create", "exec_start"].map(|action| event(&format!("{action}: {words}")));
    let file = InMemory::new(&serde_json::to_vec(&process(&container, args)?)?)?;
    if args.interactive && args.tty && !args.detach {
        events::note_all(home, begun.into());
        return match attach::exec(home, &container, &file.path(), &id)? {
            Outcome::Running(attached) => {
                drop(file); // the runtime has read it
                attached.forward_command(&args.detach_keys.clone().unwrap_or_default())
            }
            Outcome::Failed { code, text } => {
                screen.note(&error::report(&runtime::start_error(text)));
                Ok(u8::try_from(code)?)
            }
        };
    }
    let runtime = Runtime::of(&container)?;
    let mut command = runtime.command(["exec", "--process"]);
    command.arg(file.path());
    let mut outputs = Vec::new();
    if args.detach {
        command.arg("--detach");
    } else if args.tty {
        // The runtime makes the terminal of the container, and passes on what is said on both.
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    } else {
        if args.interactive {
            command.stdin(relay::input()?);
        }
        let (stdout, of_stdout) = relay::output(io::stdout())?;
        let (stderr, of_stderr) = relay::output(io::stderr())?;
        command.stdout(stdout).stderr(stderr);
        outputs.extend(of_stdout.into_iter().chain(of_stderr));
    }
    let child = command.arg(&container.record.id).spawn();
    let mut child = child.context("start the runtime")?;
    events::note_all(home, begun.into());
    drop(command); // it has the container's ends of the pipes
    relay::pass(&child, outputs)?;
    let status = child.wait().context("wait for the runtime")?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255);
    let code = match runtime.failure() {
        Some(failure) if code != 0 => runtime::exit_code_of(&failure),
        _ => code,
    };
    if !args.detach {
        events::note(home, event("exec_die").with("exitCode", &code.to_string()));
    }
    Ok(u8::try_from(code)?)
}

/// That of the container, but for what the flags say.
fn process(container: &Container, args: &Exec) -> Result<serde_json::Value> {
    let spec = container.json("config.json")?;
    let spec: Spec = serde_json::from_value(spec).context("config.json")?;
    let process = spec.process().as_ref().context("config.json: no process")?;
    let mut env = process.env().clone().unwrap_or_default();
    if args.tty {
        spec::set(&mut env, "TERM=xterm")?;
    }
    let user = args.user.as_deref();
    let user = user.map(|user| users::find(&root(container)?, user, &[])).transpose()?;
    if let Some(home) = user.as_ref().and_then(|user| user.home.as_deref()) {
        spec::set(&mut env, &format!("HOME={home}"))?;
    }
    for variable in environment(&args.env_file, &args.env)? {
        spec::set(&mut env, &variable)?;
    }
    let mut process = serde_json::to_value(process)?;
    process["args"] = json!(args.command);
    process["env"] = json!(env);
    process["terminal"] = args.tty.into();
    if let Some(dir) = &args.workdir {
        process["cwd"] = dir.as_str().into();
    }
    if let Some(user) = user {
        process["user"] =
            json!({ "uid": user.uid, "gid": user.gid, "additionalGids": user.groups });
        let granted = process["capabilities"]["bounding"].clone();
        let active = if user.uid == 0 { granted } else { json!([]) };
        process["capabilities"]["effective"] = active.clone();
        process["capabilities"]["permitted"] = active;
    }
    if args.privileged {
        let all = json!(spec::capabilities::granted(&[], &[], true, facts::bounding()?)?);
        for set in ["bounding", "effective", "permitted"] {
            process["capabilities"][set] = all.clone();
        }
    }
    Ok(process)
}

/// The files of a running container, as it sees them.
fn root(container: &Container) -> Result<PathBuf> {
    let process = container.record.state.process.as_ref().context("it has ended meanwhile")?;
    Ok(PathBuf::from(format!("/proc/{}/root", process.pid)))
}
