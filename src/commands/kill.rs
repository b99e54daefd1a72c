//! `rt kill`

use super::Host;
use super::delete::first_of;
use crate::cli::Kill;
use crate::container::state::{State, Status};
use crate::container::{Dir, Lock, open_process};
use crate::error::OrHint as _;
use crate::sys::clone::{pidfd_open, pidfd_send_signal};
use anyhow::{Result, anyhow};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::os::fd::AsFd as _;

pub(crate) fn run(host: &Host, args: &Kill) -> Result<()> {
    let signal = parse(&args.signal)?;
    if args.regex {
        let ids = super::matching(&host.root, &args.id)?;
        let failures = ids.iter().filter_map(|id| {
            one(host, id, signal, args.all).err().map(|err| err.context(id.clone()))
        });
        return first_of(failures.collect());
    }
    one(host, &args.id, signal, args.all)
}

fn one(host: &Host, id: &str, signal: i32, all: bool) -> Result<()> {
    let dir = Dir::existing(&host.root, id, Lock::None)?;
    let state = dir.state()?;
    let status = dir.status(&state)?;
    if all {
        return to_all(&dir, &state, signal);
    }
    if status == Status::Stopped || status == Status::Creating {
        // The words are grepped by containerd and CRI-O.
        return Err(anyhow!("container not running")).hint(format!("see: rt state {id}"));
    }
    // Without a pid namespace of its own the death of init ends nobody else.
    if signal == libc::SIGKILL && !state.own_pid_namespace {
        to_all(&dir, &state, signal)?;
    }
    let Some(init) = state.init.map(open_process).transpose()?.flatten() else {
        return if signal == libc::SIGKILL {
            Ok(())
        } else {
            Err(anyhow!("container not running"))
        };
    };
    match pidfd_send_signal(init.as_fd(), signal) {
        Err(err) if err.errno == Errno::ESRCH => Err(anyhow!("container not running")),
        other => Ok(other?),
    }
}

/// Every process of the cgroup. Nobody left is no error, as in runc.
fn to_all(dir: &Dir, state: &State, signal: i32) -> Result<()> {
    let Some(cgroup) = dir.cgroup(state)? else {
        if let Some(init) = state.init.map(open_process).transpose()?.flatten() {
            match pidfd_send_signal(init.as_fd(), signal) {
                Err(err) if err.errno != Errno::ESRCH => return Err(err.into()),
                _ => {}
            }
        }
        return Ok(());
    };
    if signal == libc::SIGKILL {
        return cgroup.kill();
    }
    for pid in cgroup.pids()? {
        // By pidfd: between the list and the signal the pid may belong to somebody else, so the
        // process must be found in the cgroup once more.
        match pidfd_open(pid) {
            Ok(pidfd) if cgroup.pids()?.contains(&pid) => {
                match pidfd_send_signal(pidfd.as_fd(), signal) {
                    Err(err) if err.errno != Errno::ESRCH => return Err(err.into()),
                    _ => {}
                }
            }
            Ok(_) => {}
            Err(err) if err.errno == Errno::ESRCH => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}

/// `15`, `TERM`, `SIGTERM`, `RTMIN+3`; in any case.
fn parse(text: &str) -> Result<i32> {
    let unknown = || anyhow!("unknown signal {text:?}");
    if let Ok(number) = text.parse::<i32>() {
        return if (0..=64).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    if let Some(rest) = name.strip_prefix("RTMIN") {
        let offset =
            if rest.is_empty() { Ok(0) } else { rest.trim_start_matches('+').parse::<i32>() };
        // signal(7): the kernel's first real-time signal is 32, libc keeps two for itself.
        return offset
            .ok()
            .map(|offset| 34 + offset)
            .filter(|n| (34..=64).contains(n))
            .ok_or_else(unknown);
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        let offset =
            if rest.is_empty() { Ok(0) } else { rest.trim_start_matches('-').parse::<i32>() };
        return offset
            .ok()
            .map(|offset| 64 - offset)
            .filter(|n| (34..=64).contains(n))
            .ok_or_else(unknown);
    }
    let name = match name {
        "CLD" => "CHLD",
        "IOT" => "ABRT",
        "POLL" => "IO",
        name => name,
    };
    format!("SIG{name}").parse::<Signal>().map(|signal| signal as i32).map_err(|_unknown| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        let table = [
            ("9", 9),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigterm", 15),
            ("term", 15),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("CLD", 17),
            ("0", 0),
        ];
        for (text, number) in table {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for text in ["", "SIG", "65", "-1", "FOO", "RTMIN+99", "9x"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("FOO").unwrap_err().to_string(), "unknown signal \"FOO\"");
    }
}
